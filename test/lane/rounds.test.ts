import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countedType, histogramPlaces, zonePlaces } from '../../src/counters.js';
import { laneIdleRoundsMax, laneQuarantineMs, laneSlots, laneSlotsKeptFree } from '../../src/limits.js';
import { query } from '../resolve/context-fixture.js';
import { PublishedWorld } from './published.js';

function newWorld(): PublishedWorld {
  return new PublishedWorld('. {\n cache 3600\n aaaa nodata\n forward . 192.0.2.1\n}');
}

test('a name that was asked for twice is published in the next round, one that was asked once is not', async () => {
  const world = newWorld();
  world.keep('once.test');
  world.keep('twice.test');
  world.ask(query('twice.test', 'A'));
  await world.round();
  assert.notEqual(world.askKernel(query('twice.test', 'A')), null);
  assert.notEqual(world.askKernel(query('twice.test', 'AAAA')), null);
  assert.equal(world.askKernel(query('once.test', 'A')), null);
});

test('what has gone between its hit and the round is not published', async () => {
  const world = newWorld();
  const ref = world.keep('a.test');
  world.ask(query('a.test', 'A'));
  world.cache.end(ref);
  await world.round();
  assert.equal(world.slots.published, 0);
});

test('when hits were lost, all of the cache is looked at', async () => {
  const world = newWorld();
  world.keep('hit.test');
  world.keep('not.test');
  world.ask(query('hit.test', 'A'));
  world.firstHits.takeAll(() => {});
  await world.round();
  assert.equal(world.slots.published, 0);
  new Int32Array(world.firstHits.memory)[0] += 100_000;
  await world.round();
  assert.deepEqual(world.publisher.refs().length, 1);
});

test('the kernel’s answers are in the same counters as the spine’s, byte for byte of their sizes', async () => {
  const worlds = [newWorld(), newWorld()];
  const packets = [
    query('a.test', 'A'),
    query('a.test', 'A', {}),
    query('gone.test', 'A', {}),
    query('a.test', 'AAAA'),
    query('a.test', 'AAAA', {}),
  ];
  for (const world of worlds) {
    world.keep('a.test', { records: 2 });
    world.keep('gone.test', { denied: true });
    for (const name of ['a.test', 'gone.test']) world.ask(query(name, 'A'));
    await world.round();
  }
  const [kernel, spine] = worlds;
  for (const packet of packets) {
    for (let time = 0; time < 3; time++) {
      assert.notEqual(kernel.askKernel(packet), null);
      spine.ask(packet);
    }
  }
  await kernel.round();
  const numbers = worlds.map(({ spine: { context } }) => [...context.counters.zones]);
  assert.deepEqual(numbers[0], numbers[1]);
  assert.equal(kernel.spine.context.counters.total('aaaaSynthesized'), 6);
  assert.deepEqual([kernel.rounds.answers, kernel.rounds.stale, kernel.rounds.denied], [15, 0, 6]);
  // It is really there that they are counted.
  const base = kernel.spine.context.counters.zoneBase(kernel.spine.zone('.').ordinal);
  assert.equal(numbers[0][base + zonePlaces.requests + countedType(28)], 6);
  assert.equal(numbers[0][base + zonePlaces.duration], 17);
  assert.ok(histogramPlaces.duration > 0);
});

test('stale answers that the kernel gave while nobody was there are counted as such', async () => {
  const world = newWorld();
  world.keep('a.test');
  world.ask(query('a.test', 'A'));
  await world.round();
  world.heartbeatMs = world.clock.nowMs();
  world.clock.passMs(40_000);
  const answer = world.askKernel(query('a.test', 'A', {}));
  assert.equal(answer?.readUInt16BE(answer.length - 2), 3);
  world.heartbeatMs = null;
  await world.round();
  const { counters } = world.spine.context;
  const base = counters.zoneBase(world.spine.zone('.').ordinal);
  assert.deepEqual([world.rounds.answers, world.rounds.stale], [1, 1]);
  assert.equal(counters.zones[base + zonePlaces.servedStale], 1);
  assert.equal(counters.total('staleOnFailure'), 1);
});

test('answers given while a slot was taken out are counted when it has rested', async () => {
  const world = newWorld();
  const ref = world.keep('a.test');
  world.ask(query('a.test', 'A'));
  await world.round();
  world.askKernel(query('a.test', 'A'));
  world.cache.end(ref);
  await world.round();
  assert.equal(world.rounds.answers, 1);
  const slot = 0;
  new Uint32Array(world.memory.marks, slot * 64, 16)[0]++;
  world.clock.passMs(laneQuarantineMs + 1);
  await world.round();
  assert.equal(world.rounds.answers, 2);
});

test('what the kernel answers stays in the cache, and counts for prefetch', async () => {
  const world = newWorld();
  const ref = world.keep('a.test');
  world.ask(query('a.test', 'A'));
  await world.round();
  world.cache.blocks.forgetFirstHit(ref);
  for (let time = 0; time < 4; time++) world.askKernel(query('a.test', 'A'));
  await world.round();
  assert.equal(world.cache.blocks.wasHit(ref), true);
  assert.equal(world.cache.blocks.touch(ref, world.clock.nowMs(), 60_000), 5);
});

test('where slots are rare, what nobody asks for makes room, and is published again when it is asked for', async () => {
  const world = newWorld();
  const names = Array.from({ length: (laneSlots - laneSlotsKeptFree) / 2 + 100 }, (_, number) => `n${number}.test`);
  for (const name of names) {
    world.keep(name, { lifetimeMs: 3_600_000 });
    world.ask(query(name, 'A'));
  }
  await world.round();
  assert.ok(world.slots.free < laneSlotsKeptFree);
  const full = world.slots.published;
  for (let round = 0; round <= laneIdleRoundsMax; round++) {
    assert.notEqual(world.askKernel(query(names[7], 'A')), null);
    world.clock.passMs(1_000);
    await world.round();
  }
  assert.ok(world.slots.published < full, `${world.slots.published} of ${full}`);
  assert.notEqual(world.askKernel(query(names[7], 'A')), null, 'it is asked for');
  const out = names.find((name) => world.askKernel(query(name, 'A')) === null)!;
  world.ask(query(out, 'A'));
  await world.round();
  assert.notEqual(world.askKernel(query(out, 'A')), null);
});

test('after its end nothing is published', async () => {
  const world = newWorld();
  world.keep('a.test');
  world.ask(query('a.test', 'A'));
  world.rounds.end();
  world.rounds.want([]);
  world.rounds.wantAll();
  world.rounds.count(world.clock.nowMs());
  assert.equal(world.slots.published, 0);
});

test('questions that the kernel answers often are told, with their numbers', async () => {
  const world = newWorld();
  for (const name of ['often.test', 'seldom.test']) {
    world.keep(name);
    world.ask(query(name, 'A'));
  }
  await world.round();
  world.askKernel(query('seldom.test', 'A'));
  for (let time = 0; time < 300; time++) world.askKernel(query('Often.test', 'A'));
  await world.round();
  assert.deepEqual(world.given, [['\x05often\x04test\0\0\x01', 300]]);
});
