/**
 * Everything at once, at random: upstreams that lie, stall, close, refuse and come back, on a network that loses,
 * cuts and reorders. However it goes, every question gets one outcome by its deadline, an answer is to the question
 * that was asked, and afterwards nothing is left. SEED repeats a run.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ForwardConfig } from '../../src/config/config.js';
import { doubtStockMs, slowDeadlineMs, sweepPeriodMs } from '../../src/limits.js';
import type { Random } from '../../src/os/random.js';
import { seededRandom } from '../simulation/random.js';
import { answerTo, type Query, question, request, ScriptedUpstream, server, TestWorld, targets } from './scripted.js';

const runs = 30;
const { SEED: seedGiven } = process.env;
const firstSeed = Number(seedGiven ?? 1);
const lastSeed = seedGiven === undefined ? runs : firstSeed;

const misdeeds: readonly ((query: Query, world: TestWorld, random: Random) => void)[] = [
  () => {},
  (query) => query.reply(answerTo(query, { id: query.id ^ 1 })),
  (query) => query.reply(answerTo(query, { question: question('poison.example'), addresses: ['6.6.6.6'] })),
  (query) => query.reply(answerTo(query).subarray(0, 30)),
  (query, _, random) => query.reply(Uint8Array.from({ length: random.below(80) }, () => random.below(256))),
  (query) => query.reply(answerTo(query, { truncated: true })),
  (query) => query.reply(answerTo(query, { rcode: 1, question: null })),
  (query) => query.reply(answerTo(query, { rcode: 2 })),
  (query) => query.stream?.end(),
  (query) => query.stream?.destroy(),
  (query, world, random) => void world.clock.after(random.below(3_000), () => query.reply(answerTo(query))),
  (query) => {
    query.reply(answerTo(query));
    query.reply(answerTo(query));
    query.stream?.end();
  },
];

async function run(seed: number): Promise<void> {
  const random = seededRandom(seed * 7919);
  const world = new TestWorld(seed);
  const oneOf = <T>(values: readonly T[]): T => values[random.below(values.length)];
  Object.assign(world.network.faults, {
    latencyMs: random.below(5),
    jitterMs: random.below(20),
    dropShare: oneOf([0, 0.1, 0.3]),
    duplicateShare: oneOf([0, 0.1]),
    reorderShare: oneOf([0, 0.1]),
    reorderMs: 50,
    chunks: oneOf(['asWritten', 'random', 1, 7] as const),
    resetShare: oneOf([0, 0.01, 0.1]),
  });
  const misdeedShare = oneOf([0, 0.1, 0.5, 1]);
  const peers: ScriptedUpstream[] = [];
  for (const number of [1, 2, 3]) {
    const peer = await ScriptedUpstream.start(world, server(number));
    peer.onQuery = (query) => {
      if (random.below(1000) < misdeedShare * 1000) oneOf(misdeeds)(query, world, random);
      else query.reply(answerTo(query));
    };
    peers.push(peer);
  }
  const settings: Partial<ForwardConfig> = {
    to: targets(...oneOf([[1], [1, 2], [1, 2, 3]])),
    policy: oneOf(['random', 'round_robin', 'sequential'] as const),
    transport: oneOf(['client', 'tcp', 'udp'] as const),
    failsMax: random.below(3),
    readTimeoutMs: oneOf([2_000, 300]),
    failover: oneOf([[], [2]]),
    next: oneOf([[], [2, 3]]),
    concurrentMax: oneOf([0, 0, 20]),
    maxAgeMs: oneOf([0, 500]),
    expireMs: oneOf([100, 3_000]),
    idleConnectionsMax: oneOf([0, 1]),
    failfastAllUnhealthy: random.below(2) === 0,
  };
  const forwards = world.start(settings, { to: targets(2) });
  const outcomes = new Map<number, number>();
  let asked = 0;
  const ask = (): void => {
    const number = asked++;
    const askedAtMs = world.clock.nowMs();
    const asking = request(`n${number}.example`, {
      clientTransport: oneOf(['udp', 'tcp']),
      dnssecOk: random.below(2) === 0,
    });
    let hasReturned = false;
    forwards.ask(asking, (outcome) => {
      assert(hasReturned, 'not before the call has returned');
      assert(!outcomes.has(number), 'one outcome');
      outcomes.set(number, world.clock.nowMs() - askedAtMs);
      if (!outcome.ok) return;
      const message = Buffer.from(outcome.message);
      assert.deepEqual(message.subarray(12, 12 + asking.question.length), Buffer.from(asking.question));
      assert.equal(message.readUInt16BE(2) & 0xf800, 0x8000);
    });
    hasReturned = true;
  };
  for (let step = 0; step < 60; step++) {
    for (let burst = random.below(12); burst > 0; burst--) ask();
    const event = random.below(40);
    if (event === 0) world.network.resetConnections(server(1));
    if (event === 1) world.network.stall(server(1));
    if (event === 2) world.network.resume(server(1));
    if (event === 3) peers[0].die();
    if (event === 4) {
      peers[0].die();
      await peers[0].listen();
    }
    await world.clock.pass(random.below(200));
  }
  await world.clock.pass(slowDeadlineMs + 2 * sweepPeriodMs);
  assert.equal(outcomes.size, asked, 'every question has an outcome');
  assert.equal(forwards.inflight(), 0);
  const slowest = Math.max(0, ...outcomes.values());
  assert(slowest <= slowDeadlineMs + 2 * sweepPeriodMs, `${slowest} ms`);
  for (const peer of peers) peer.onQuery = (query) => query.reply(answerTo(query));
  Object.assign(world.network.faults, { dropShare: 0, resetShare: 0, duplicateShare: 0, reorderShare: 0 });
  world.network.resume(server(1));
  peers[0].die();
  await peers[0].listen();
  // What is kept at hand while the address is in doubt goes as well when it is asked no more.
  await world.clock.pass(doubtStockMs + 20_000);
  assert.equal(world.network.open.connections, 0, 'no connection is left');
  assert.equal(world.network.open.datagramSockets, peers.length, 'no socket is left');
  assert(
    forwards.upstreams().every(({ healthy }) => healthy),
    'all are up again',
  );
  forwards.stop();
  await world.clock.pass(10);
  assert.equal(world.clock.timersSet, 0, 'no timer is left');
}

for (let seed = firstSeed; seed <= lastSeed; seed++) {
  test(`every question gets one outcome whatever goes wrong, seed ${seed}`, () => run(seed));
}
