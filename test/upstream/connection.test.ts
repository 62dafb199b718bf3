import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  askAgainAfterMs,
  connectionInflightMax,
  connectTimeoutMs,
  idQuarantineMs,
  quarantinedIdsMax,
} from '../../src/limits.js';
import type { Random } from '../../src/os/random.js';
import { type Attempt, type Carrier, type Loss, notSent } from '../../src/upstream/attempt.js';
import { Connection, Ids } from '../../src/upstream/connection.js';
import type { UpstreamAddress } from '../../src/upstream/endpoint.js';
import { framed } from '../simulation/framing.js';
import { seededRandom } from '../simulation/random.js';
import { answerTo, request, ScriptedUpstream, server, TestWorld } from './scripted.js';

class Probe implements Attempt {
  carrier: Carrier | null = null;
  sentAtMs = notSent;
  readonly allowsOpt = true;
  readonly isHedge = false;
  readonly request;
  messages: Buffer[] = [];
  losses: Loss[] = [];
  acceptsNext = true;
  constructor(name: string, dnssecOk = false) {
    this.request = request(name, { dnssecOk });
  }
  accepts(): boolean {
    return this.acceptsNext;
  }
  answered(message: Uint8Array): void {
    this.messages.push(Buffer.from(message));
  }
  lost(loss: Loss): void {
    this.losses.push(loss);
  }
}

const unlimited = Number.POSITIVE_INFINITY;

async function setUp(settings: Partial<UpstreamAddress['settings']> = {}) {
  const world = new TestWorld();
  const upstream = await ScriptedUpstream.start(world);
  const address = world.address(server(1), settings);
  const events: string[] = [];
  const owner = {
    answered: (connection: Connection) => events.push(`answered, ${connection.inflight} left`),
    closed: (connection: Connection) => events.push(`closed, ${connection.inflight} owed`),
    took: () => {},
    gave: () => {},
  };
  const open = (): Connection => new Connection(address, owner, world.clock.nowMs());
  const ask = (connection: Connection, name: string, dnssecOk = false): Probe => {
    const probe = new Probe(name, dnssecOk);
    connection.send(probe, world.clock.nowMs());
    return probe;
  };
  return { world, upstream, events, open, ask, clock: world.clock };
}

test('what one turn asks leaves in one write', async () => {
  const { world, upstream, open, ask, clock } = await setUp();
  const connection = open();
  const probes = Array.from({ length: 10 }, (_, index) => ask(connection, `n${index}`));
  await clock.pass(1);
  assert.deepEqual(upstream.reads, [10]);
  assert.equal(world.network.traffic('tcp', server(1)).packetsToServer, 1);
  assert(probes.every(({ messages }) => messages.length === 1));
  const later = [ask(connection, 'later'), ask(connection, 'too')];
  await clock.pass(1);
  assert.deepEqual(upstream.reads, [10, 2]);
  assert(later.every(({ messages }) => messages.length === 1));
});

test('answers find their questions in any order', async () => {
  const { upstream, open, ask, clock } = await setUp();
  upstream.onQuery = () => {};
  const connection = open();
  const probes = Array.from({ length: 6 }, (_, index) => ask(connection, `n${index}`));
  await clock.pass(1);
  for (const index of [3, 0, 5, 4, 1, 2]) upstream.queries[index].reply(answerTo(upstream.queries[index]));
  await clock.pass(1);
  probes.forEach((probe, index) => {
    assert.equal(probe.messages.length, 1);
    assert(probe.messages[0].includes(Buffer.from(`n${index}`)));
    assert.equal(probe.carrier, null);
  });
  assert.equal(connection.inflight, 0);
  assert.equal(connection.answers, 6);
});

test('answers split at every byte, and many in one read, come out whole', async () => {
  for (const chunks of [1, 2, 3, 7, 'random'] as const) {
    const { world, upstream, open, ask, clock } = await setUp();
    world.network.faults.chunks = chunks;
    upstream.onQuery = () => {};
    const connection = open();
    const probes = Array.from({ length: 5 }, (_, index) => ask(connection, `n${index}`));
    await clock.pass(1);
    const replies = upstream.queries.map((query) => framed(answerTo(query)));
    upstream.streams[0].write(Buffer.concat(replies));
    await clock.pass(1);
    assert(probes.every(({ messages }) => messages.length === 1));
  }
});

test('over TCP an OPT is sent for DO alone', async () => {
  const { upstream, open, ask, clock } = await setUp();
  const connection = open();
  ask(connection, 'plain');
  ask(connection, 'do', true);
  await clock.pass(1);
  assert.deepEqual(
    upstream.queries.map(({ hasOpt }) => hasOpt),
    [false, true],
  );
});

test('ids are random, differ in flight, and are never used again while a late answer may come', async () => {
  const { upstream, open, ask, clock } = await setUp({ deadlineMs: 60_000 });
  upstream.onQuery = () => {};
  const connection = open();
  const givenUpAt = new Map<number, number>();
  for (let round = 0; round < 60; round++) {
    const probes = Array.from({ length: connectionInflightMax }, (_, index) => ask(connection, `n${index}`));
    await clock.pass(250);
    for (const { id, atMs } of upstream.queries.splice(0)) {
      const before = givenUpAt.get(id);
      assert(before === undefined || atMs - before >= idQuarantineMs);
      givenUpAt.set(id, clock.nowMs());
    }
    for (const probe of probes) connection.abandon(probe, clock.nowMs());
    assert.equal(connection.inflight, 0);
  }
  assert(givenUpAt.size > 700);
});

test('a late answer is dropped and counted', async () => {
  const { world, upstream, open, ask, clock } = await setUp();
  upstream.onQuery = () => {};
  const connection = open();
  const probe = ask(connection, 'late');
  await clock.pass(1);
  connection.abandon(probe, clock.nowMs());
  upstream.queries[0].reply(answerTo(upstream.queries[0]));
  await clock.pass(1);
  assert.equal(probe.messages.length, 0);
  assert.equal(world.counters.total('answersRejectedId'), 1);
  assert.equal(connection.takes(unlimited, clock.nowMs()), true);
});

test('an attempt given up in the turn it was made is not sent', async () => {
  const { upstream, open, ask, clock } = await setUp();
  const connection = open();
  const gone = ask(connection, 'gone');
  const stays = ask(connection, 'stays');
  connection.abandon(gone, clock.nowMs());
  const takesItsPlace = ask(connection, 'replaces');
  await clock.pass(1);
  assert.deepEqual(upstream.names().sort(), ['replaces', 'stays']);
  assert.equal(stays.messages.length + takesItsPlace.messages.length, 2);
  assert.equal(gone.messages.length + gone.losses.length, 0);
});

test('a wrong id, an empty frame and one byte are counted and change nothing', async () => {
  const { world, upstream, open, ask, clock } = await setUp();
  upstream.onQuery = (query) => {
    query.reply(answerTo(query, { id: query.id ^ 1 }));
    query.reply(new Uint8Array(0));
    query.reply(Uint8Array.of(1));
    query.reply(answerTo(query));
  };
  const probe = ask(open(), 'a');
  await clock.pass(1);
  assert.equal(probe.messages.length, 1);
  assert.equal(world.counters.total('answersRejectedId'), 1);
  assert.equal(world.counters.total('answersRejectedMalformed'), 2);
});

test('an attempt that does not accept a message waits on', async () => {
  const { upstream, open, ask, clock } = await setUp();
  upstream.onQuery = () => {};
  const connection = open();
  const probe = ask(connection, 'a');
  probe.acceptsNext = false;
  await clock.pass(1);
  upstream.queries[0].reply(answerTo(upstream.queries[0]));
  await clock.pass(1);
  assert.equal(connection.inflight, 1);
  probe.acceptsNext = true;
  upstream.queries[0].reply(answerTo(upstream.queries[0]));
  await clock.pass(1);
  assert.equal(probe.messages.length, 1);
  assert.equal(connection.inflight, 0);
});

test('refused, unreachable and never answered connects are lost with blame, once', async () => {
  for (const [make, text] of [
    [(_: TestWorld, upstream: ScriptedUpstream) => upstream.die(), 'dial tcp 10.0.0.1:53: connect: connection refused'],
    [(world: TestWorld) => world.network.setUnreachable(server(1)), 'dial tcp 10.0.0.1:53: connect: no route to host'],
    [(world: TestWorld) => world.network.stall(server(1)), 'dial tcp 10.0.0.1:53: i/o timeout'],
  ] as const) {
    const { world, upstream, events, open, ask, clock } = await setUp();
    make(world, upstream);
    const connection = open();
    assert.equal(connection.waitsFor, 'connect');
    const probes = [ask(connection, 'a'), ask(connection, 'b')];
    await clock.pass(connectTimeoutMs);
    connection.sweep(clock.nowMs());
    await clock.pass(10);
    for (const { losses } of probes)
      assert.deepEqual(
        losses.map(({ text, blame }) => [text, blame]),
        [[text, true]],
      );
    assert.deepEqual(events, ['closed, 2 owed']);
    assert.equal(world.counters.total('upstreamConnectFailures'), 1);
    assert.equal(connection.takes(unlimited, clock.nowMs()), false);
  }
});

test('a connection that ends owing answers is lost, with blame only if it never gave one', async () => {
  const { upstream, events, open, ask, clock } = await setUp();
  upstream.onQuery = (query) => query.stream?.end();
  const unborn = ask(open(), 'a');
  await clock.pass(1);
  assert.deepEqual(unborn.losses, [{ why: 'unreachable', text: 'EOF', blame: true }]);
  upstream.onQuery = (query) => {
    if (query.name === 'last') query.stream?.destroy();
    else query.reply(answerTo(query));
  };
  const connection = open();
  ask(connection, 'first');
  await clock.pass(1);
  const last = ask(connection, 'last');
  await clock.pass(1);
  assert.equal(last.losses.length, 1);
  assert.equal(last.losses[0].blame, false);
  assert.deepEqual(events, ['closed, 1 owed', 'answered, 0 left', 'closed, 1 owed']);
});

test('a reset in the middle of an answer loses what was asked, and half an answer is not taken for one', async () => {
  const { world, upstream, open, ask, clock } = await setUp();
  upstream.onQuery = (query) => query.stream?.write(framed(answerTo(query)).subarray(0, 20));
  const probe = ask(open(), 'a');
  await clock.pass(1);
  world.network.resetConnections(server(1));
  await clock.pass(1);
  assert.equal(probe.messages.length, 0);
  assert.deepEqual(probe.losses, [
    { why: 'unreachable', text: 'read tcp 10.0.0.1:53: connection reset by peer', blame: true },
  ]);
});

test('one that owes answers and is silent takes nothing new, recovers when it speaks, and is closed at the deadline', async () => {
  const { world, upstream, events, open, ask, clock } = await setUp({ deadlineMs: 1_900 });
  upstream.onQuery = () => {};
  const connection = open();
  const probes = [ask(connection, 'a'), ask(connection, 'b')];
  await clock.pass(askAgainAfterMs - 1);
  assert.equal(connection.takes(unlimited, clock.nowMs()), true);
  await clock.pass(1);
  assert.equal(connection.takes(unlimited, clock.nowMs()), false);
  upstream.queries[0].reply(answerTo(upstream.queries[0]));
  await clock.pass(1);
  assert.equal(connection.takes(unlimited, clock.nowMs()), true);
  connection.abandon(probes[1], clock.nowMs());
  await clock.pass(askAgainAfterMs);
  assert.equal(connection.takes(unlimited, clock.nowMs()), false, 'giving up does not make it trustworthy');
  await clock.pass(1_900);
  connection.sweep(clock.nowMs());
  assert.deepEqual(events, ['answered, 1 left', 'closed, 0 owed']);
  assert.equal(world.counters.total('upstreamSuspectsClosed'), 1);
});

test('it takes no more than fits, and no more in its life than is said', async () => {
  const { upstream, open, ask, clock } = await setUp();
  const connection = open();
  assert.equal(connection.isNew, true);
  ask(connection, 'a');
  assert.equal(connection.isNew, false);
  assert.equal(connection.takes(1, clock.nowMs()), false);
  await clock.pass(1);
  assert.equal(connection.takes(1, clock.nowMs()), false);
  assert.equal(connection.takes(2, clock.nowMs()), true);
  upstream.onQuery = () => {};
  for (let index = 0; index < connectionInflightMax; index++) {
    assert.equal(connection.takes(unlimited, clock.nowMs()), true);
    ask(connection, `n${index}`);
  }
  assert.equal(connection.takes(unlimited, clock.nowMs()), false);
});

test('too many ids at rest end its usefulness', async () => {
  const { upstream, open, ask, clock } = await setUp({ deadlineMs: 60_000 });
  upstream.onQuery = () => {};
  const connection = open();
  for (let given = 0; given < quarantinedIdsMax; given++) {
    assert.equal(connection.takes(unlimited, clock.nowMs()), true);
    const probe = ask(connection, 'a');
    await clock.pass(0);
    connection.abandon(probe, clock.nowMs());
  }
  assert.equal(connection.takes(unlimited, clock.nowMs()), false);
});

test('an idle connection is closed after expire, one in use is not', async () => {
  const { upstream, events, open, ask, clock } = await setUp({ expireMs: 1_000 });
  const connection = open();
  ask(connection, 'a');
  await clock.pass(999);
  connection.sweep(clock.nowMs());
  assert.deepEqual(events, ['answered, 0 left']);
  upstream.onQuery = () => {};
  const probe = ask(connection, 'b');
  await clock.pass(1_500);
  connection.sweep(clock.nowMs());
  assert.equal(probe.losses.length, 0);
  upstream.queries[1].reply(answerTo(upstream.queries[1]));
  await clock.pass(1_000);
  connection.sweep(clock.nowMs());
  assert.deepEqual(events.slice(1), ['answered, 0 left', 'closed, 0 owed']);
});

test('max_age: not used afterwards, closed once its answers are there, each at an age of its own', async () => {
  const { upstream, events, open, ask, clock } = await setUp({ maxAgeMs: 3_000, expireMs: 60_000, deadlineMs: 60_000 });
  upstream.onQuery = () => {};
  const connections = Array.from({ length: 20 }, open);
  await clock.pass(1);
  const probe = ask(connections[0], 'a');
  const ages = new Set<number>();
  const startMs = clock.nowMs();
  for (let step = 0; step <= 30; step++) {
    for (const [index, connection] of connections.entries()) {
      if (index > 0 && !connection.takes(unlimited, clock.nowMs())) ages.add(clock.nowMs() - startMs);
    }
    await clock.pass(100);
  }
  assert(ages.size > 3, 'they do not all end at once');
  assert(Math.min(...ages) >= 1_900);
  assert(connections.every((connection) => !connection.takes(unlimited, clock.nowMs())));
  connections[0].sweep(clock.nowMs());
  assert.deepEqual(events, []);
  upstream.queries[0].reply(answerTo(upstream.queries[0]));
  await clock.pass(1);
  connections[0].sweep(clock.nowMs());
  assert.equal(probe.messages.length, 1);
  assert.deepEqual(events, ['answered, 0 left', 'closed, 0 owed']);
});

test('retired: what is in flight is still answered, then it closes; closed: what is in flight is lost', async () => {
  const { upstream, events, open, ask, clock } = await setUp();
  upstream.onQuery = () => {};
  const retired = open();
  const probe = ask(retired, 'a');
  await clock.pass(1);
  retired.retire(clock.nowMs());
  assert.equal(retired.takes(unlimited, clock.nowMs()), false);
  upstream.queries[0].reply(answerTo(upstream.queries[0]));
  await clock.pass(1);
  assert.equal(probe.messages.length, 1);
  assert.deepEqual(events, ['closed, 0 owed']);
  const closed = open();
  const lost = ask(closed, 'b');
  await clock.pass(1);
  closed.close(clock.nowMs());
  closed.close(clock.nowMs());
  await clock.pass(1);
  assert.equal(lost.losses.length, 1);
  assert.equal(lost.losses[0].blame, false);
});

test('what has come is acknowledged when the turn ends, if more is owed and no query is written that does it', async () => {
  const { open, ask, upstream, world, clock } = await setUp();
  let acknowledged = 0;
  const connect = world.network.connectStream.bind(world.network);
  world.network.connectStream = (...preference) =>
    Object.assign(connect(...preference), { acknowledge: () => acknowledged++ });
  upstream.onQuery = () => {};
  const connection = open();
  for (const name of ['a', 'b']) ask(connection, name);
  await clock.pass(1);
  const [first, second] = upstream.queries;
  first.reply(answerTo(first));
  await clock.pass(1);
  assert.equal(acknowledged, 1);
  second.reply(answerTo(second));
  await clock.pass(1);
  assert.equal(acknowledged, 1, 'nothing is owed any more');
  ask(connection, 'c').answered = () => void ask(connection, 'e');
  ask(connection, 'd');
  await clock.pass(1);
  const [third] = upstream.queries.slice(2);
  third.reply(answerTo(third));
  await clock.pass(1);
  assert.equal(upstream.queries.length, 5);
  assert.equal(acknowledged, 1, 'what was written did it');
});

/** An exception of one request, which is a bug of ours. */
const planted = (): never => {
  throw new Error('planted');
};

test('an exception about one answer: those that came with it find their requests all the same', async () => {
  const { upstream, open, ask, clock } = await setUp();
  upstream.onQuery = () => {};
  const connection = open();
  const probes = Array.from({ length: 3 }, (_, index) => ask(connection, `n${index}`));
  probes[1].answered = planted;
  await clock.pass(1);
  const answers = upstream.queries.map((query) => framed(answerTo(query)));
  upstream.queries[0].stream!.write(Buffer.concat(answers));
  await assert.rejects(clock.pass(1), /planted/u);
  assert.deepEqual(
    probes.map(({ messages }) => messages.length),
    [1, 0, 1],
  );
  assert.equal(connection.inflight, 0);
});

test('an exception about one lost request: the others are told that they are lost', async () => {
  const { open, ask, clock } = await setUp();
  const connection = open();
  const probes = Array.from({ length: 3 }, (_, index) => ask(connection, `n${index}`));
  probes[0].lost = planted;
  assert.throws(() => connection.close(clock.nowMs()), /planted/u);
  assert.deepEqual(
    probes.map(({ losses }) => losses.length),
    [0, 1, 1],
  );
});

test('a request that cannot be written: the others of that turn leave, and later ones, too', async () => {
  const { upstream, open, ask, clock } = await setUp();
  const connection = open();
  const bad = ask(connection, 'bad');
  Object.defineProperty(bad, 'request', { get: planted });
  ask(connection, 'good');
  assert.throws(() => connection.flush(), /planted/u);
  await clock.pass(1);
  ask(connection, 'later');
  await clock.pass(1);
  assert.deepEqual(upstream.names(), ['good', 'later']);
});

/** Gives these numbers in turn. */
function scripted(...numbers: number[]): Random {
  return { below: () => numbers.shift() ?? assert.fail('no number left') };
}

test('an id in flight is not taken', () => {
  const ids = new Ids(scripted(7, 7, 9));
  assert.equal(
    ids.take((id) => id === 7, 0),
    9,
  );
});

test('an id that was given up rests for as long as a late answer may come', () => {
  const ids = new Ids(scripted(7, 8, 7, 9, 7));
  const free = (): boolean => false;
  ids.rest(7, 1000);
  assert.equal(ids.take(free, 1000), 8);
  assert.equal(ids.take(free, 1000 + idQuarantineMs - 1), 9);
  assert.equal(ids.take(free, 1000 + idQuarantineMs), 7);
});

test('ids use all 16 bits and do not follow each other', () => {
  const ids = new Ids(seededRandom(3));
  const taken = Array.from({ length: 2000 }, () => ids.take(() => false, 0));
  assert(Math.max(...taken) > 65_000 && Math.min(...taken) < 500);
  const steps = new Set(taken.slice(1).map((id, index) => id - taken[index]));
  assert(steps.size > 1900);
  assert(taken.every((id) => Number.isInteger(id) && id >= 0 && id < 65_536));
});

test('so many resting ids are a reason to stop, until they have rested', () => {
  const ids = new Ids(seededRandom(1));
  for (let id = 0; id < quarantinedIdsMax - 1; id++) ids.rest(id, 0);
  assert.equal(ids.isExhausted(0), false);
  ids.rest(60_000, 10);
  assert.equal(ids.isExhausted(idQuarantineMs - 1), true);
  assert.equal(ids.isExhausted(idQuarantineMs), false);
});
