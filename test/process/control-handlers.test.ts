import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type ExplainItem, explainText } from '../../src/control/explain.js';
import { type FlushItem, flushText } from '../../src/control/flush.js';
import { type LookupItem, lookupText } from '../../src/control/lookup.js';
import type { ControlError } from '../../src/control/protocol.js';
import { type ControlHandler, ControlServer } from '../../src/control/server.js';
import { type StatusItem, statusText } from '../../src/control/status.js';
import { systemRandom } from '../../src/os/random.js';
import { askRunning } from '../../src/process/ask-running.js';
import { controlSockets, openControl } from '../../src/process/control-handlers.js';
import { nearSockets } from '../control/near-sockets.js';
import { newWorld, opening, type World, type WorldOptions } from '../scenarios/world.js';

const corefile = `cluster.local:53 {
  bind 169.254.20.10
  errors
  aaaa nxdomain
  cache {
    prefetch 3 10m 10%
  }
  forward . 10.96.0.10 {
    force_tcp
  }
}
.:53 {
  bind 169.254.20.10
  cache 30
  rewrite name exact alias.example www.example
  forward . 192.0.2.53
}
`;
const plain = { isColored: false };

async function newControlledWorld(options: WorldOptions = {}) {
  let handlers: Readonly<Record<string, ControlHandler>> = {};
  const world = await newWorld({
    corefile,
    ...options,
    control: (parts) => {
      ({ handlers } = parts);
      return new ControlServer({ ...parts, sockets: nearSockets(), path: '/run/x.sock', version: '1', pid: 1 });
    },
  });
  world.outside.answers('www.example.', 'A', ['192.0.2.7'], { ttlSeconds: 30 });
  world.outside.answers('www.example.', 'TXT', ['hello'], { ttlSeconds: 30 });
  world.outside.answers('other.example.', 'A', ['192.0.2.8'], { ttlSeconds: 30 });
  world.outside.nxdomain('none.example.', { soaMinimum: 20 });
  world.upstream.answers('db.prod.svc.cluster.local.', 'A', ['10.96.1.1'], { ttlSeconds: 5 });
  for (const domain of ['default.svc.cluster.local.', 'svc.cluster.local.', 'cluster.local.']) {
    world.upstream.nxdomain(`www.example.${domain}`, { soaMinimum: 5 });
    if (domain !== 'svc.cluster.local.') world.upstream.nxdomain(`db.prod.${domain}`, { soaMinimum: 5 });
  }
  /** The one value that the command answers with. */
  async function command<Item>(name: string, given: Readonly<Record<string, unknown>> = {}): Promise<Item> {
    const items: unknown[] = [];
    let isOver = false;
    const answering = {
      item: (item: unknown) => items.push(item) > 0,
      whenGone() {},
      end() {
        isOver = true;
      },
      fail: (kind: string, sentence: string) => assert.fail(`${kind}: ${sentence}`),
    };
    await opening(world.clock, Promise.resolve(handlers[name](given, answering)));
    assert.ok(isOver);
    assert.equal(items.length, 1);
    return JSON.parse(JSON.stringify(items[0]));
  }
  return { world, command };
}

async function asksAll(world: World, ...questions: readonly (readonly [name: string, type: string])[]) {
  for (const [name, type] of questions) await world.asks(name, type);
}

describe('zerohop status', () => {
  test('tells what is in force, since when, and how it is', async () => {
    const { world, command } = await newControlledWorld();
    await asksAll(world, ['www.example.', 'A'], ['db.prod.svc.cluster.local.', 'A'], ['none.example.', 'A']);
    await world.passSeconds(60);
    const item = await command<StatusItem>('status');
    assert.equal(item.role, 'serving');
    assert.ok(Math.abs(item.upSeconds - 60) <= 1);
    assert.equal(item.configuration.lastReload, null);
    assert.deepEqual(
      item.blocks.map(({ zones, at, aaaa, cache }) => [zones, at, aaaa, cache?.success.entries, cache?.denial.entries]),
      [
        [['cluster.local.'], 'Corefile:1', 'nxdomain', 1, 0],
        [['.'], 'Corefile:12', 'forward', 1, 1],
      ],
    );
    assert.deepEqual(
      item.upstreams.map(({ address, state, zones }) => [address, state, zones]),
      [
        ['10.96.0.10:53', 'up', ['cluster.local.']],
        ['192.0.2.53:53', 'up', ['.']],
      ],
    );
    assert.equal(item.cache.entries, 3);
    const text = statusText(item, plain);
    assert.match(text, /^zerohop 0\.0\.0 serves, pid \d+, up 1 min/);
    assert.match(text, /dns:\/\/169\.254\.20\.10:53/);
    assert.ok(
      text.split('\n').every((line) => line.length <= 80),
      text,
    );
  });

  test('says why the last reload was rejected', async () => {
    const { world, command } = await newControlledWorld();
    await world.reload('. {\n  frobnicate\n}\n');
    await world.passSeconds(90);
    const { configuration } = await command<StatusItem>('status');
    assert.equal(configuration.lastReload?.result, 'refused');
    assert.match(configuration.lastReload?.error ?? '', /Corefile:2: unknown directive "frobnicate"/);
    const text = statusText(await command<StatusItem>('status'), plain).replace(/\s+/g, ' ');
    assert.match(text, /reload +1 min 30 s ago: REJECTED, the old configuration stays: Corefile:2:/);
    await world.reload(corefile.replace('cache 30', 'cache 60'));
    const { lastReload, inForceSeconds } = (await command<StatusItem>('status')).configuration;
    assert.deepEqual([lastReload?.result, lastReload?.error, inForceSeconds], ['reloaded', null, 0]);
  });
});

describe('zerohop lookup', () => {
  const lookUp = { name: 'www.example.', type: 'A' };

  test('shows what is cached, how old it is, and what would happen', async () => {
    const { world, command } = await newControlledWorld();
    const before = await command<LookupItem>('lookup', lookUp);
    assert.deepEqual(
      before.homes.map(({ outlook, entries, plugins, listeners }) => [outlook, entries, plugins, listeners]),
      [['upstream', [], ['may ask other names'], ['dns://169.254.20.10:53']]],
    );
    assert.match(lookupText(before, plain), /cache +nothing cached/);
    await world.asks('www.example.', 'A');
    await world.passSeconds(12);
    const [home] = (await command<LookupItem>('lookup', lookUp)).homes;
    assert.equal(home.outlook, 'cache');
    const [entry] = home.entries;
    assert.deepEqual(
      [entry.rcode, entry.kind, entry.ttlSeconds, entry.lifetimeSeconds, entry.ageSeconds, entry.wasHit, entry.isStale],
      ['NOERROR', 'success', 18, 30, 12, false, false],
    );
    assert.deepEqual(entry.records, [
      { section: 'answer', name: 'www.example.', ttlSeconds: 18, type: 'A', data: '192.0.2.7' },
    ]);
    assert.equal(entry.from, '192.0.2.53:53');
    assert.equal((await command<LookupItem>('lookup', lookUp)).homes[0].entries[0].wasHit, false, 'looking is no use');
    await world.asks('www.example.', 'A');
    assert.equal((await command<LookupItem>('lookup', lookUp)).homes[0].entries[0].wasHit, true);
    const text = lookupText(await command<LookupItem>('lookup', lookUp), plain);
    assert.match(
      text,
      /cached: NOERROR, 18 s left of 30 s\n {4}stored 12 s ago from 192\.0\.2\.53:53, asked for since/,
    );
    assert.ok(
      text.split('\n').every((line) => line.length <= 80),
      text,
    );
  });

  test('knows which of several upstreams sent an answer', async () => {
    const several = corefile.replace('forward . 192.0.2.53\n', 'forward . 192.0.2.53 192.0.2.54\n');
    const { world, command } = await newControlledWorld({ corefile: several });
    await world.asks('www.example.', 'A');
    const [home] = (await command<LookupItem>('lookup', lookUp)).homes;
    assert.equal(home.upstreams.length, 2);
    assert.match(home.entries[0].from ?? '', /^192\.0\.2\.5[34]:53$/u);
  });

  test('tells an expired answer, and one for validators, from others', async () => {
    const { world, command } = await newControlledWorld();
    await world.asks('www.example.', 'A', { edns: { dnssecOk: true } });
    await world.passSeconds(40);
    const [home] = (await command<LookupItem>('lookup', lookUp)).homes;
    assert.equal(home.outlook, 'upstream');
    assert.deepEqual(
      home.entries.map(({ dnssecOk, isStale, ttlSeconds }) => [dnssecOk, isStale, ttlSeconds]),
      [[true, true, 0]],
    );
    assert.match(
      lookupText(await command('lookup', lookUp), plain),
      /cached for queries with DO: NOERROR, expired, usable/,
    );
  });

  test('knows the policy for AAAA, names that nobody serves, and what is no name', async () => {
    const { command } = await newControlledWorld();
    const policy = await command<LookupItem>('lookup', { name: 'db.prod.svc.cluster.local.', type: 'AAAA' });
    assert.deepEqual([policy.homes[0].outlook, policy.homes[0].block.aaaa], ['policy', 'nxdomain']);
    const only = await newControlledWorld({ corefile: corefile.slice(0, corefile.indexOf('.:53')) });
    const nowhere = await only.command<LookupItem>('lookup', { name: 'www.example.', type: 'A' });
    assert.deepEqual(nowhere.homes, []);
    assert.match(lookupText(nowhere, plain), /no server block has this name: queries for it get REFUSED/);
    for (const given of [{}, { name: '..', type: 'A' }, { name: 'a.', type: 'NONE' }, { name: 7, type: 'A' }]) {
      await assert.rejects(command('lookup', given), (error: ControlError) => error.kind === 'usage');
    }
  });
});

describe('zerohop explain', () => {
  const search = ['default.svc.cluster.local.', 'svc.cluster.local.', 'cluster.local.'];
  const walk = (name: string, ndots = 5) => ({ name, search, ndots });

  test('goes the way of glibc, and says what each query would cost', async () => {
    const { command } = await newControlledWorld();
    const item = await command<ExplainItem>('explain', walk('www.example'));
    assert.deepEqual(
      item.steps.map(({ name, isReached, block }) => [name, isReached, block]),
      [
        ['www.example.default.svc.cluster.local.', 'yes', 'Corefile:1'],
        ['www.example.svc.cluster.local.', 'maybe', 'Corefile:1'],
        ['www.example.cluster.local.', 'maybe', 'Corefile:1'],
        ['www.example.', 'maybe', 'Corefile:12'],
      ],
    );
    assert.deepEqual(
      item.steps[0].questions.map(({ outlook }) => outlook),
      ['upstream', 'policy'],
    );
    assert.deepEqual(
      item.steps[3].questions.map(({ outlook }) => outlook),
      ['upstream', 'upstream'],
    );
    assert.deepEqual(item.cost, {
      queries: { least: 2, most: 8 },
      upstreamQueries: { least: 1, most: 5 },
      roundTrips: { least: 1, most: 4 },
      upstreamRoundTrips: { least: 1, most: 4 },
    });
  });

  test('knows what is cached, and where the walk ends', async () => {
    const { world, command } = await newControlledWorld();
    const names = search.map((domain) => [`www.example.${domain}`, 'A'] as const);
    await asksAll(world, ...names, ['www.example.', 'A']);
    const item = await command<ExplainItem>('explain', walk('www.example'));
    assert.equal(item.found, 'www.example.');
    assert.deepEqual(
      item.steps.map(({ isReached }) => isReached),
      ['yes', 'yes', 'yes', 'yes'],
    );
    assert.deepEqual(item.steps[0].questions[0].rcode, 'NXDOMAIN');
    assert.deepEqual(item.cost.queries, { least: 8, most: 8 });
    assert.deepEqual(item.cost.upstreamQueries, { least: 1, most: 1 });
    assert.match(
      item.advice.join(' '),
      /closing dot \(www\.example\.\): 2 queries instead of 8 queries|2 queries instead/,
    );
    const text = explainText(item, plain);
    assert.match(text, /1\. www\.example\.default\.svc\.cluster\.local\.\n {6}A +cached +NXDOMAIN/);
    assert.ok(
      text.split('\n').every((line) => line.length <= 80),
      text,
    );
  });

  test('asks a name with enough dots, or a closing one, as it is first', async () => {
    const { command } = await newControlledWorld();
    const first = async (name: string, ndots: number) =>
      (await command<ExplainItem>('explain', walk(name, ndots))).steps.map((step) => step.name);
    assert.equal((await first('www.example', 1))[0], 'www.example.');
    assert.equal((await first('www.example', 1)).length, 4);
    assert.deepEqual(await first('www.example.', 5), ['www.example.']);
  });
});

describe('zerohop flush', () => {
  test('drops all types and variants of a name, and nothing else', async () => {
    const { world, command } = await newControlledWorld();
    await asksAll(
      world,
      ['www.example.', 'A'],
      ['www.example.', 'TXT'],
      ['other.example.', 'A'],
      ['none.example.', 'A'],
    );
    await world.asks('www.example.', 'A', { edns: { dnssecOk: true } });
    const item = await command<FlushItem>('flush', { name: 'WWW.example.' });
    assert.deepEqual(item, { name: 'WWW.example.', entries: 3, kernelEntries: 0 });
    assert.equal(flushText(item), 'dropped 3 cached answers of WWW.example.');
    const asked = world.outside.asked('www.example.', 'A');
    await asksAll(world, ['www.example.', 'A'], ['other.example.', 'A']);
    assert.equal(world.outside.asked('www.example.', 'A'), asked + 1);
    assert.equal(world.outside.asked('other.example.', 'A'), 1);
  });

  test('drops a zone with all below it', async () => {
    const { world, command } = await newControlledWorld();
    await asksAll(world, ['www.example.', 'A'], ['none.example.', 'A'], ['db.prod.svc.cluster.local.', 'A']);
    const item = await command<FlushItem>('flush', { zone: 'example.' });
    assert.deepEqual(item, { zone: 'example.', entries: 2, kernelEntries: 0 });
    assert.equal(flushText(item), 'dropped 2 cached answers at and below example.');
    assert.equal((await command<FlushItem>('flush', { zone: '.' })).entries, 1);
    assert.equal((await command<StatusItem>('status')).cache.entries, 0);
    await assert.rejects(command('flush', { name: '' }), (error: ControlError) => error.kind === 'usage');
  });

  test('has no torn work with a reload beside it', async () => {
    const { world, command } = await newControlledWorld();
    await asksAll(world, ['www.example.', 'A'], ['other.example.', 'A']);
    const [item] = await Promise.all([command<FlushItem>('flush', { zone: 'example.' }), world.app.reload('test')]);
    assert.equal(item.entries, 2);
    assert.equal((await command<StatusItem>('status')).cache.entries, 0);
  });
});

test('without a path there is no control socket', () => {
  assert.equal(openControl(null, nearSockets()), undefined);
  assert.notEqual(openControl('/run/x.sock', nearSockets()), undefined);
});

test('a command says in one sentence that nobody is there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-ask-'));
  const path = join(folder, 'control.sock');
  const options = { controlPath: path, output: 'text' } as const;
  const program = { environment: { ZEROHOP_IO: 'portable' }, print: () => assert.fail('nothing is printed') };
  assert.deepEqual(await askRunning(program, { command: 'status' }, options), {
    exitCode: 1,
    sentence: `no zerohop listens at ${path}; start zerohop, or give the path of its socket with -control.`,
  });
  const sockets = controlSockets(null, systemRandom());
  const listener = await sockets.listen(path, () => ({ data() {}, ended() {}, closed() {} }));
  listener.close();
  rmSync(folder, { recursive: true });
});
