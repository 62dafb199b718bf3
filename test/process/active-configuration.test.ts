import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Config, ConfigError } from '../../src/config/config.js';
import { parseConfig } from '../../src/config/load.js';
import { nameToWire } from '../../src/dns/names.js';
import type { Listeners, WantedListener } from '../../src/listen/listeners.js';
import { newReadiness } from '../../src/observe/health.js';
import {
  ActiveConfiguration,
  type ActiveConfigurationDeps,
  isSameConfig,
  watchConfig,
} from '../../src/process/active-configuration.js';
import { Generation } from '../../src/process/generation.js';
import type { ZoneTable } from '../../src/resolve/zones.js';
import type { Outcome } from '../../src/upstream/ask.js';
import { answerFor } from '../cache/answers.js';
import { loadOptions } from '../resolve/context-fixture.js';
import { ManualClock } from '../simulation/clock.js';
import { seededRandom } from '../simulation/random.js';
import { newGenerationFixture } from './generation-fixture.js';

const block = (address: string, lines = '') => `. {\n bind ${address}\n cache\n forward . 192.0.2.1\n ${lines}\n}\n`;
const server = (address: string) => `dns://${address}:53`;

function forcing(corefile: string, lookEveryMs: number | null = null) {
  const { clock, counters, lines, world } = newGenerationFixture();
  /** What is open, with the table that a packet there would be answered by. */
  const open = new Map<string, () => ZoneTable>();
  const wantedNow = new Map<string, WantedListener>();
  /** What the next calls wait for, or fail with. */
  const gates: { listeners: Promise<unknown>; watching: Promise<unknown> } = {
    listeners: Promise.resolve(),
    watching: Promise.resolve(),
  };
  const listeners: Listeners = {
    async open(wanted: readonly WantedListener[]) {
      const opened = wanted.filter(({ key }) => !open.has(key));
      for (const each of opened) {
        open.set(each.key, each.serve as unknown as () => ZoneTable);
        wantedNow.set(each.key, each);
      }
      await gates.listeners.catch((error) => {
        for (const { key } of opened) open.delete(key);
        throw error;
      });
    },
    keepOnly(keys) {
      for (const key of open.keys()) if (!keys.has(key)) open.delete(key);
    },
    endpoints: () => [],
    tcpClients: 0,
    drain: (done) => done(),
  };
  const used: (Config | 'stopped')[] = [];
  const readiness = newReadiness(['listeners', 'upstream'], 'until-ready');
  const watching = {
    readiness,
    use: async (config: Config) => {
      used.push(config);
      await gates.watching;
    },
    stop: async () => void used.push('stopped'),
  };
  const files = new Map([['Corefile', corefile]]);
  const madeFrom = ['Corefile'];
  const load = (): Config => {
    return { ...parseConfig(files.get('Corefile') as string, 'Corefile', loadOptions), files: [...madeFrom] };
  };
  let upstreamAnswers = 0;
  const parts: ActiveConfigurationDeps = {
    ...{ load, listeners, watching, deps: world, lookEveryMs },
    look: { stat: (path) => files.get(path), digest: (path) => files.get(path) },
    serve: (table) => table as never,
    refresh: (table) => table as never,
    refuse: (table) => table as never,
    keep() {},
    tablesWillChange() {},
    tablesChanged: () => {},
    upstreamAnswered: () => upstreamAnswers++,
  };
  const active = new ActiveConfiguration(new Generation(load(), world), parts);
  return {
    ...{ clock, world, parts, open, gates, used, readiness, files, madeFrom, active, lines, counters },
    get upstreamAnswers() {
      return upstreamAnswers;
    },
    reload(next: string, why = 'test') {
      files.set('Corefile', next);
      return active.reload(why);
    },
    /** A question that nobody answers, under way in the configuration in force. */
    asks(): Promise<Outcome> {
      const question = Uint8Array.from([...nameToWire('a.test'), 0, 1, 0, 1]);
      const request = { question, recursionDesired: true, checkingDisabled: false, dnssecOk: false } as const;
      const { ask } = active.generation.blocks[0].forwards;
      return new Promise((resolve) => ask({ ...request, clientTransport: 'udp' }, resolve));
    },
    /** The number of zones by which a packet at this server is answered now. */
    zonesAt: (address: string) => open.get(server(address))?.().byBytes.flat().length,
    /** How long a TCP client may be quiet there. */
    idleMsAt: (address: string) => wantedNow.get(server(address))?.timeouts().idleMs,
  };
}

function gate() {
  let pass!: () => void;
  let fail!: (error: Error) => void;
  const promise = new Promise<void>((resolve, reject) => {
    pass = resolve;
    fail = reject;
  });
  return { promise, pass, fail };
}

describe('InForce.start', () => {
  it('opens what the configuration names, then watches it, and says what is unwise', async () => {
    const { active, open, used, readiness, lines, clock } = forcing(block('192.0.2.10', 'aaaa nxdomain'));
    await active.start();
    assert.deepEqual([...open.keys()], [server('192.0.2.10')]);
    assert.deepEqual(used, [active.config]);
    assert.deepEqual(readiness.answer(), { status: 503, body: 'upstream' });
    assert.match(lines[0], /^warn: Corefile:5: /u);
    assert.ok(clock.timersSet > 0);
    await active.finish(1_000);
    active.generation.stop();
    assert.equal(clock.timersSet, 0);
  });

  it('leaves nothing open when something cannot be opened', async () => {
    for (const which of ['listeners', 'watching'] as const) {
      const { active, open, gates, used, clock } = forcing(block('192.0.2.10'));
      gates[which] = Promise.reject(new Error('taken'));
      await assert.rejects(active.start(), /taken/u);
      assert.equal(open.size, 0);
      assert.equal(used.at(-1), 'stopped');
      assert.equal(clock.timersSet, 0);
    }
  });

  it('waits for no upstream where there is none', async () => {
    const made = forcing('. {\n bind 192.0.2.10\n template ANY ANY {\n rcode NXDOMAIN\n }\n}\n');
    await made.active.start();
    assert.equal(made.upstreamAnswers, 1);
    const asking = forcing(block('192.0.2.10'));
    await asking.active.start();
    assert.equal(asking.upstreamAnswers, 0);
  });
});

describe('InForce.reload', () => {
  it('puts the next configuration in force in one turn, also for listeners that stay', async () => {
    const { active, open, zonesAt, reload, lines, clock } = forcing(block('192.0.2.10'));
    await active.start();
    const before = open.get(server('192.0.2.10'));
    const next = block('192.0.2.10 192.0.2.11') + block('192.0.2.10').replace('.', 'a.test');
    assert.equal(await reload(next), 'reloaded');
    assert.deepEqual([zonesAt('192.0.2.10'), zonesAt('192.0.2.11')], [2, 1]);
    assert.equal(open.get(server('192.0.2.10')), before, 'it was not opened anew');
    assert.ok(lines.includes('info: test: new configuration in force'));
    assert.equal(await reload(block('192.0.2.10')), 'reloaded');
    await clock.pass(100);
    assert.deepEqual([...open.keys()], [server('192.0.2.10')]);
    assert.equal(zonesAt('192.0.2.10'), 1);
  });

  it('does nothing when the configuration is unchanged', async () => {
    const { active, reload, lines } = forcing(block('192.0.2.10'));
    await active.start();
    const { generation } = active;
    assert.equal(await reload(block('192.0.2.10')), 'unchanged');
    assert.equal(active.generation, generation);
    assert.ok(lines.includes('info: test: the configuration is unchanged'));
  });

  it('is refused with one line when the file is wrong or something cannot be opened, and all stays as it was', async () => {
    const { active, reload, gates, open, used, counters, lines, clock } = forcing(block('192.0.2.10'));
    await active.start();
    const { generation } = active;
    assert.equal(await reload('. {\n nonsense\n}'), 'refused');
    for (const which of ['listeners', 'watching'] as const) {
      const taken = gate();
      taken.promise.catch(() => {});
      gates[which] = taken.promise;
      const reloading = reload(block('192.0.2.10 192.0.2.11'));
      await clock.pass(0);
      taken.fail(new Error('taken'));
      gates[which] = Promise.resolve();
      assert.equal(await reloading, 'refused');
      assert.deepEqual([...open.keys()], [server('192.0.2.10')]);
    }
    assert.equal(active.generation, generation);
    assert.equal(active.isLastRefused, true);
    assert.equal(used.at(-1), active.config, 'what was closed for the new one is opened again');
    assert.equal(counters.total('reloadFailed'), 3);
    const refused = lines.filter((line) => line.includes('rejected'));
    assert.match(refused[0], /^error: test: new configuration rejected, keeping the old one: Corefile:2: /u);
    assert.equal(refused.length, 3);
    assert.equal(await reload(block('192.0.2.10 192.0.2.11')), 'reloaded', 'the next one is not harmed by it');
    assert.equal(active.isLastRefused, false);
  });

  it('is not refused any more when the file is what it was before', async () => {
    const { active, reload } = forcing(block('192.0.2.10'));
    await active.start();
    assert.equal(active.isLastRefused, false);
    await reload('. {\n nonsense\n}');
    assert.equal(active.isLastRefused, true);
    assert.equal(await reload(block('192.0.2.10')), 'unchanged');
    assert.equal(active.isLastRefused, false);
  });

  it('says so when the previous endpoints cannot be opened again', async () => {
    const { active, reload, gates, lines } = forcing(block('192.0.2.10'));
    await active.start();
    gates.watching = Promise.reject(new Error('9253 is taken'));
    gates.watching.catch(() => {});
    assert.equal(await reload(block('192.0.2.10', 'errors')), 'refused');
    assert.equal(lines.at(-1), 'error: 9253 is taken');
  });

  it('is one at a time, in the order asked for', async () => {
    const { active, reload, gates, zonesAt, clock } = forcing(block('192.0.2.10'));
    await active.start();
    const slow = gate();
    gates.watching = slow.promise;
    const first = reload(block('192.0.2.10').replace('.', 'a.test b.test'));
    await clock.pass(0);
    const second = reload(block('192.0.2.10').replace('.', 'a.test b.test c.test'));
    await clock.pass(10);
    assert.equal(zonesAt('192.0.2.10'), 1, 'the second waits for the first');
    gates.watching = Promise.resolve();
    slow.pass();
    assert.deepEqual(await Promise.all([first, second]), ['reloaded', 'reloaded']);
    assert.equal(zonesAt('192.0.2.10'), 3);
  });

  it('lets go of a listener that is gone at once, which answers what it was asked', async () => {
    const { active, reload, asks, open, clock } = forcing(block('192.0.2.10 192.0.2.11'));
    await active.start();
    const asking = asks();
    await reload(block('192.0.2.10'));
    assert.deepEqual([...open.keys()], [server('192.0.2.10')]);
    await clock.until(asking);
  });

  it('does not lose its new listener to one before it that has drained meanwhile', async () => {
    const { active, reload, gates, asks, zonesAt, clock } = forcing(block('192.0.2.10'));
    await active.start();
    const asking = asks();
    await reload(block('192.0.2.10', 'errors'));
    const slow = gate();
    gates.watching = slow.promise;
    const reloading = reload(block('192.0.2.10 192.0.2.11'));
    await clock.until(asking);
    await clock.pass(100);
    slow.pass();
    assert.equal(await reloading, 'reloaded');
    assert.deepEqual([zonesAt('192.0.2.10'), zonesAt('192.0.2.11')], [1, 1]);
  });

  it('gives a listener that stays the new timeouts', async () => {
    const world = forcing(block('192.0.2.10'));
    await world.active.start();
    const before = world.idleMsAt('192.0.2.10');
    assert.equal(await world.reload(block('192.0.2.10', 'timeouts {\n idle 77s\n }')), 'reloaded');
    assert.deepEqual([before !== 77_000, world.idleMsAt('192.0.2.10')], [true, 77_000]);
    await world.active.finish(1_000);
    world.active.generation.stop();
  });

  it('gives a listener that comes back before it has closed the new table', async () => {
    const { active, reload, asks, zonesAt, clock } = forcing(block('192.0.2.10 192.0.2.11'));
    await active.start();
    const asking = asks();
    await reload(block('192.0.2.10'));
    await reload(block('192.0.2.10 192.0.2.11').replace('.', 'a.test b.test'));
    assert.deepEqual([zonesAt('192.0.2.10'), zonesAt('192.0.2.11')], [2, 2]);
    await clock.until(asking);
    await clock.pass(100);
    assert.equal(zonesAt('192.0.2.11'), 2);
  });
});

describe('what runs by the clock', () => {
  it('is a look at the files, which reloads when they have changed', async () => {
    const { active, files, zonesAt, clock, lines } = forcing(block('192.0.2.10', 'reload 10s 5s'));
    await active.start();
    files.set('Corefile', block('192.0.2.10', 'reload 10s 5s').replace('.', 'a.test b.test'));
    await clock.pass(9_999);
    assert.equal(zonesAt('192.0.2.10'), 1);
    await clock.pass(15_000 + 1_000 - 9_999);
    assert.equal(zonesAt('192.0.2.10'), 2);
    assert.ok(lines.includes('info: the Corefile has changed: new configuration in force'));
  });

  it('looks more often than the directive says, or without it, when it is told to', async () => {
    for (const directive of ['reload 60s', '']) {
      const { active, files, zonesAt, clock } = forcing(block('192.0.2.10', directive), 2_000);
      await active.start();
      files.set('Corefile', block('192.0.2.10', directive).replace('.', 'a.test b.test'));
      await clock.pass(2_600);
      assert.equal(zonesAt('192.0.2.10'), 2);
    }
  });

  it('sees what changes while things are being opened, at start and at a reload', async () => {
    const { active, reload, files, gates, zonesAt, clock } = forcing(block('192.0.2.10', 'reload 10s 0'));
    const slow = gate();
    gates.listeners = slow.promise;
    const starting = active.start();
    files.set('Corefile', block('192.0.2.10', 'reload 10s 0').replace('.', 'a.test b.test'));
    slow.pass();
    await starting;
    await clock.pass(11_000);
    assert.equal(zonesAt('192.0.2.10'), 2);
    const slower = gate();
    gates.watching = slower.promise;
    const reloading = reload(block('192.0.2.10', 'reload 10s 0').replace('.', 'a.test b.test c.test'));
    await clock.pass(0);
    files.set('Corefile', block('192.0.2.10', 'reload 10s 0').replace('.', 'a.test b.test c.test d.test'));
    slower.pass();
    await reloading;
    assert.equal(zonesAt('192.0.2.10'), 3);
    await clock.pass(11_000);
    assert.equal(zonesAt('192.0.2.10'), 4);
  });

  it('looks at other files once the same text is made from them', async () => {
    const { active, files, madeFrom, zonesAt, clock } = forcing(block('192.0.2.10', 'reload 10s 0'));
    await active.start();
    madeFrom.splice(0, 1, 'stubDomains');
    assert.equal(await active.reload('test'), 'unchanged');
    files.set('Corefile', block('192.0.2.10', 'reload 10s 0').replace('.', 'a.test b.test'));
    await clock.pass(20_000);
    assert.equal(zonesAt('192.0.2.10'), 1);
    files.set('stubDomains', '{}');
    await clock.pass(20_000);
    assert.equal(zonesAt('192.0.2.10'), 2);
  });

  it('ends with `finish`, also what a reload was about to start, and no reload comes after it', async () => {
    const { active, reload, gates, clock } = forcing(block('192.0.2.10', 'reload 10s'));
    await active.start();
    const slow = gate();
    gates.watching = slow.promise;
    const underWay = reload(block('192.0.2.10', 'reload 20s'));
    await clock.pass(0);
    const finishing = active.finish(1_000);
    const late = active.reload('late');
    slow.pass();
    await finishing;
    assert.deepEqual([await underWay, await late], ['reloaded', 'refused']);
    await clock.pass(5_000);
    active.generation.stop();
    assert.equal(clock.timersSet, 0);
  });
});

/** Has a method throw at its next call, or at a later one, and then do what it did before. */
function breaks<Key extends string>(owner: { [key in Key]: (...args: never[]) => unknown }, key: Key, call = 1): void {
  const before = owner[key];
  let calls = 0;
  owner[key] = (...args: never[]) => {
    if (++calls < call) return before.apply(owner, args);
    owner[key] = before;
    throw new Error('planted');
  };
}

describe('an exception in the midst of a reload', () => {
  const two = (address: string, lines = '') =>
    block(address, lines) + block(address, lines).replace('.', 'a.test') + (lines === '' ? '' : '# changed\n');
  type Forcing = ReturnType<typeof forcing>;
  const steps: Record<string, (world: Forcing) => void> = {
    'the text is read': ({ parts }) => breaks(parts as never, 'load'),
    'its files are watched': ({ parts }) => breaks(parts.look as never, 'stat'),
    'its first block is started': ({ world }) => breaks(world.cache as never, 'newStore'),
    'its second block is started': ({ world }) => breaks(world.cache as never, 'newStore', 2),
    'its hosts file is opened': ({ world }) => breaks(world.look as never, 'stat'),
    'zones are given their ways': ({ world }) => breaks(world.routes as never, 'set'),
    'listeners are opened': ({ parts }) => breaks(parts.listeners as never, 'open'),
    'HTTP endpoints are opened': ({ parts }) => breaks(parts.watching as never, 'use'),
    'threads are given their tables': ({ parts }) => breaks(parts as never, 'tablesChanged'),
    'the cache of the first block is taken over': ({ world }) => breaks(world.cache as never, 'move'),
    'the cache of the second block is taken over': ({ world }) => breaks(world.cache as never, 'move', 2),
    'upstreams are asked for the first time': ({ clock }) => breaks(clock as never, 'after', 2),
    'readiness is told': ({ parts }) => breaks(parts as never, 'upstreamAnswered'),
  };

  for (const [step, breakIt] of Object.entries(steps)) {
    it(`when ${step}: the old configuration serves on, and the next reload and the stop are well`, async () => {
      const isMade = step === 'readiness is told';
      const world = forcing(two('192.0.2.10', 'reload 10s'));
      const { active, open, used, clock, lines, counters } = world;
      await active.start();
      const [ref, other] = ['b.test', 'x.a.test'].map((name, index) => keepIn(world, name, index));
      const before = active.generation;
      const { timersSet } = clock;
      breakIt(world);
      const made = '. {\n bind 192.0.2.11\n template ANY ANY {\n rcode NXDOMAIN\n }\n}\n';
      const hosts = 'reload 10s\n hosts /etc/hosts {\n fallthrough\n }';
      assert.equal(await world.reload(isMade ? made : two('192.0.2.10 192.0.2.11', hosts)), 'refused');
      assert.equal(active.generation, before);
      assert.deepEqual([...open.keys()], [server('192.0.2.10')]);
      assert.equal(world.zonesAt('192.0.2.10'), 2);
      assert.equal(used.at(-1), before.config, 'its endpoints are open');
      assert.deepEqual([active.isLastRefused, counters.total('reloadFailed'), counters.total('panics')], [true, 1, 0]);
      assert.equal(lines.filter((line) => line.startsWith('error: ')).length, 1, lines.join('\n'));
      assert.equal(clock.timersSet, timersSet, 'nothing of the other runs');
      const { cache } = world.world;
      assert.deepEqual(
        [cache.holds(ref), cache.holds(other), new Set([...cache.refs()].flat())],
        [true, true, new Set([ref, other])],
      );
      assert.deepEqual(
        before.blocks.map(({ store }) => store?.success.size),
        [1, 1],
      );
      assert.equal(await world.reload(two('192.0.2.10', 'errors')), 'reloaded');
      assert.deepEqual([active.isLastRefused, cache.holds(ref), cache.holds(other)], [false, true, true]);
      await clock.until(active.finish(1_000));
      active.generation.stop();
      await clock.pass(100);
      assert.equal(clock.timersSet, 0);
    });
  }

  it('when the old one is let go: the new one is in force, and it is said', async () => {
    const world = forcing(block('192.0.2.10 192.0.2.11'));
    const { active, parts, counters, lines } = world;
    await active.start();
    breaks(parts.listeners as never, 'keepOnly');
    assert.equal(await world.reload(block('192.0.2.10')), 'reloaded');
    assert.equal(counters.total('panics'), 1);
    assert.ok(lines.includes('error: planted'));
    assert.equal(await world.reload(block('192.0.2.10', 'errors')), 'reloaded');
    assert.deepEqual([...world.open.keys()], [server('192.0.2.10')]);
  });

  it('at the start: nothing is left running', async () => {
    for (const key of ['look', 'upstreamAnswered'] as const) {
      const world = forcing('. {\n bind 192.0.2.10\n template ANY ANY {\n rcode NXDOMAIN\n }\n}\n');
      if (key === 'look') breaks(world.parts.listeners as never, 'open');
      else breaks(world.parts as never, key);
      await assert.rejects(world.active.start(), /planted/u);
      assert.deepEqual([world.open.size, world.clock.timersSet, world.used.at(-1)], [0, 0, 'stopped']);
    }
  });
});

/** Keeps an answer in a block's store, as if it had been asked for. */
function keepIn({ world, active, clock }: ReturnType<typeof forcing>, name: string, index: number): number {
  const { store } = active.generation.blocks[index];
  const { zoneId } = active.generation.listeners[0].zones.find(({ block }) => block === index)!;
  return world.cache.keep(store!, answerFor(name, { zoneId }), clock.nowMs());
}

describe('InForce.renew', () => {
  it('asks by new connections and keeps what is cached; listeners stay, and nothing unwise is said again', async () => {
    const world = forcing(block('192.0.2.10', 'aaaa nxdomain'));
    const { active, open, lines, clock } = world;
    await active.start();
    const ref = keepIn(world, 'b.test', 0);
    const { generation } = active;
    const said = lines.length;
    active.renew();
    assert.notEqual(active.generation, generation);
    assert.deepEqual([world.world.cache.holds(ref), [...open.keys()]], [true, [server('192.0.2.10')]]);
    assert.equal(lines.length, said);
    await clock.until(active.finish(1_000));
    active.generation.stop();
    await clock.pass(100);
    assert.equal(clock.timersSet, 0);
  });

  it('lets what was asked finish, and ends what still finishes from before, which may be what threw', async () => {
    const world = forcing(block('192.0.2.10'));
    const { active, clock } = world;
    await active.start();
    let first: Outcome | null = null;
    let second: Outcome | null = null;
    void world.asks().then((outcome) => {
      first = outcome;
    });
    active.renew();
    void world.asks().then((outcome) => {
      second = outcome;
    });
    await clock.pass(1);
    assert.deepEqual([first, second], [null, null]);
    active.renew();
    await clock.pass(1);
    assert.deepEqual([(first as Outcome | null)?.ok, second], [false, null]);
    active.renew();
    await clock.pass(1);
    assert.equal((second as Outcome | null)?.ok, false);
    await clock.until(active.finish(1_000));
    active.generation.stop();
    await clock.pass(5_000);
    assert.equal(clock.timersSet, 0);
  });

  for (const which of ['listeners', 'watching'] as const) {
    it(`happens at once while a reload opens its ${which}, which goes on as if nothing were`, async () => {
      const world = forcing(block('192.0.2.10'));
      const { active, gates, clock, open } = world;
      await active.start();
      const slow = gate();
      gates[which] = slow.promise;
      const reloading = world.reload(block('192.0.2.10 192.0.2.11'));
      await clock.pass(0);
      const before = active.generation;
      active.renew();
      assert.notEqual(active.generation, before);
      assert.ok(open.has(server('192.0.2.11')), 'what the reload has opened stays open');
      gates[which] = Promise.resolve();
      slow.pass();
      assert.equal(await reloading, 'reloaded');
      assert.deepEqual([world.zonesAt('192.0.2.10'), world.zonesAt('192.0.2.11')], [1, 1]);
      assert.equal(world.counters.total('panics'), 0);
    });

    it(`while a reload is about to fail at its ${which}: what is renewed serves on`, async () => {
      const world = forcing(block('192.0.2.10'));
      const { active, gates, clock } = world;
      await active.start();
      const taken = gate();
      taken.promise.catch(() => {});
      gates[which] = taken.promise;
      const reloading = world.reload(block('192.0.2.10 192.0.2.11'));
      await clock.pass(0);
      active.renew();
      const renewed = active.generation;
      gates[which] = Promise.resolve();
      taken.fail(new Error('taken'));
      assert.equal(await reloading, 'refused');
      assert.deepEqual([active.generation === renewed, [...world.open.keys()]], [true, [server('192.0.2.10')]]);
    });
  }

  it('that throws leaves in force what was', async () => {
    const world = forcing(block('192.0.2.10'));
    const { active, clock } = world;
    await active.start();
    const ref = keepIn(world, 'b.test', 0);
    const { generation } = active;
    const { timersSet } = clock;
    for (const key of ['move', 'newStore'] as const) {
      breaks(world.world.cache as never, key);
      assert.throws(() => active.renew(), /planted/u);
      assert.deepEqual([active.generation === generation, clock.timersSet], [true, timersSet]);
      assert.ok(world.world.cache.holds(ref));
    }
  });
});

describe('ActiveConfiguration.finish', () => {
  it('waits for a reload only so long; what that has opened is closed when it comes to it', async () => {
    const world = forcing(block('192.0.2.10'));
    const { active, gates, clock, open } = world;
    await active.start();
    const slow = gate();
    gates.listeners = slow.promise;
    const reloading = world.reload(block('192.0.2.10 192.0.2.11'));
    await clock.pass(0);
    const { generation } = active;
    let isSettled = false;
    void active.finish(400).then(() => {
      isSettled = true;
    });
    await clock.pass(399);
    assert.ok(!isSettled);
    await clock.pass(1);
    assert.ok(isSettled);
    slow.pass();
    assert.equal(await reloading, 'refused');
    assert.deepEqual([active.generation === generation, [...open.keys()]], [true, [server('192.0.2.10')]]);
    active.generation.stop();
    assert.equal(clock.timersSet, 0);
  });
});

describe('a configuration that was refused', () => {
  it('is read again when a file comes that it names, though the configuration in force knows nothing of it', async () => {
    const world = forcing(block('192.0.2.10', 'reload 10s'));
    const { active, parts, files, clock, counters } = world;
    await active.start();
    const { load } = parts;
    const missing = new ConfigError({ file: 'Corefile', line: 2 }, 'late is not there.', {
      files: ['Corefile', 'late'],
    });
    Object.assign(parts, {
      load() {
        if (!files.has('late')) throw missing;
        return load();
      },
    });
    const next = block('192.0.2.10', 'errors\n reload 10s');
    assert.equal(await world.reload(next), 'refused');
    await clock.pass(60_000);
    assert.equal(counters.total('reloadFailed'), 1, 'once for each change');
    files.set('late', 'here');
    await clock.pass(30_000);
    assert.deepEqual([active.isLastRefused, active.config.blocks[0].errors !== null], [false, true]);
    await clock.until(active.finish(1_000));
    active.generation.stop();
    await clock.pass(100);
    assert.equal(clock.timersSet, 0);
  });

  it('is refused with one line that says how many errors there are, and how to see them', async () => {
    const { active, reload, lines } = forcing(block('192.0.2.10'));
    await active.start();
    await reload('. {\n erors\n cash\n foo\n}\n');
    assert.match(
      lines.at(-1) ?? '',
      /^error: test: new configuration rejected, keeping the old one: Corefile:2: unknown directive "erors"; .* And 2 more errors; see zerohop check Corefile\.$/u,
    );
  });
});

describe('isSameConfig', () => {
  const text = '. {\n forward . tls://192.0.2.1 {\n tls_servername a.test\n }\n}\n';
  const config = (): Config => parseConfig(text, 'Corefile', loadOptions);
  const withTls = (tls: object): Config => {
    const [block] = config().blocks;
    const forwards = block.forwards.map((forward) => ({ ...forward, tls: { ...forward.tls, ...tls } }));
    return { ...config(), blocks: [{ ...block, forwards }] };
  };

  const material = (digest: string) => ({ material: { digest } });

  it('is so for the same text that names the same things', () => {
    assert.ok(isSameConfig(config(), config()));
    assert.ok(isSameConfig(withTls(material('a')), withTls(material('a'))));
  });

  it('is not for another text, other addresses, search domains or PEM files', () => {
    assert.ok(!isSameConfig(config(), parseConfig(`${text}# other`, 'Corefile', loadOptions)));
    assert.ok(!isSameConfig(config(), { ...config(), blocks: [{ ...config().blocks[0], addresses: ['::1'] }] }));
    for (const tls of [material('b'), { material: null }, { serverName: 'b.test' }])
      assert.ok(!isSameConfig(withTls(material('a')), withTls(tls)), JSON.stringify(tls));
  });
});

describe('watchConfig', () => {
  const watching = (reload: Config['reload'], lookEveryMs: number | null) => {
    const clock = new ManualClock();
    const files = new Map([['a', '1']]);
    let changes = 0;
    const timer = watchConfig(
      { reload, files: ['a', 'b'] },
      {
        ...{ clock, random: seededRandom(1), lookEveryMs, changed: () => void changes++ },
        look: { stat: (path) => files.get(path), digest: (path) => files.get(path) },
      },
    );
    return { clock, files, timer, changes: () => changes };
  };

  it('looks as often as `reload` says, or more often where that is wanted', async () => {
    const slow = watching({ intervalMs: 30_000, jitterMs: 0 }, null);
    slow.files.set('b', '1');
    await slow.clock.pass(29_999);
    assert.equal(slow.changes(), 0);
    await slow.clock.pass(1_000);
    assert.equal(slow.changes(), 1);
    const quick = watching({ intervalMs: 30_000, jitterMs: 0 }, 1_000);
    quick.files.set('a', '2');
    await quick.clock.pass(2_000);
    assert.equal(quick.changes(), 1);
  });

  it('never looks where nothing says how often', () => {
    const { timer, clock } = watching(null, null);
    assert.deepEqual([timer, clock.timersSet], [null, 0]);
  });
});
