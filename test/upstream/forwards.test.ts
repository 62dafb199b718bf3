import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idleSweepPeriodMs, queryDeadlineMs, sweepPeriodMs } from '../../src/limits.js';
import type { Outcome } from '../../src/upstream/ask.js';
import { Forwards } from '../../src/upstream/forwards.js';
import {
  Asking,
  answerTo,
  forwardConfig,
  type Query,
  request,
  server,
  startUpstreams,
  TestWorld,
  targets,
} from './scripted.js';

async function setUp(count = 1) {
  const world = new TestWorld();
  const peers = await startUpstreams(world, count);
  return { world, peers, clock: world.clock };
}

const nxdomain = (query: Query): void => query.reply(answerTo(query, { rcode: 3 }));

test('a question is asked and answered, and all is at rest afterwards', async () => {
  const { world, peers, clock } = await setUp();
  const forwards = new Forwards([forwardConfig({})], world);
  assert.equal(clock.timersSet, 0, 'nothing runs before something is asked');
  const asking = new Asking(world, forwards);
  const asked = asking.ask('a.example');
  assert.equal(forwards.inflight(), 1);
  await clock.pass(5);
  assert.equal(asked.got?.text, 'rcode 0');
  assert.equal(asked.got?.from, '10.0.0.1:53');
  assert.equal(forwards.inflight(), 0);
  assert.deepEqual(peers[0].names(), ['a.example']);
  await clock.pass(20_000);
  assert.equal(world.network.open.connections, 0);
  assert.equal(clock.timersSet, 0);
});

test('the state of each upstream is that of the moment', async () => {
  const { world, clock } = await setUp();
  const forwards = new Forwards([forwardConfig({})], world);
  const asking = new Asking(world, forwards);
  const still = { to: '10.0.0.1:53', from: '.', isTls: false, isDown: false, isFailing: false, isLooping: false };
  assert.deepEqual(forwards.states(), [{ ...still, open: 0, suspects: 0, averageMs: 0, heardAgoMs: null }]);
  asking.ask('a.example');
  await clock.pass(5);
  const [state] = forwards.states();
  assert.ok(state.averageMs >= 0 && state.heardAgoMs !== null && state.heardAgoMs <= 5);
  assert.equal(state.open, 1);
});

test('the sweep is slow while connections are only kept open', async () => {
  const { world, clock } = await setUp();
  let ticks = 0;
  const counting = {
    ...world,
    clock: {
      nowMs: () => clock.nowMs(),
      wallMs: () => clock.wallMs(),
      rest: () => clock.rest(),
      after: (ms: number, run: () => void) => clock.after(ms, run),
      every: (ms: number, run: () => void) =>
        clock.every(ms, () => {
          ticks++;
          run();
        }),
    },
  };
  const asking = new Asking(world, new Forwards([forwardConfig({ expireMs: 60_000 })], counting));
  asking.ask('a');
  await clock.pass(100);
  ticks = 0;
  await clock.pass(10 * idleSweepPeriodMs);
  assert(ticks <= 11, `${ticks}`);
});

test('the first forward whose zone has the name, and does not except it, is asked', async () => {
  const { world, peers, clock } = await setUp(3);
  const forwards = world.start(
    { from: 'cluster.local.', to: targets(1), except: ['out.cluster.local.'] },
    { from: 'example.', to: targets(2) },
    { from: 'local.', to: targets(3) },
  );
  const asking = new Asking(world, forwards);
  for (const name of ['a.Cluster.LOCAL', 'b.example', 'x.out.cluster.local', 'local']) asking.ask(name);
  const nobody = asking.ask('elsewhere.org');
  await clock.pass(1);
  assert.deepEqual(
    peers.map((peer) => peer.names()),
    [['a.Cluster.LOCAL'], ['b.example'], ['x.out.cluster.local', 'local']],
  );
  assert.equal(nobody.got?.text, 'nobody: plugin/forward: no next plugin found');
});

test('without any forward nobody is responsible', async () => {
  const { world, clock } = await setUp();
  const asked = new Asking(world, world.start()).ask('a');
  assert.equal(asked.got, null);
  await clock.pass(0);
  assert.match(asked.got!.text, /^nobody/);
});

test('next: these rcodes lead to the following forward that is for the name, within one deadline', async () => {
  const { world, peers, clock } = await setUp(3);
  peers[0].onQuery = nxdomain;
  const forwards = world.start(
    { to: targets(1), next: [3, 5] },
    { from: 'other.', to: targets(2) },
    { to: targets(3) },
  );
  const asking = new Asking(world, forwards);
  const found = asking.ask('a.example');
  await clock.pass(1);
  assert.equal(found.got?.from, '10.0.0.3:53');
  assert.deepEqual(peers[1].names(), []);
  peers[0].onQuery = (query) => query.reply(answerTo(query, { rcode: 2 }));
  const servfail = asking.ask('b.example');
  await clock.pass(1);
  assert.equal(servfail.got?.text, 'rcode 2');
  const startMs = clock.nowMs();
  peers[0].onQuery = (query) => clock.after(1_000, () => nxdomain(query));
  peers[2].onQuery = () => {};
  const late = asking.ask('c.example');
  await clock.pass(3_000);
  assert.match(late.got!.text, /^timeout/);
  assert(late.got!.atMs - startMs <= queryDeadlineMs + 2 * sweepPeriodMs);
});

test('next: without a following forward the answer is given; next_on_nodata', async () => {
  const { world, peers, clock } = await setUp(2);
  peers[0].onQuery = nxdomain;
  const alone = new Asking(world, world.start({ to: targets(1), next: [3] }, { from: 'b.', to: targets(2) })).ask('a');
  await clock.pass(1);
  assert.equal(alone.got?.text, 'rcode 3');
  const asking = new Asking(world, world.start({ to: targets(1), nextOnNodata: true }, { to: targets(2) }));
  const denied = asking.ask('a');
  await clock.pass(1);
  assert.equal(denied.got?.from, '10.0.0.1:53');
  peers[0].onQuery = (query) => query.reply(answerTo(query, { addresses: [] }));
  const nodata = asking.ask('a');
  await clock.pass(1);
  assert.equal(nodata.got?.from, '10.0.0.2:53');
  peers[0].onQuery = (query) => query.reply(answerTo(query, { addresses: [], truncated: true }));
  const cut = asking.ask('a');
  await clock.pass(1);
  assert.equal(cut.got?.from, '10.0.0.1:53', 'what was cut says nothing of what there is');
  peers[0].onQuery = (query) => query.reply(answerTo(query));
  const data = asking.ask('a');
  await clock.pass(1);
  assert.equal(data.got?.from, '10.0.0.1:53');
});

test('resolv.conf: its servers are asked, and a change swaps them live', async () => {
  const { world, peers, clock } = await setUp(3);
  world.files.set('/etc/resolv.conf', [server(1), server(2)]);
  const forwards = world.start({ to: [{ kind: 'file', path: '/etc/resolv.conf' }] }, { from: 'x.', to: targets(3) });
  assert.deepEqual(
    forwards.upstreams().map(({ to }) => to),
    ['10.0.0.1:53', '10.0.0.2:53', '10.0.0.3:53'],
  );
  const asking = new Asking(world, forwards);
  peers[0].onQuery = () => {};
  const under = asking.ask('under.way');
  await clock.pass(1);
  world.files.set('/etc/resolv.conf', [server(3)]);
  forwards.resolvConfChanged('/etc/hosts');
  assert.equal(forwards.upstreams().length, 3);
  forwards.resolvConfChanged('/etc/resolv.conf');
  assert.deepEqual(
    forwards.upstreams().map(({ to }) => to),
    ['10.0.0.3:53', '10.0.0.3:53'],
  );
  const after = asking.ask('after');
  await clock.pass(1);
  assert.equal(after.got?.from, '10.0.0.3:53');
  peers[0].queries[0].reply(answerTo(peers[0].queries[0]));
  await clock.pass(1);
  assert.equal(under.got?.from, '10.0.0.1:53');
  world.files.set('/etc/resolv.conf', { error: 'no nameserver line' } as never);
  forwards.resolvConfChanged('/etc/resolv.conf');
  assert.equal(forwards.upstreams().length, 2);
  assert.deepEqual(world.logged, [], 'reading the file has logged why');
  await clock.pass(60_000);
  assert.equal(clock.timersSet, 0);
});

test('resolv.conf that cannot be used: its questions fail and say why, others do not, and it may come later', async () => {
  const { world, clock } = await setUp(2);
  const forwards = world.start({ from: 'a.', to: targets(1) }, { to: [{ kind: 'file', path: '/etc/resolv.conf' }] });
  const asking = new Asking(world, forwards);
  const good = asking.ask('a');
  const bad = asking.ask('b');
  await clock.pass(1);
  assert.equal(good.got?.text, 'rcode 0');
  assert.equal(bad.got?.text, 'unreachable: /etc/resolv.conf cannot be read');
  world.files.set('/etc/resolv.conf', [server(2)]);
  forwards.resolvConfChanged('/etc/resolv.conf');
  const later = asking.ask('b');
  await clock.pass(1);
  assert.equal(later.got?.from, '10.0.0.2:53');
});

test('drain: questions under way are answered, then everything is closed and done is called', async () => {
  const { world, peers, clock } = await setUp();
  peers[0].onQuery = () => {};
  const forwards = world.start({});
  const asking = new Asking(world, forwards);
  const asked = asking.ask('a');
  await clock.pass(1);
  let drained = 0;
  forwards.drain(() => drained++);
  await clock.pass(500);
  assert.equal(drained, 0);
  const late = asking.ask('late');
  await clock.pass(1);
  for (const query of peers[0].queries) query.reply(answerTo(query));
  await clock.pass(100);
  assert.equal(drained, 1);
  assert.deepEqual([asked.got?.text, late.got?.text], ['rcode 0', 'rcode 0']);
  assert.equal(world.network.open.connections, 0);
  assert.equal(clock.timersSet, 0);
});

test('drain with nothing under way is done in a later turn; a silent upstream holds it up to the deadline', async () => {
  const { world, peers, clock } = await setUp();
  let drained = 0;
  world.start({}).drain(() => drained++);
  assert.equal(drained, 0);
  await clock.pass(sweepPeriodMs);
  assert.equal(drained, 1);
  peers[0].onQuery = () => {};
  const forwards = world.start({});
  const asked = new Asking(world, forwards).ask('a');
  forwards.drain(() => drained++);
  await clock.pass(queryDeadlineMs + 2 * sweepPeriodMs);
  assert.equal(drained, 2);
  assert.match(asked.got!.text, /^timeout/);
});

test('stop: every question gets its outcome at once, later ones too, and nothing is left', async () => {
  const { world, peers, clock } = await setUp();
  peers[0].onQuery = () => {};
  const forwards = world.start({ transport: 'client' });
  const asking = new Asking(world, forwards);
  for (const clientTransport of ['udp', 'tcp'] as const) asking.ask('a', { clientTransport });
  await clock.pass(1);
  let drained = 0;
  forwards.drain(() => drained++);
  forwards.stop();
  forwards.stop();
  assert.equal(asking.got.length, 2);
  assert.equal(drained, 1);
  const late = asking.ask('late');
  await clock.pass(1);
  assert.equal(late.got?.text, 'unreachable: the server is stopping');
  assert.deepEqual(world.network.open, { datagramSockets: 1, connections: 0 });
  assert.equal(clock.timersSet, 0);
});

test('an outcome may ask again from within its callback', async () => {
  const { world, clock } = await setUp();
  const forwards = world.start({});
  let answered = 0;
  const request = {
    question: Buffer.from('\x01a\x00\x00\x01\x00\x01', 'latin1'),
    recursionDesired: true,
    checkingDisabled: false,
    dnssecOk: false,
    clientTransport: 'udp',
  } as const;
  const again = (): void => {
    answered++;
    if (answered < 50) forwards.ask(request, again);
  };
  forwards.ask(request, again);
  await clock.pass(100);
  assert.equal(answered, 50);
  assert.equal(forwards.inflight(), 0);
});

test('two names in certificates at one address are two upstreams, and one named twice is one', () => {
  const overTls = (serverName?: string) => {
    const endpoint = { ...server(1), overTls: true as const, ...(serverName === undefined ? {} : { serverName }) };
    return { kind: 'endpoint' as const, endpoint };
  };
  const to = [overTls('a.test'), overTls('b.test'), overTls('a.test'), overTls(), ...targets(1)];
  assert.equal(new TestWorld().start({ to }).upstreams().length, 4);
});

test('an upstream of ours is asked what does not come back, and nothing else', async () => {
  const world = new TestWorld();
  world.ours.set(server(1).address, ['back.test.']);
  const forwards = world.start({ to: targets(1) });
  const outcomes: Outcome[] = [];
  forwards.ask(request('x.back.test'), (outcome) => outcomes.push(outcome));
  await world.clock.pass(0);
  assert.deepEqual(outcomes, [{ ok: false, why: 'nobody', text: 'the upstream sends our queries back to us (loop)' }]);
  forwards.ask(request('other.test'), (outcome) => outcomes.push(outcome));
  await world.clock.pass(0);
  assert.equal(outcomes.length, 1, 'it is under way');
  assert.equal(forwards.inflight(), 1);
  forwards.stop();
});

test('an exception at the end of one question: the others end in time, and upstreams are looked after', async () => {
  const { world, peers, clock } = await setUp(2);
  for (const peer of peers) peer.onQuery = () => {};
  const forwards = new Forwards(
    [forwardConfig({ from: 'a.test' }), forwardConfig({ to: targets(2), expireMs: 2_000 })],
    world,
  );
  const asking = new Asking(world, forwards);
  const ended: string[] = [];
  const names = ['x.a.test', 'y.a.test', 'z.a.test', 'other.test'];
  for (const name of names) {
    forwards.ask(request(name, { clientTransport: 'tcp' }), () => {
      ended.push(name);
      if (name === 'y.a.test') throw new Error('planted');
    });
  }
  const thrown: string[] = [];
  process.setUncaughtExceptionCaptureCallback(({ message }) => void thrown.push(message));
  try {
    await clock.pass(queryDeadlineMs + sweepPeriodMs);
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
  assert.deepEqual(thrown, ['planted']);
  assert.deepEqual(ended.toSorted(), names.toSorted());
  assert.equal(forwards.inflight(), 0);
  for (const peer of peers) peer.onQuery = (query) => query.reply(answerTo(query));
  const after = asking.ask('x.a.test');
  await clock.pass(500);
  assert.equal(after.got?.text, 'rcode 0');
  await clock.pass(20_000);
  assert.deepEqual([world.network.open.connections, clock.timersSet], [0, 0]);
});

test('an exception at the end of one question: stopping ends the others and calls back', async () => {
  const { world, peers, clock } = await setUp(1);
  peers[0].onQuery = () => {};
  const forwards = new Forwards([forwardConfig({})], world);
  const ended: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    forwards.ask(request(name, { clientTransport: 'tcp' }), () => {
      ended.push(name);
      if (name === 'b') throw new Error('planted');
    });
  }
  await clock.pass(1);
  let isDrained = false;
  forwards.drain(() => {
    isDrained = true;
  });
  assert.throws(() => forwards.stop(), /planted/u);
  await clock.pass(100);
  assert.deepEqual([ended.toSorted(), isDrained, clock.timersSet], [['a', 'b', 'c'], true, 0]);
});

test('what throws in each sweep stops with the second: those who wait are told, and nothing runs any more', async () => {
  const { world, peers, clock } = await setUp(1);
  peers[0].onQuery = () => {};
  let isBroken = false;
  const broken = {
    ...world,
    clock: {
      nowMs: () => {
        if (!isBroken) return clock.nowMs();
        isBroken = false;
        throw new Error('planted');
      },
      wallMs: () => clock.wallMs(),
      rest: () => clock.rest(),
      after: (ms: number, run: () => void) => clock.after(ms, run),
      every: (ms: number, run: () => void) =>
        clock.every(ms, () => {
          isBroken = true;
          run();
        }),
    },
  };
  const forwards = new Forwards([forwardConfig({})], broken);
  const outcomes: Outcome[] = [];
  forwards.ask(request('a', { clientTransport: 'tcp' }), (outcome) => outcomes.push(outcome));
  const thrown: string[] = [];
  process.setUncaughtExceptionCaptureCallback(({ message }) => void thrown.push(message));
  try {
    await clock.pass(sweepPeriodMs);
    assert.deepEqual([thrown, outcomes.length], [['planted'], 0], 'one exception may be one question’s');
    await clock.pass(10 * sweepPeriodMs);
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
  assert.deepEqual(thrown, ['planted', 'planted']);
  assert.equal(outcomes.length, 1);
  assert.equal(clock.timersSet, 0);
  let isDrained = false;
  forwards.drain(() => {
    isDrained = true;
  });
  await clock.pass(1);
  assert.ok(isDrained, 'what has stopped is drained');
});

test('workers hear whether they may ask: once the upstream has answered, not while it is down, and not one of ours', async () => {
  const { world, peers, clock } = await setUp();
  const forwards = world.start({});
  const mayAsk = new Int32Array(new SharedArrayBuffer(4));
  forwards.tellWorkers(mayAsk);
  assert.equal(mayAsk[0], 0, 'it has answered nothing yet');
  const asking = new Asking(world, forwards);
  asking.ask('first');
  await clock.pass(600);
  assert.equal(mayAsk[0], 1);
  peers[0].die();
  for (let tries = 0; tries < 6; tries++) {
    asking.ask('a');
    await clock.pass(600);
  }
  assert.deepEqual([mayAsk[0], forwards.upstreams()[0].healthy], [0, false]);
  await peers[0].listen();
  await clock.pass(2_000);
  assert.equal(mayAsk[0], 1);
  world.ours.set(server(1).address, ['a.test.']);
  world.own.changed();
  assert.equal(mayAsk[0], 0, 'the main thread knows what comes back from it');
  world.ours.clear();
  world.own.changed();
  assert.equal(mayAsk[0], 1);
  forwards.each()[0].loops();
  assert.equal(mayAsk[0], 0);
});

test("an answer to a worker's query counts as one to ours: among the requests and their durations, and for health", async () => {
  const { world, peers, clock } = await setUp();
  const forwards = world.start({});
  const asking = new Asking(world, forwards);
  peers[0].die();
  for (let tries = 0; tries < 6; tries++) {
    asking.ask('a');
    await clock.pass(600);
  }
  const [stats] = forwards.upstreams();
  const counted = () => [...stats.durations].map(([rcode, numbers]) => [rcode, numbers.slice(0, -1).reduce(add, 0)]);
  assert.deepEqual([stats.healthy, stats.reused, counted()], [false, [0, 0], []]);
  forwards.answeredDirectly(0, 3, clock.nowMs());
  forwards.answeredDirectly(3, 4, clock.nowMs());
  forwards.answeredDirectly(0, 5, clock.nowMs());
  assert.deepEqual([stats.healthy, stats.reused], [true, [0, 3]]);
  assert.deepEqual(counted(), [
    ['NOERROR', 2],
    ['NXDOMAIN', 1],
  ]);
  assert.ok(Math.abs(stats.durations.get('NOERROR')!.at(-1)! - 0.008) < 1e-9, 'in seconds');
  assert.ok(world.logged.some((line) => line.includes('is up again')));
  const before = [...stats.durations.get('NOERROR')!];
  forwards.stop();
  forwards.answeredDirectly(0, 3, clock.nowMs());
  assert.deepEqual(
    [stats.reused, [...stats.durations.get('NOERROR')!]],
    [[0, 3], before],
    'stopped, it counts nothing',
  );
});

const add = (sum: number, one: number): number => sum + one;
