/** Upstreams learned from a name: the pods behind a ClusterIP, asked before it, and an upstream given by name. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ForwardConfig } from '../../src/config/config.js';
import { slowDeadlineMs } from '../../src/limits.js';
import {
  Asking,
  answerTo,
  type Query,
  type ScriptedUpstream,
  server,
  startUpstreams,
  TestWorld,
  targets,
} from './scripted.js';

const name = 'pods.kube-system.svc.cluster.local.';
const endpoints = { name, port: 53, refreshMs: 30_000 };

/** Upstream 1 is the ClusterIP and tells the addresses of those with the numbers in `pods`. */
async function setUp(settings: Partial<ForwardConfig> = { endpoints }, count = 3) {
  const world = new TestWorld();
  const upstreams = await startUpstreams(world, count);
  const control = { pods: [2, 3], answers: true };
  const [clusterIp, ...pods] = upstreams;
  const good = (query: Query): void => {
    const isName = `${query.name}.` === name;
    if (isName && !control.answers) return;
    query.reply(answerTo(query, isName ? { addresses: control.pods.map((pod) => `10.0.0.${pod}`) } : {}));
  };
  for (const upstream of upstreams) upstream.onQuery = good;
  const forwards = world.start({ to: targets(1), ...settings });
  const asking = new Asking(world, forwards);
  const { clock } = world;
  /** Asks so many, one after another, and says how many went to whom. */
  const asks = async (times: number, everyMs = 5): Promise<number[]> => {
    const before = upstreams.map((upstream) => asked(upstream));
    for (let time = 0; time < times; time++) {
      asking.ask(`n${time}.example`);
      await clock.pass(everyMs);
    }
    return upstreams.map((upstream, index) => asked(upstream) - before[index]);
  };
  return { world, clock, control, clusterIp, pods, upstreams, good, forwards, asking, asks };
}

function asked({ queries }: ScriptedUpstream): number {
  return queries.filter(({ name: each }) => each.endsWith('.example')).length;
}

test('what is learned is asked instead of the ClusterIP, and both take their share', async () => {
  const { world, asking, clock, asks, forwards } = await setUp();
  assert.deepEqual(await asks(1), [1, 0, 0]);
  const [clusterIp, one, two] = await asks(400);
  assert.equal(clusterIp, 0);
  assert.equal(one + two, 400);
  for (let index = 0; index < 200; index++) asking.ask(`burst${index}.example`);
  await clock.pass(50);
  assert.equal(asking.got.length, 601);
  assert.deepEqual(
    forwards.upstreams().map(({ to }) => to),
    ['10.0.0.1:53', '10.0.0.2:53', '10.0.0.3:53'],
  );
  assert.deepEqual(world.logged, [`info the addresses of ${name} are 10.0.0.2, 10.0.0.3`]);
});

test('many at once are spread evenly, and the slower one gets fewer', async () => {
  const { world, clock, asking, pods, asks } = await setUp();
  await asks(20);
  const before = pods.map(asked);
  for (let index = 0; index < 100; index++) asking.ask(`b${index}.example`);
  await clock.pass(50);
  const burst = pods.map((pod, index) => asked(pod) - before[index]);
  assert(Math.min(...burst) >= 25, `${burst}`);
  world.network.setFaultsTo(server(2), { latencyMs: 20 });
  await asks(100);
  const [, slow, fast] = await asks(200);
  assert(slow < fast / 4, `${slow} ${fast}`);
});

test('one that falls silent costs those it had, and then nobody', async () => {
  const { world, clock, asking, asks, pods } = await setUp();
  await asks(100);
  world.network.stall(server(2));
  const startMs = clock.nowMs();
  const before = asking.got.length;
  await asks(600);
  await clock.pass(1_000);
  const got = asking.got.slice(before);
  assert.equal(got.length, 600);
  assert(got.every(({ text }) => text === 'rcode 0'));
  // 20 in flight at most while it is not known to be silent; the others did not wait.
  const hedges = world.counters.total('upstreamHedges');
  assert(hedges <= 40, `${hedges}`);
  assert(asked(pods[1]) >= 500);
  assert(clock.nowMs() - startMs < 5_000);
});

test('all pods silent: the ClusterIP is asked', async () => {
  const { world, clock, asking, asks } = await setUp();
  await asks(20);
  world.network.stall(server(2));
  world.network.stall(server(3));
  const before = asking.got.length;
  await asks(50, 100);
  await clock.pass(2_000);
  const got = asking.got.slice(before);
  assert.equal(got.length, 50);
  assert(got.every(({ text }) => text === 'rcode 0'));
  const [clusterIp, one, two] = await asks(20);
  assert.deepEqual([clusterIp, one, two], [20, 0, 0]);
});

test('the set changes with the name’s addresses; one in trouble has it looked up soon', async () => {
  const { world, clock, control, asks, forwards } = await setUp();
  await asks(10);
  control.pods = [3];
  await clock.pass(30_000);
  await asks(10);
  const [clusterIp, one, two] = await asks(10);
  assert.deepEqual([clusterIp, one, two], [0, 0, 10]);
  assert.equal(forwards.upstreams().length, 2);
  world.network.stall(server(3));
  control.pods = [2];
  await asks(30, 100);
  assert.deepEqual(await asks(10), [0, 10, 0]);
});

test('the name does not resolve: what was learned stays; nothing learned yet: the ClusterIP', async () => {
  const learned = await setUp();
  await learned.asks(10);
  learned.control.answers = false;
  await learned.clock.pass(30_000);
  assert.deepEqual((await learned.asks(10))[0], 0);
  const never = await setUp();
  never.control.answers = false;
  assert.deepEqual(await never.asks(10), [10, 0, 0]);
  await never.clock.pass(slowDeadlineMs);
  assert.equal(never.world.counters.total('endpointsFailed'), 1);
  assert.match(never.world.logged[0], /^warn resolving .* failed \(read tcp .*timeout\)/);
});

test('an upstream given by name is one of the forward’s, by its policy', async () => {
  const to: ForwardConfig['to'] = [...targets(1), { kind: 'name', ...endpoints }];
  const { asks } = await setUp({ to, policy: 'round_robin' });
  await asks(1);
  assert.deepEqual(await asks(30), [10, 10, 10]);
});

test('our own address among the learned is not asked', async () => {
  const { world, asks } = await setUp();
  world.ours.set('10.0.0.2', ['.']);
  await asks(1);
  assert.deepEqual(await asks(10), [0, 0, 10]);
  assert.match(world.logged[1], /^error Corefile:1: upstream 10\.0\.0\.2:53 is this server's own address/);
});
