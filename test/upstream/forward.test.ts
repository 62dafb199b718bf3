import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Outcome } from '../../src/upstream/ask.js';
import { anyResponsible, Forward, isResponsible, responsibility } from '../../src/upstream/forward.js';
import {
  answerTo,
  forwardConfig,
  type Query,
  question,
  request,
  server,
  startUpstreams,
  TestWorld,
  targets,
} from './scripted.js';

async function setUp(settings: Parameters<typeof forwardConfig>[0] = {}, count = 1) {
  const world = new TestWorld();
  const peers = await startUpstreams(world, count);
  const forward = new Forward(forwardConfig({ to: targets(1), ...settings }), world, world.log);
  forward.setEndpoints(
    peers.map((_, index) => server(index + 1)),
    world.clock.nowMs(),
  );
  world.clock.every(25, () => forward.sweep(world.clock.nowMs()));
  const outcomes: string[] = [];
  const ask = (name = 'a', clientTransport: 'udp' | 'tcp' = 'udp'): string | null => {
    const note = (outcome: Outcome): void => void outcomes.push(outcome.ok ? outcome.from : outcome.text);
    const asking = { askedAtMs: world.clock.nowMs(), done: note, late: null };
    const refusal = forward.ask(request(name, { clientTransport }), asking);
    return refusal === null ? null : `${refusal.why}: ${refusal.text}`;
  };
  return { world, peers, forward, ask, outcomes, clock: world.clock };
}

test('max_concurrent: one more is refused at once, and there is room again when one is answered', async () => {
  const { world, peers, ask, outcomes, clock, forward } = await setUp({ concurrentMax: 2 });
  peers[0].onQuery = () => {};
  assert.equal(ask(), null);
  assert.equal(ask(), null);
  assert.equal(ask(), 'overloaded: concurrent queries exceeded maximum 2');
  assert.equal(world.counters.total('forwardMaxConcurrentRejects'), 1);
  assert.equal(forward.inflight, 2);
  await clock.pass(1);
  peers[0].queries[0].reply(answerTo(peers[0].queries[0]));
  await clock.pass(1);
  assert.equal(outcomes.length, 1);
  assert.equal(ask(), null);
});

test('round_robin spreads evenly, random about evenly, sequential not at all', async () => {
  for (const [policy, check] of [
    ['round_robin', (counts: number[]) => assert.deepEqual(counts, [40, 40, 40])],
    [
      'random',
      (counts: number[]) =>
        assert(
          counts.every((count) => count > 20 && count < 60),
          `${counts}`,
        ),
    ],
    ['sequential', (counts: number[]) => assert.deepEqual(counts, [120, 0, 0])],
  ] as const) {
    const { peers, ask, clock } = await setUp({ policy }, 3);
    for (let asked = 0; asked < 120; asked++) {
      ask();
      await clock.pass(1);
    }
    check(peers.map(({ queries }) => queries.length));
  }
});

test('an upstream that dies is down after a while and skipped, and used again when it is back', async () => {
  const { world, peers, ask, clock, forward, outcomes } = await setUp({ policy: 'round_robin' }, 2);
  peers[0].die();
  for (let step = 0; step < 30; step++) {
    ask();
    await clock.pass(50);
  }
  assert.equal(forward.upstreams[0].stats.healthy, false);
  assert(outcomes.every((from) => from === '10.0.0.2:53'));
  const refusedBefore = world.counters.total('upstreamConnectFailures');
  for (let step = 0; step < 8; step++) ask();
  await clock.pass(1);
  assert.equal(world.counters.total('upstreamConnectFailures'), refusedBefore);
  await peers[0].listen();
  await clock.pass(1_000);
  assert.equal(forward.upstreams[0].stats.healthy, true);
  assert.deepEqual(world.logged, [
    'warn upstream 10.0.0.1:53 is down after 3 failures 10.0.0.1:53 3',
    'info upstream 10.0.0.1:53 is up again 10.0.0.1:53',
  ]);
  const before = peers[0].queries.length;
  for (let step = 0; step < 8; step++) ask();
  await clock.pass(1);
  assert.equal(peers[0].queries.length - before, 4);
});

test('all down: one is tried anyway, once and without pauses; with failfast nobody is', async () => {
  for (const failfastAllUnhealthy of [false, true]) {
    const { world, peers, ask, clock, outcomes } = await setUp({ failfastAllUnhealthy }, 2);
    for (const peer of peers) peer.die();
    for (let step = 0; step < 4; step++) {
      ask();
      await clock.pass(600);
    }
    outcomes.length = 0;
    const brokenBefore = world.counters.total('forwardHealthcheckBroken');
    const connectsBefore = world.counters.total('upstreamConnects');
    ask();
    await clock.pass(5);
    assert.equal(world.counters.total('forwardHealthcheckBroken'), brokenBefore + 1);
    assert.equal(world.counters.total('upstreamConnects'), connectsBefore + (failfastAllUnhealthy ? 0 : 1));
    if (failfastAllUnhealthy) assert.deepEqual(outcomes, ['no healthy proxies']);
    else assert.match(outcomes.join(), /^dial tcp 10\.0\.0\.[12]:53: connect: connection refused$/);
  }
});

test('all down, one comes back: the question that is tried anyway finds it before the probe does', async () => {
  const { peers, ask, clock, outcomes, forward } = await setUp({
    healthCheck: { intervalMs: 60_000, recursionDesired: true, domain: '.' },
  });
  peers[0].die();
  for (let step = 0; step < 4; step++) {
    ask();
    await clock.pass(60_000);
  }
  assert.equal(forward.upstreams[0].stats.healthy, false);
  await peers[0].listen();
  ask();
  await clock.pass(1);
  assert.equal(outcomes.at(-1), '10.0.0.1:53');
  assert.equal(forward.upstreams[0].stats.healthy, true);
});

test('health probes ask what health_check says, over UDP or as force_tcp', async () => {
  for (const transport of ['tcp', 'client'] as const) {
    const healthCheck = { intervalMs: 200, recursionDesired: false, domain: 'health.example.' };
    const { peers, ask, clock } = await setUp({ transport, healthCheck });
    peers[0].onQuery = (query) => {
      if (query.name === 'health.example') query.reply(answerTo(query, { rcode: 3 }));
    };
    ask();
    await clock.pass(2_000);
    const probes = peers[0].queries.filter(({ name }) => name === 'health.example');
    assert(probes.length >= 1);
    assert.equal(probes[0].transport, transport === 'tcp' ? 'tcp' : 'udp');
    assert.equal(probes[0].flags & 0x0100, 0);
    assert.equal(probes[0].question.readUInt16BE(probes[0].question.length - 4), 2);
  }
});

test('new endpoints: those that stay keep their connections, those that go finish what they were asked', async () => {
  const { world, peers, forward, ask, clock, outcomes } = await setUp({ policy: 'round_robin' }, 3);
  for (const peer of peers) peer.onQuery = () => {};
  for (let asked = 0; asked < 3; asked++) ask();
  await clock.pass(1);
  const stays = forward.upstreams[1];
  forward.setEndpoints([server(2), server(2), server(4)], clock.nowMs());
  assert.deepEqual(
    forward.upstreams.map(({ to }) => to),
    ['10.0.0.2:53', '10.0.0.4:53'],
  );
  assert.equal(forward.upstreams[0], stays);
  for (const { queries } of peers) queries[0].reply(answerTo(queries[0]));
  await clock.pass(1);
  assert.deepEqual(outcomes.sort(), ['10.0.0.1:53', '10.0.0.2:53', '10.0.0.3:53']);
  await clock.pass(50);
  assert.equal(world.network.open.connections, 1);
  assert.equal(forward.isOpen(clock.nowMs()), true);
  await clock.pass(30_000);
  assert.equal(forward.isOpen(clock.nowMs()), false);
});

test('source_address is where requests come from', async () => {
  for (const transport of ['udp', 'tcp'] as const) {
    const { peers, ask, clock } = await setUp({ sourceAddress: '192.0.2.7', transport });
    ask();
    await clock.pass(1);
    assert.equal(peers[0].queries[0].from.address, '192.0.2.7');
  }
});

test('expire and max_age close connections; a new one is opened when it is needed', async () => {
  const { world, peers, ask, clock, outcomes } = await setUp({ expireMs: 1_000, maxAgeMs: 3_000 });
  const streams = new Set<Query['stream']>();
  for (let step = 0; step < 70; step++) {
    ask();
    await clock.pass(100);
  }
  for (const { stream } of peers[0].queries) streams.add(stream);
  assert.equal(outcomes.length, 70);
  assert(streams.size >= 3 && streams.size <= 4, `${streams.size}`);
  assert.equal(world.network.open.connections, 1);
  await clock.pass(1_100);
  assert.equal(world.network.open.connections, 0);
});

test('stopped: every question fails, everything is closed', async () => {
  const { world, peers, forward, ask, clock, outcomes } = await setUp({ transport: 'client' });
  peers[0].onQuery = () => {};
  ask('a', 'udp');
  ask('b', 'tcp');
  await clock.pass(1);
  forward.stop(clock.nowMs());
  assert.equal(outcomes.length, 2);
  assert.equal(forward.inflight, 0);
  assert.equal(forward.isOpen(clock.nowMs()), false);
  await clock.pass(1);
  assert.deepEqual(world.network.open, { datagramSockets: 1, connections: 0 });
});

function isFor(names: { from: string; except?: string[] }, name: string): boolean {
  const asked = question(name);
  return isResponsible(responsibility({ except: [], ...names }), asked, asked.length - 4);
}

test('the root is for every name', () => {
  assert(isFor({ from: '.' }, ''));
  assert(isFor({ from: '.' }, 'a.b.c'));
});

test('a zone is for itself and what is below it, by whole labels, in any case', () => {
  assert(isFor({ from: 'cluster.local.' }, 'cluster.local'));
  assert(isFor({ from: 'cluster.local.' }, 'A.b.CLUSTER.Local'));
  assert(!isFor({ from: 'cluster.local.' }, 'mycluster.local'));
  assert(!isFor({ from: 'cluster.local.' }, 'local'));
  assert(!isFor({ from: 'cluster.local.' }, ''));
  assert(!isFor({ from: 'cluster.local.' }, 'cluster.local.org'));
});

test('a name whose label holds the bytes of the zone is not in it', () => {
  const zone = responsibility({ from: 'b.', except: [] });
  const name = Buffer.from('\x04a\x01b\x00\x00\x00\x01\x00\x01', 'latin1');
  assert.equal(isResponsible(zone, name, name.length - 4), false);
});

test('excepted names and those below them are for somebody else, but not the zone itself', () => {
  const names = { from: 'example.', except: ['intern.example.', 'x.example.', 'example.'] };
  assert(!isFor({ ...names, except: names.except.slice(0, 2) }, 'a.Intern.example'));
  assert(!isFor({ ...names, except: names.except.slice(0, 2) }, 'x.example'));
  assert(isFor({ ...names, except: names.except.slice(0, 2) }, 'xx.example'));
  assert(isFor(names, 'example'));
  assert(!isFor(names, 'a.example'));
});

test('a name is somebody’s when one of several is responsible for it', () => {
  const isTaken = anyResponsible(['a.', 'b.'].map((from) => responsibility({ from, except: [] })));
  const question = (label: string) => Buffer.from(`\x01x\x01${label}\x00\x00\x01\x00\x01`, 'latin1');
  assert.deepEqual(
    ['a', 'B', 'c'].map((label) => isTaken(question(label))),
    [true, true, false],
  );
});
