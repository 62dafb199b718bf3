/** Answers in use are asked for anew before they end; others are not, and no upstream gets much more to do by it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyDnssecOk } from '../../src/cache/blocks.js';
import { zonePlaces } from '../../src/counters.js';
import {
  laneDeadAfterMs,
  laneHeartbeatMs,
  laneRefreshBeforeMs,
  laneRefreshesBurst,
  laneRefreshesSkipped,
  laneRefreshIdleMs,
} from '../../src/limits.js';
import { finishNow } from '../cache/answers.js';
import { query } from '../resolve/context-fixture.js';
import { laneMemory, PublishedWorld } from './published.js';

const packet = query('a.test', 'A');
const asked = '\x01a\x04test\0\0\x01 0';

function newWorld(cache = '', directives = ''): PublishedWorld {
  return new PublishedWorld(`. {\n cache 3600 {\n${cache}\n }\n${directives}\n forward . 192.0.2.1\n}`);
}

/** Its answer for a.test lasts so many seconds, and so does each that the upstream gives. */
function inUse(world: PublishedWorld, seconds: number, upstreamSeconds = seconds): void {
  world.upstream = () => {
    world.keep('a.test', { lifetimeMs: upstreamSeconds * 1_000 });
    return true;
  };
  const ref = world.keep('a.test', { lifetimeMs: seconds * 1_000 });
  world.publisher.publish(ref, world.clock.nowMs());
}

function asks(world: PublishedWorld): () => void {
  return () => assert.notEqual(world.askKernel(packet), null);
}

test('at any moment each answer in use lasts longer than a hanging process goes unnoticed', async () => {
  for (const seconds of [3, 5, 30]) {
    const world = newWorld();
    inUse(world, seconds);
    const started = world.clock.nowMs();
    await world.passSeconds(65, () => {
      asks(world)();
      const { expiresAtMs } = world.publisher.of(publishedIn(world))!.use;
      assert.ok(expiresAtMs - world.clock.nowMs() >= laneDeadAfterMs + laneHeartbeatMs);
    });
    const each = (seconds * 1_000 - laneRefreshBeforeMs) / 1_000;
    const most = Math.floor((world.clock.nowMs() - started) / 1_000 / each);
    assert.ok(
      world.refreshes.asked <= most && world.refreshes.asked >= most - 5,
      `${world.refreshes.asked} of ${most}`,
    );
    assert.equal(new Set(world.asked).size, 1);
    assert.deepEqual([world.asked[0], world.asked.length], [asked, world.refreshes.asked]);
  }
});

function publishedIn(world: PublishedWorld): number {
  const ref = world.publisher.refs()[0];
  for (let slot = 0; ; slot++) if (world.slots.isPublished(slot) && world.publisher.of(slot)?.ref === ref) return slot;
}

test('a slow upstream is asked earlier from the second time on, and not before half of the time is over', async () => {
  for (const [seconds, tookMs, leftMs] of [
    [5, 800, laneDeadAfterMs + laneHeartbeatMs],
    [3, 800, laneDeadAfterMs],
    [30, 4_000, laneDeadAfterMs + laneHeartbeatMs],
  ]) {
    const world = newWorld();
    inUse(world, seconds);
    const arrivals: number[] = [];
    world.upstream = () => arrivals.push(world.clock.nowMs() + tookMs) > 0;
    const started = world.clock.nowMs();
    await world.passSeconds(10 * seconds, () => {
      if (world.clock.nowMs() >= arrivals[0] && arrivals.shift() !== undefined)
        world.keep('a.test', { lifetimeMs: seconds * 1_000 });
      const isAnswered = world.askKernel(packet) !== null;
      if (world.clock.nowMs() - started < 2 * seconds * 1_000) return;
      assert.ok(isAnswered);
      const { expiresAtMs } = world.publisher.of(publishedIn(world))!.use;
      assert.ok(
        expiresAtMs - world.clock.nowMs() >= leftMs,
        `${expiresAtMs - world.clock.nowMs()} ms left of ${seconds} s`,
      );
    });
    assert.ok(world.refreshes.asked <= 20, `${world.refreshes.asked} of 20`);
  }
});

test('what nobody asks for, or has not for a while, and what lasts two seconds or less is left to end', async () => {
  const idle = newWorld();
  inUse(idle, 5);
  await idle.passSeconds(5);
  assert.deepEqual(idle.asked, []);
  const former = newWorld();
  inUse(former, 30);
  asks(former)();
  await former.passSeconds(30);
  assert.deepEqual(former.asked, []);
  const lately = newWorld();
  inUse(lately, 30);
  await lately.passSeconds((30_000 - laneRefreshBeforeMs - laneRefreshIdleMs) / 1_000 + 1);
  asks(lately)();
  await lately.passSeconds(laneRefreshIdleMs / 1_000);
  assert.deepEqual(lately.asked, [asked]);
  const short = newWorld();
  inUse(short, 2);
  await short.passSeconds(1.8, asks(short));
  assert.deepEqual(short.asked, []);
});

test('the same question, with its bits and for A where a denial for AAAA follows it, is asked once', async () => {
  const world = newWorld('', ' aaaa smart');
  inUse(world, 5);
  world.upstream = () => true;
  const aaaa = query('a.test', 'AAAA');
  await world.passSeconds(4.8, () => assert.notEqual(world.askKernel(aaaa), null));
  assert.deepEqual(world.asked, [asked]);
  const secure = newWorld();
  inUse(secure, 5);
  secure.publisher.publish(secure.keep('b.test', { key: keyDnssecOk, lifetimeMs: 5_000 }), secure.clock.nowMs());
  const dnssec = query('b.test', 'A', { dnssecOk: true });
  await secure.passSeconds(4.8, () => assert.notEqual(secure.askKernel(dnssec), null));
  assert.deepEqual(secure.asked, ['\x01b\x04test\0\0\x01 1']);
});

test('what the upstream says now is given from then on, before the old answer has ended', async () => {
  const world = newWorld();
  inUse(world, 5);
  world.upstream = () => world.keep('a.test', { records: 3, lifetimeMs: 5_000 }) !== 0;
  await world.passSeconds(4.6, asks(world));
  assert.equal(world.askKernel(packet)!.readUInt16BE(6), 3);
  world.upstream = () => world.keep('a.test', { denied: true, lifetimeMs: 5_000 }) !== 0;
  await world.passSeconds(4.6, asks(world));
  assert.equal(world.askKernel(packet)![3] & 0x0f, 3);
});

test('of an upstream that is silent or fails it is asked once; the answer is given to its end, and not after it', async () => {
  for (const upstream of [() => true, () => false]) {
    const world = newWorld();
    inUse(world, 5);
    world.upstream = upstream;
    await world.passSeconds(4.8, asks(world));
    assert.deepEqual(world.asked, [asked]);
    await world.passSeconds(0.2);
    assert.equal(world.askKernel(packet), null);
    await world.passSeconds(5);
    assert.equal(world.asked.length, 1);
    assert.equal(world.refreshes.asked, upstream() ? 1 : 0);
  }
});

test('an answer that comes a second later, after the end of the old one, is published at once', async () => {
  const world = newWorld();
  inUse(world, 5);
  world.upstream = () => true;
  await world.passSeconds(4.8, asks(world));
  await world.passSeconds(0.4);
  assert.equal(world.askKernel(packet), null);
  world.keep('a.test', { lifetimeMs: 5_000 });
  assert.notEqual(world.askKernel(packet), null);
});

test('an upstream that counts TTLs down is not asked twice for each answer', async () => {
  const world = newWorld();
  let cachedUntilMs = 0;
  let answered = 0;
  const answer = (): boolean => {
    answered++;
    const nowMs = world.clock.nowMs();
    if (nowMs >= cachedUntilMs) cachedUntilMs = nowMs + 5_000;
    return world.keep('a.test', { lifetimeMs: Math.ceil((cachedUntilMs - nowMs) / 1_000) * 1_000 }) !== 0;
  };
  answer();
  world.upstream = answer;
  world.ask(packet);
  await world.passSeconds(300, () => {
    if (world.askKernel(packet) === null && world.ask(packet) === 'handed over') answer();
  });
  const lives = 300 / 5;
  const most = lives * (1 + 1 / (laneRefreshesSkipped - 1)) + 1;
  assert.ok(answered > lives / 2 && answered <= most, `${answered} of ${most}`);
  assert.ok(world.refreshes.asked >= 3);
});

test('names that are asked for twice and never again cost a quarter more, beyond the burst', async () => {
  const world = newWorld();
  const names = laneRefreshesBurst + 1_000;
  for (let number = 0; number < names; number++)
    world.publisher.publish(world.keep(`n${number}.test`, { lifetimeMs: 5_000 }), world.clock.nowMs());
  for (let number = 0; number < names; number++) world.askKernel(query(`n${number}.test`, 'A'));
  await world.passSeconds(5);
  assert.ok(world.refreshes.asked <= laneRefreshesBurst, `${world.refreshes.asked}`);
  assert.equal(world.refreshes.asked + world.refreshes.denied, names);
});

test('a refresh whose answer is asked for does not count against the budget', async () => {
  const world = newWorld();
  const names = Array.from({ length: laneRefreshesBurst / 2 }, (_, number) => `n${number}.test`);
  const packets = names.map((name) => query(name, 'A'));
  world.upstream = (question) => {
    const name = names[Number(String.fromCharCode(...question.subarray(2, question[0] + 1)))];
    return world.keep(name, { lifetimeMs: 3_000 }) !== 0;
  };
  for (const name of names) world.publisher.publish(world.keep(name, { lifetimeMs: 3_000 }), world.clock.nowMs());
  let times = 0;
  await world.passSeconds(21, () => {
    if (times++ % 5 === 0) for (const one of packets) assert.notEqual(world.askKernel(one), null);
  });
  assert.equal(world.refreshes.denied, 0);
  assert.ok(world.refreshes.asked > 8 * names.length, `${world.refreshes.asked}`);
});

test('after a reload and in a successor refreshes go on, of answers without an entry too', async () => {
  const world = newWorld();
  inUse(world, 5);
  await world.passSeconds(2, asks(world));
  world.publisher.takeOutAll(world.clock.nowMs());
  world.generation = 2;
  world.publisher.follow([world.spine.listener.table], 2);
  world.rounds.wantAll();
  await world.round();
  await world.passSeconds(2.4, asks(world));
  assert.deepEqual(world.asked, [asked]);
  const memory = laneMemory();
  for (const part of ['slots', 'index', 'marks'] as const)
    new Uint8Array(memory[part]).set(new Uint8Array(world.memory[part]));
  const next = new PublishedWorld('. {\n cache 3600\n forward . 192.0.2.1\n}', memory);
  next.clock.passMs(world.clock.nowMs() - next.clock.nowMs());
  next.generation = 2;
  next.publisher.follow([next.spine.listener.table], 2);
  next.upstream = () => next.keep('a.test', { records: 2, lifetimeMs: 5_000 }) !== 0;
  finishNow(next.publisher.adopt(next.slots.adopt(2)));
  await next.passSeconds(4.8, asks(next));
  assert.deepEqual(next.asked, [asked]);
  assert.equal(next.askKernel(packet)!.readUInt16BE(6), 2);
});

test('after its end nothing is asked', async () => {
  const world = newWorld();
  inUse(world, 5);
  await world.passSeconds(3, asks(world));
  world.refreshes.end();
  for (let look = 0; look < 10; look++) {
    world.clock.passMs(laneHeartbeatMs);
    await world.clock.pass(0);
  }
  assert.deepEqual(world.asked, []);
});

test('prefetch refreshes what the kernel gives, when the spine would begin it and after as many hits', async () => {
  const world = newWorld('  prefetch 3 1m 20%');
  inUse(world, 30);
  const base = world.spine.context.counters.zoneBase(world.spine.zone('.').ordinal);
  const prefetches = (): number => world.spine.context.counters.zones[base + zonePlaces.prefetches];
  await world.passSeconds(23.8, asks(world));
  assert.deepEqual([world.asked.length, prefetches()], [0, 0]);
  await world.passSeconds(1.4, asks(world));
  assert.deepEqual([world.asked, prefetches(), world.refreshes.asked], [[asked], 1, 0]);
  const rare = newWorld('  prefetch 3 1m 20%');
  inUse(rare, 30);
  await rare.passSeconds(27);
  asks(rare)();
  await rare.passSeconds(1.8);
  assert.deepEqual(rare.asked, []);
});
