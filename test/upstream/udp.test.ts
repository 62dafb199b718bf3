import assert from 'node:assert/strict';
import { test } from 'node:test';
import { udpRequestsPerSocketMax, udpSocketsPerUpstreamMax, upstreamQueueMax } from '../../src/limits.js';
import type { DatagramEvents, DatagramSocket, Endpoint } from '../../src/os/network.js';
import { type Attempt, type Carrier, type Loss, notSent } from '../../src/upstream/attempt.js';
import type { UpstreamAddress } from '../../src/upstream/endpoint.js';
import { UdpSockets } from '../../src/upstream/udp.js';
import { answerTo, noScouts, type Query, request, ScriptedUpstream, server, TestWorld } from './scripted.js';

class Plain implements Attempt {
  readonly isHedge: boolean = false;
  carrier: Carrier | null = null;
  sentAtMs = notSent;
  readonly request = request('a');
  messages = 0;
  losses: Loss[] = [];
  accepting = true;
  constructor(readonly allowsOpt = true) {}
  accepts(): boolean {
    return this.accepting;
  }
  answered(): void {
    this.messages++;
  }
  lost(loss: Loss): void {
    this.losses.push(loss);
  }
}

async function setUp(settings: Partial<UpstreamAddress['settings']> = {}) {
  const world = new TestWorld();
  const upstream = await ScriptedUpstream.start(world);
  const address = world.address(server(1), settings);
  const udp = new UdpSockets(address, noScouts());
  const ask = (allowsOpt = true): Plain => {
    const attempt = new Plain(allowsOpt);
    assert.notEqual(udp.send(attempt, world.clock.nowMs(), null), 'full');
    return attempt;
  };
  return { world, upstream, address, udp, ask, clock: world.clock };
}

test('a request carries an OPT unless it may not', async () => {
  const { upstream, ask, clock } = await setUp();
  ask();
  ask(false);
  await clock.pass(1);
  assert.deepEqual(upstream.queries.map(({ hasOpt }) => hasOpt).sort(), [false, true]);
});

test('the OPT names the size that is set; a repetition, whose first answer may have been lost as fragments, 1232 at most', async () => {
  for (const [udpBytes, sizes] of [
    [4_096, [4_096, 1_232]],
    [512, [512, 512]],
  ] as const) {
    const { upstream, udp, clock } = await setUp({ udpBytes });
    for (const isHedge of [false, true]) {
      udp.send(Object.assign(new Plain(), { isHedge }), clock.nowMs(), null);
      await clock.pass(1);
    }
    assert.deepEqual(
      upstream.queries.map(({ bytes }) => bytes.subarray(-11).readUInt16BE(3)),
      sizes,
    );
  }
});

test('every request under way has a port of its own, and ids tell nothing about each other', async () => {
  const { upstream, ask, clock } = await setUp();
  upstream.onQuery = () => {};
  for (let asked = 0; asked < 200; asked++) ask();
  await clock.pass(1);
  assert.equal(new Set(upstream.queries.map(({ from }) => from.port)).size, 200);
  const steps = upstream.queries.slice(1).map(({ id }, index) => id - upstream.queries[index].id);
  assert(new Set(steps).size > 190);
});

test('a port serves a few requests, one after another, with a new id each, and is then changed', async () => {
  const { upstream, address, ask, clock } = await setUp();
  const selection = 3 * udpRequestsPerSocketMax;
  for (let asked = 0; asked < selection; asked++) {
    ask();
    await clock.pass(1);
  }
  const perPort = new Map<number, number[]>();
  for (const { from, id } of upstream.queries) perPort.set(from.port, [...(perPort.get(from.port) ?? []), id]);
  assert.deepEqual(
    [...perPort.values()].map((ids) => ids.length),
    new Array(3).fill(udpRequestsPerSocketMax),
  );
  for (const ids of perPort.values()) assert(ids.every((id, index) => id !== ids[index - 1]));
  assert.deepEqual(address.stats.opened, [3, 0]);
  assert.deepEqual(address.stats.reused, [selection - 3, 0]);
});

// Until here such a request waited on: any number of wrong ids could be tried before the right one.
test('a wrong id, an answer that is not accepted, an empty datagram: the request is lost, and the right answer finds nobody', async () => {
  const { world, upstream, udp, ask, clock } = await setUp();
  const strange: ((query: Query) => Uint8Array)[] = [
    (query) => answerTo(query, { id: query.id ^ 0x8000 }),
    () => new Uint8Array(0),
    (query) => Uint8Array.of(query.id >> 8),
  ];
  for (const first of strange) {
    upstream.onQuery = (query) => {
      query.reply(first(query));
      query.reply(answerTo(query));
    };
    const attempt = ask();
    await clock.pass(1);
    assert.deepEqual([attempt.messages, attempt.carrier, udp.size], [0, null, 0]);
    assert.deepEqual(attempt.losses, [
      {
        why: 'malformed',
        text: 'read udp 10.0.0.1:53: unsolicited answers',
        blame: false,
        isDisturbed: true,
      },
    ]);
  }
  assert.equal(world.counters.total('answersRejectedId'), 1);
  assert.equal(world.counters.total('answersRejectedMalformed'), 2);
  const picky = ask();
  picky.accepting = false;
  await clock.pass(1);
  assert.deepEqual([picky.messages, picky.losses.length, udp.size], [0, 1, 0]);
});

test('a probe waits on, as any answer will do, and its port is not used again', async () => {
  const { upstream, udp, clock } = await setUp();
  upstream.onQuery = (query) => {
    query.reply(answerTo(query, { id: query.id ^ 0x8000 }));
    query.reply(answerTo(query));
  };
  const probe = Object.assign(new Plain(), { isProbe: true as const });
  udp.scout(probe, clock.nowMs());
  await clock.pass(1);
  assert.deepEqual([probe.messages, probe.losses, udp.size], [1, [], 0]);
});

test('an answer that comes twice, the second time to the next request, costs the port and not the request', async () => {
  const { upstream, udp, ask, clock } = await setUp();
  ask();
  await clock.pass(1);
  const [first] = upstream.queries;
  upstream.onQuery = (query) => {
    for (let times = 0; times < 3; times++) query.reply(answerTo(first));
    query.reply(answerTo(query));
  };
  const second = ask();
  await clock.pass(1);
  assert.equal(upstream.queries[1].from.port, first.from.port);
  assert.deepEqual([second.messages, second.losses, udp.size], [1, [], 0]);
});

test('a second answer, when nothing waits any more, costs the port', async () => {
  const { world, upstream, udp, ask, clock } = await setUp();
  upstream.onQuery = (query) => {
    query.reply(answerTo(query));
    query.reply(answerTo(query));
  };
  const attempt = ask();
  await clock.pass(1);
  assert.equal(attempt.messages, 1);
  assert.equal(udp.size, 0);
  assert.equal(world.network.open.datagramSockets, 1, 'the upstream’s own');
  assert.equal(world.counters.total('answersRejectedId'), 1);
});

test('a request that was given up takes its port with it: the late answer finds nobody', async () => {
  const { upstream, udp, ask, clock } = await setUp();
  upstream.onQuery = () => {};
  const attempt = ask();
  await clock.pass(1);
  attempt.carrier?.abandon(attempt, clock.nowMs());
  assert.equal(udp.size, 0);
  assert.equal(attempt.carrier, null);
  upstream.queries[0].reply(answerTo(upstream.queries[0]));
  await clock.pass(1);
  assert.equal(attempt.messages, 0);
});

test('nobody listens: lost, in the words of the reference', async () => {
  const { upstream, udp, ask, clock } = await setUp();
  upstream.die();
  const attempt = ask();
  await clock.pass(1);
  assert.deepEqual(attempt.losses, [
    { why: 'unreachable', text: 'read udp 10.0.0.1:53: connection refused', blame: true },
  ]);
  assert.equal(udp.size, 0);
});

test('an error on an idle socket closes it', async () => {
  const { world, address, clock } = await setUp();
  const sockets: DatagramEvents[] = [];
  const network = {
    ...world.network.from('10.9.9.9'),
    connectDatagrams(to: Endpoint, events: DatagramEvents): DatagramSocket {
      sockets.push(events);
      return world.network.connectDatagrams(to, events);
    },
  };
  const udp = new UdpSockets({ ...address, deps: { ...address.deps, network } }, noScouts());
  udp.send(new Plain(), clock.nowMs(), null);
  await clock.pass(1);
  assert.equal(udp.size, 1);
  sockets[0].error(new Error('the interface went away'));
  assert.equal(udp.size, 0);
});

test('sockets and the queue are bounded, and what waits is served as sockets come free', async () => {
  const { upstream, udp, ask, clock } = await setUp();
  upstream.onQuery = () => {};
  const attempts = Array.from({ length: udpSocketsPerUpstreamMax + 100 }, () => ask());
  await clock.pass(1);
  assert.equal(udp.size, udpSocketsPerUpstreamMax);
  assert.equal(udp.waiting, 100);
  assert.equal(upstream.queries.length, udpSocketsPerUpstreamMax);
  while (udp.waiting < upstreamQueueMax) attempts.push(ask());
  assert.equal(udp.send(new Plain(), clock.nowMs(), null), 'full');
  upstream.onQuery = (query) => query.reply(answerTo(query));
  for (const query of upstream.queries.slice()) query.reply(answerTo(query));
  await clock.pass(1);
  assert(attempts.every(({ messages }) => messages === 1));
  assert.equal(udp.waiting, 0);
});

test('idle sockets expire; retired, they close at once and the rest when answered', async () => {
  const { upstream, udp, ask, clock } = await setUp({ expireMs: 700 });
  ask();
  await clock.pass(1);
  assert.equal(udp.size, 1);
  await clock.pass(698);
  udp.sweep(clock.nowMs());
  assert.equal(udp.size, 1);
  await clock.pass(1);
  udp.sweep(clock.nowMs());
  assert.equal(udp.size, 0);
  ask();
  await clock.pass(1);
  upstream.onQuery = () => {};
  ask();
  const waits = ask();
  await clock.pass(1);
  udp.retire();
  assert.equal(udp.size, 2);
  upstream.queries.at(-1)?.reply(answerTo(upstream.queries.at(-1)!));
  await clock.pass(1);
  assert.equal(udp.size, 1);
  udp.close();
  assert.equal(udp.size, 0);
  assert.equal(waits.carrier, null);
});
