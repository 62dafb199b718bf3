import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  askAgainAfterMsMin,
  connectionInflightMax,
  connectionInflightTarget,
  connectionsPerUpstreamMax,
  connectsAtOnceMax,
  shortConnectionsMs,
  upstreamQueueMax,
} from '../../src/limits.js';
import { type Attempt, type Carrier, type Loss, notSent } from '../../src/upstream/attempt.js';
import type { UpstreamAddress } from '../../src/upstream/endpoint.js';
import { Pool } from '../../src/upstream/pool.js';
import { answerTo, noScouts, type Query, request, ScriptedUpstream, server, TestWorld } from './scripted.js';

class Plain implements Attempt {
  carrier: Carrier | null = null;
  sentAtMs = notSent;
  readonly allowsOpt = true;
  readonly isHedge = false;
  readonly request;
  answers = 0;
  losses: Loss[] = [];
  constructor(name: string) {
    this.request = request(name);
  }
  accepts(): boolean {
    return true;
  }
  answered(): void {
    this.answers++;
  }
  lost(loss: Loss): void {
    this.losses.push(loss);
  }
}

async function setUp(settings: Partial<UpstreamAddress['settings']> = {}) {
  const world = new TestWorld();
  const upstream = await ScriptedUpstream.start(world);
  const address = world.address(server(1), settings);
  const pool = new Pool(address, noScouts());
  /** `except`: it was asked there before, just now. */
  const ask = (name = 'a', except: Carrier | null = null): Plain => {
    const attempt = new Plain(name);
    const nowMs = world.clock.nowMs();
    const hedge = except === null ? null : { tried: [except], sinceMs: nowMs - askAgainAfterMsMin };
    assert.notEqual(pool.send(attempt, nowMs, hedge), 'full');
    return attempt;
  };
  const perStream = (): number[] => {
    const counts = new Map<Query['stream'], number>();
    for (const { stream } of upstream.queries) counts.set(stream, (counts.get(stream) ?? 0) + 1);
    return [...counts.values()].sort((a, b) => b - a);
  };
  return { world, upstream, address, pool, ask, perStream, clock: world.clock };
}

test('one question after another uses one connection', async () => {
  const { address, pool, ask, clock } = await setUp();
  for (let asked = 0; asked < 20; asked++) {
    const attempt = ask();
    await clock.pass(5);
    assert.equal(attempt.answers, 1);
  }
  assert.equal(pool.size, 1);
  assert.deepEqual(address.stats.opened, [0, 1]);
  assert.deepEqual(address.stats.reused, [0, 19]);
});

test('many at once are spread over several connections, few on each', async () => {
  const { upstream, pool, ask, perStream, clock } = await setUp();
  upstream.onQuery = () => {};
  for (let asked = 0; asked < 40; asked++) ask(`n${asked}`);
  await clock.pass(1);
  assert.equal(upstream.queries.length, 40);
  const loads = perStream();
  assert.equal(loads.length, connectsAtOnceMax);
  assert(loads[0] - loads[loads.length - 1] <= connectionInflightTarget, `${loads}`);
  assert.equal(pool.size, loads.length);
});

/** So many questions are under way, on as many turns of the loop, after so many quick answers that the pace is known. */
async function busy(inflight: number) {
  const all = await setUp();
  const { upstream, address, ask, clock } = all;
  for (let count = 0; count < 2_000; count++) address.rtt.took(0.5);
  upstream.onQuery = () => {};
  for (let asked = 0; asked < inflight; asked++) {
    ask(`n${asked}`);
    if (asked % 4 === 3) await clock.pass(0);
  }
  await clock.pass(1);
  return all;
}

test('where much is under way at a fast upstream, what one turn asks goes in one write', async () => {
  const { upstream, ask, perStream, clock } = await busy(8 * 14);
  const [{ stream }] = upstream.queries;
  for (const query of upstream.queries) if (query.stream === stream) query.reply(answerTo(query));
  await clock.pass(1);
  upstream.queries.length = 0;
  for (let asked = 0; asked < 10; asked++) ask(`turn${asked}`);
  await clock.pass(1);
  assert.deepEqual(perStream(), [10]);
});

test('after one of its connections was held up each carries few for a while, then many again', async () => {
  const { upstream, address, ask, perStream, clock } = await busy(8 * 10);
  await clock.pass(address.rtt.heldUpMs);
  const spread = async (name: string): Promise<number> => {
    upstream.queries.length = 0;
    for (let asked = 0; asked < 6; asked++) ask(`${name}${asked}`);
    await clock.pass(1);
    return perStream().length;
  };
  assert((await spread('held')) > 1);
  upstream.onQuery = (query) => query.reply(answerTo(query));
  assert((await spread('soon')) > 1);
});

test('what is asked once more does not follow the others of this turn', async () => {
  const { ask } = await busy(8 * 10);
  const first = ask('first');
  const hedge = ask('again', ask('other').carrier);
  assert.notEqual(hedge.carrier, first.carrier);
});

test('an open connection with little to do is preferred to one that has to be opened', async () => {
  const { upstream, pool, ask, perStream, clock } = await setUp();
  ask();
  await clock.pass(1);
  upstream.queries.length = 0;
  upstream.onQuery = () => {};
  const most = 2 * connectionInflightTarget;
  for (let asked = 0; asked < most; asked++) ask();
  await clock.pass(1);
  assert.deepEqual(perStream(), [most]);
  assert.equal(pool.size, 2, 'one more is there for those that follow');
  for (let asked = 0; asked < 3; asked++) ask();
  await clock.pass(1);
  assert.deepEqual(perStream(), [most, 3], 'the least loaded first');
});

test('connections and the queue are bounded, and what waits is served as answers come', async () => {
  const { upstream, pool, ask, clock, world } = await setUp();
  upstream.onQuery = () => {};
  const room = connectionsPerUpstreamMax * connectionInflightMax;
  const attempts = [];
  for (let asked = 0; asked < room; asked++) {
    attempts.push(ask());
    if (asked % 20 === 0) await clock.pass(0);
  }
  await clock.pass(0);
  assert.equal(pool.size, connectionsPerUpstreamMax);
  while (pool.waiting < upstreamQueueMax) attempts.push(ask());
  assert.equal(pool.send(new Plain('x'), clock.nowMs(), null), 'full');
  await clock.pass(0);
  assert.equal(upstream.queries.length, room);
  upstream.onQuery = (query) => query.reply(answerTo(query));
  for (const query of upstream.queries.slice()) query.reply(answerTo(query));
  await clock.pass(10);
  assert(attempts.every(({ answers, losses }) => answers === 1 && losses.length === 0));
  assert.equal(pool.waiting, 0);
  assert.equal(world.network.open.connections, connectionsPerUpstreamMax);
});

test('a burst does not open everything at once', async () => {
  const { pool, ask } = await setUp();
  for (let asked = 0; asked < 500; asked++) ask();
  assert.equal(pool.size, connectsAtOnceMax);
  assert.equal(pool.waiting, 500 - connectsAtOnceMax * connectionInflightMax);
});

test('an attempt does not go where it is told not to', async () => {
  const { upstream, pool, ask, perStream, clock } = await setUp();
  upstream.onQuery = () => {};
  const first = ask();
  await clock.pass(1);
  ask('again', first.carrier);
  await clock.pass(1);
  assert.deepEqual(perStream(), [1, 1]);
  assert.equal(pool.size, 2);
});

test('a lost connection is replaced by the next question, and what it owed is told', async () => {
  const { world, upstream, pool, ask, clock } = await setUp();
  upstream.onQuery = () => {};
  const attempts = [ask('a'), ask('b')];
  await clock.pass(1);
  world.network.resetConnections(server(1));
  await clock.pass(1);
  assert.equal(pool.size, 0);
  assert(attempts.every(({ losses }) => losses.length === 1));
  upstream.onQuery = (query) => query.reply(answerTo(query));
  const next = ask('c');
  await clock.pass(1);
  assert.equal(next.answers, 1);
});

test('a server seen to close after one answer is asked one thing per connection, until it may have changed', async () => {
  const { upstream, ask, clock, perStream } = await setUp();
  const answerAndClose = (query: Query): void => {
    query.reply(answerTo(query));
    query.stream?.end();
  };
  const seen = new Set<Query['stream']>();
  upstream.onQuery = (query) => {
    if (seen.has(query.stream)) return;
    seen.add(query.stream);
    answerAndClose(query);
  };
  const first = Array.from({ length: 20 }, () => ask());
  await clock.pass(5);
  assert(first.some(({ losses }) => losses.length > 0));
  upstream.queries.length = 0;
  const second = Array.from({ length: 20 }, () => ask());
  await clock.pass(5);
  assert(second.every(({ answers, losses }) => answers === 1 && losses.length === 0));
  assert.deepEqual(perStream(), new Array(20).fill(1));
  upstream.onQuery = (query) => query.reply(answerTo(query));
  await clock.pass(shortConnectionsMs);
  upstream.queries.length = 0;
  for (let asked = 0; asked < 5; asked++) {
    ask();
    await clock.pass(1);
  }
  assert.deepEqual(perStream(), [5]);
});

test('idle connections are closed by max_idle_conns and by expire', async () => {
  const limited = await setUp({ idleConnectionsMax: 2 });
  for (let asked = 0; asked < 30; asked++) limited.ask();
  await limited.clock.pass(5);
  assert.equal(limited.pool.size, 2);
  const { pool, ask, clock } = await setUp({ expireMs: 500 });
  for (let asked = 0; asked < 30; asked++) ask();
  await clock.pass(5);
  assert(pool.size > 2);
  await clock.pass(500);
  pool.sweep(clock.nowMs());
  assert.equal(pool.size, 0);
});

test('retired, it closes as it becomes idle; closed, it is empty', async () => {
  const { upstream, pool, ask, clock, world } = await setUp();
  upstream.onQuery = () => {};
  const attempt = ask();
  await clock.pass(1);
  pool.retire(clock.nowMs());
  upstream.queries[0].reply(answerTo(upstream.queries[0]));
  await clock.pass(1);
  assert.equal(attempt.answers, 1);
  assert.equal(pool.size, 0);
  const lost = ask();
  pool.close(clock.nowMs());
  assert.equal(lost.losses.length, 1);
  await clock.pass(1);
  assert.equal(world.network.open.connections, 0);
});

test('what is asked again goes to the connection that was heard last, not to an idle one that may be dead too', async () => {
  const { upstream, pool, ask, clock } = await setUp();
  const held: Query[] = [];
  upstream.onQuery = (query) => held.push(query);
  const first = Array.from({ length: 12 }, (_, index) => ask(`n${index}`));
  await clock.pass(1);
  const carriers = [...new Set(first.map(({ carrier }) => carrier))];
  assert(carriers.length >= 3);
  for (const query of held) query.reply(answerTo(query));
  await clock.pass(askAgainAfterMsMin + 1);
  const [dead, idle] = carriers;
  const silent = ask('silent');
  assert.equal(silent.carrier, dead);
  const other = ask('other', idle);
  const heard = other.carrier;
  assert(heard !== dead && heard !== idle);
  await clock.pass(1);
  const query = held.at(-1)!;
  query.reply(answerTo(query));
  await clock.pass(1);
  assert.equal(ask('again', dead).carrier, heard);
  assert.equal(pool.size, carriers.length);
});
