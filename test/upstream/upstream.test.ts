import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Attempt, type Carrier, notSent } from '../../src/upstream/attempt.js';
import { Upstream, type UpstreamTransport } from '../../src/upstream/upstream.js';
import { answerTo, request, ScriptedUpstream, server, TestWorld } from './scripted.js';

/** Nothing is open and no probe is out. */
function isAtRest({ open, health }: Upstream): boolean {
  return open === 0 && !health.isProbing;
}

class Plain implements Attempt {
  carrier: Carrier | null = null;
  sentAtMs = notSent;
  readonly allowsOpt = true;
  readonly isHedge = false;
  readonly request = request('a');
  outcomes: string[] = [];
  accepts(): boolean {
    return true;
  }
  answered(): void {
    this.outcomes.push('answered');
  }
  lost(): void {
    this.outcomes.push('lost');
  }
}

async function setUp(probeTransport: UpstreamTransport = 'udp') {
  const world = new TestWorld();
  const peer = await ScriptedUpstream.start(world);
  const health = { failsMax: 1, intervalMs: 500, request: { ...request(''), recursionDesired: false } };
  const address = world.address(server(1));
  const upstream = new Upstream(
    address,
    { health, probeTransport, maySpend: () => true, scoutAnswered() {} },
    world.log,
  );
  world.clock.every(25, () => upstream.sweep(world.clock.nowMs()));
  return { world, peer, upstream, clock: world.clock, address };
}

test('attempts go by the transport they ask for', async () => {
  const { peer, upstream, clock } = await setUp();
  const attempts = [new Plain(), new Plain()];
  assert(upstream.send(attempts[0], 'udp', clock.nowMs(), null));
  assert(upstream.send(attempts[1], 'tcp', clock.nowMs(), null));
  await clock.pass(1);
  assert.deepEqual(peer.queries.map(({ transport }) => transport).sort(), ['tcp', 'udp']);
  assert(attempts.every(({ outcomes }) => outcomes.length === 1));
  assert.equal(upstream.open, 2);
  assert.equal(isAtRest(upstream), false);
});

test("an answer to a worker's query is heard as one over TCP, and tells how long the upstream takes", async () => {
  const { upstream } = await setUp();
  const { rtt } = upstream;
  const { p95Ms } = rtt;
  assert.equal(upstream.transportFor('tcp', ['tcp'], 1_000), 'udp', 'nothing came over TCP yet');
  upstream.answeredDirectly(0, 8, 1_000);
  assert.ok(rtt.averageMs > 0 && rtt.averageMs < 8 && rtt.p95Ms < p95Ms);
  assert.deepEqual([rtt.lastHeardMs, rtt.hasAnsweredSince(992), rtt.hasAnsweredSince(993)], [1_000, true, false]);
  assert.equal(upstream.transportFor('tcp', ['tcp'], 1_000), 'tcp');
  assert.deepEqual([upstream.stats.reused, upstream.stats.opened, upstream.open], [[0, 1], [0, 0], 0]);
});

test('it remembers when it was heard', async () => {
  const { upstream } = await setUp();
  assert.equal(upstream.rtt.wasHeardSince(0), false);
  upstream.heard(90, 100);
  assert.equal(upstream.rtt.wasHeardSince(100), true);
  assert.equal(upstream.rtt.wasHeardSince(101), false);
});

test('a probe has a way of its own, as the health check says, which stays open for questions when it is answered', async () => {
  for (const transport of ['udp', 'tcp'] as const) {
    const { world, peer, upstream, clock, address } = await setUp(transport);
    peer.onQuery = () => {};
    upstream.health.failed(clock.nowMs());
    await clock.pass(1);
    const [probe] = peer.queries;
    assert.equal(probe.transport, transport);
    assert.equal(probe.name, '');
    assert.equal(probe.flags & 0x0100, 0, 'no_rec');
    probe.reply(answerTo(probe, { rcode: 5 }));
    await clock.pass(50);
    assert.equal(upstream.health.isProbing, false);
    assert.equal(upstream.open, 1);
    assert.deepEqual(address.stats.opened, [0, 0]);
    peer.onQuery = (query) => query.reply(answerTo(query));
    upstream.send(new Plain(), transport, clock.nowMs(), null);
    await clock.pass(50);
    assert.equal(peer.queries[1].from.port, probe.from.port);
    assert.deepEqual([address.stats.opened, address.stats.reused].flat().toSorted(), [0, 0, 0, 1]);
    await clock.pass(10_000);
    assert.equal(isAtRest(upstream), true);
    assert.deepEqual(world.network.open, { datagramSockets: 1, connections: 0 });
  }
});

test('probes that are not answered or refused are followed by others, and leave nothing open', async () => {
  for (const transport of ['udp', 'tcp'] as const) {
    const { world, peer, upstream, clock } = await setUp(transport);
    peer.onQuery = () => {};
    upstream.health.failed(clock.nowMs());
    await clock.pass(3_500);
    assert(upstream.health.isDown);
    assert(peer.queries.length <= 7, `${peer.queries.length}`);
    peer.die();
    await clock.pass(3_000);
    await peer.listen();
    peer.onQuery = (query) => query.reply(answerTo(query));
    await clock.pass(1_600);
    assert.equal(upstream.health.isDown, false);
    await clock.pass(10_000);
    assert.equal(isAtRest(upstream), true);
    assert.deepEqual(world.network.open, { datagramSockets: 1, connections: 0 });
  }
});

test('retired, it finishes what it was asked; closed, it drops it', async () => {
  const { world, peer, upstream, clock } = await setUp();
  peer.onQuery = () => {};
  const attempts = [new Plain(), new Plain(), new Plain()];
  upstream.send(attempts[0], 'udp', clock.nowMs(), null);
  upstream.send(attempts[1], 'tcp', clock.nowMs(), null);
  await clock.pass(1);
  upstream.retire(clock.nowMs());
  for (const query of peer.queries) query.reply(answerTo(query));
  await clock.pass(1);
  assert(attempts.slice(0, 2).every(({ outcomes }) => outcomes.join() === 'answered'));
  assert.equal(isAtRest(upstream), true);
  upstream.send(attempts[2], 'tcp', clock.nowMs(), null);
  await clock.pass(1);
  upstream.close(clock.nowMs());
  await clock.pass(1);
  assert.deepEqual(attempts[2].outcomes, ['lost']);
  assert.equal(world.network.open.connections, 0);
});

test('what answers no question is counted', async () => {
  const { world, upstream } = await setUp();
  upstream.rejected('stranger');
  upstream.rejected('garbage');
  assert.equal(world.counters.total('answersRejectedQuestion'), 1);
  assert.equal(world.counters.total('answersRejectedMalformed'), 1);
});
