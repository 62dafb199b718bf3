import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kindDenial, kindSuccess } from '../../src/cache/blocks.js';
import { parseConfig } from '../../src/config/load.js';
import { samplePackets, samplesMax } from '../../src/limits.js';
import type { Client } from '../../src/listen/client.js';
import type { SampleReader } from '../../src/listen/samples.js';
import { encodeSocketAddress } from '../../src/os/addresses.js';
import { metricsOf, newTopTalkers } from '../../src/process/endpoints.js';
import { Generation } from '../../src/process/generation.js';
import { answerFor } from '../cache/answers.js';
import { loadOptions, query } from '../resolve/context-fixture.js';
import { ManualClock } from '../simulation/clock.js';
import { seededRandom } from '../simulation/random.js';
import { newGenerationFixture } from './generation-fixture.js';

const nobody = { method: 'GET', host: '', remote: { address: '', port: 0 }, local: { address: '', port: 0 } };

function wordsOf(address: string): Int32Array {
  const bytes = new Uint8Array(32);
  bytes.set(encodeSocketAddress({ address, port: 40_000 }));
  return new Int32Array(bytes.buffer);
}

function newFixture() {
  const clock = new ManualClock();
  let waiting: { packet: Uint8Array; peer: Int32Array }[] = [];
  const reader: Pick<SampleReader, 'read'> = {
    read(each) {
      for (const sample of waiting) each(sample, 20);
      waiting = [];
    },
  };
  const askers = newTopTalkers({ clock, random: seededRandom(1), samples: [reader as SampleReader] });
  const page = () => JSON.parse(askers.answer({ query: new URLSearchParams(), isLocal: true, ...nobody }).body);
  const sample = (packet: Uint8Array, from: string): void => void waiting.push({ packet, peer: wordsOf(from) });
  const askerAt = (address: string, more: Partial<Client> = {}): Client => ({
    transport: 1,
    remote: { address, port: 40_000 },
    local: { address: '169.254.20.10', port: 53 },
    reply() {},
    ...more,
  });
  return { clock, askers, page, sample, askerAt, left: () => waiting.length };
}

describe('newTopAskers', () => {
  it('knows what threads have sampled, in lower case, of IPv4 and IPv6', () => {
    const { page, sample } = newFixture();
    sample(query('WEB.example', 'A'), '10.244.0.7');
    sample(query('web.EXAMPLE', 'A'), 'fd00::7');
    const { names, clients } = page();
    assert.deepEqual([names.length, names[0].name, names[0].type, names[0].count], [1, 'web.example.', 'A', 40]);
    assert.deepEqual(clients.map(({ client }: { client: string }) => client).sort(), ['10.244.0.7', 'fd00::7']);
  });

  it('reads samples every second, so that there is room for more', async () => {
    const { clock, askers, sample, left } = newFixture();
    sample(query('web.example', 'A'), '10.244.0.7');
    await clock.pass(1_000);
    assert.equal(left(), 0);
    askers.stop();
    sample(query('web.example', 'A'), '10.244.0.7');
    await clock.pass(2_000);
    assert.equal(left(), 1);
  });

  it('looks at some of what comes to the main thread, and not again at what threads have handed over', () => {
    const { askers, page, askerAt } = newFixture();
    let served = 0;
    const serve = askers.watched(() => void served++);
    for (let times = 0; times < 1_600; times++) serve(query('over.tcp', 'AAAA'), askerAt('10.244.0.9'));
    for (let times = 0; times < 1_600; times++)
      serve(query('by.thread', 'A'), askerAt('10.244.0.9', { receivedAtMs: 1 }));
    assert.equal(served, 3_200);
    const { names, samples } = page();
    assert.deepEqual([names.length, names[0].name, names[0].type], [1, 'over.tcp.', 'AAAA']);
    const all = samplesMax / 2;
    assert.ok(Math.abs(samples - all - (1_600 - all) / samplePackets) < 40, `${samples}`);
  });

  it('counts everything while there is little, so that the numbers are exact', async () => {
    const { clock, askers, page, askerAt } = newFixture();
    const serve = askers.watched(() => {});
    for (let second = 0; second < 10; second++) {
      for (let times = 0; times < 20; times++) serve(query('a.test', 'A'), askerAt('10.244.0.9'));
      await clock.pass(1_000);
    }
    const { about, names, packets } = page();
    assert.match(about, /^Every packet was counted\./);
    assert.deepEqual([packets, names[0].count, names[0].plusMinus, names[0].tooManyAtMost], [200, 200, 0, 0]);
  });

  it('passes over what is no query', () => {
    const { page, sample } = newFixture();
    const whole = query('web.example', 'A');
    sample(whole.subarray(0, 11), '10.0.0.1');
    sample(whole.subarray(0, whole.length - 20), '10.0.0.1');
    const response = whole.slice();
    response[2] |= 0x80;
    sample(response, '10.0.0.1');
    const status = whole.slice();
    status[2] |= 0x10;
    sample(status, '10.0.0.1');
    assert.deepEqual(page().names, []);
  });
});

describe('an exception about what is seen', () => {
  it('leaves the packet to be served', () => {
    const { askers, askerAt } = newFixture();
    let served = 0;
    const watched = askers.watched(() => void served++);
    const client = askerAt('10.244.0.7');
    Object.defineProperty(client, 'remote', {
      get() {
        throw new Error('planted');
      },
    });
    assert.throws(() => watched(query('a.test', 'A'), client), /planted/u);
    assert.equal(served, 1);
  });
});

const { world } = newGenerationFixture();
const serve = (corefile: string) => new Generation(parseConfig(corefile, 'Corefile', loadOptions), world);
const one = 'dns://192.0.2.1:53';
const two = 'dns://192.0.2.2:53';

const corefile = `. {
  bind 192.0.2.1 192.0.2.2
  cache 30 example.org
  prometheus
  forward . 192.0.2.9 192.0.2.8
}
cluster.local 2.0.192.in-addr.arpa {
  bind 192.0.2.1
  cache
  forward . 10.96.0.10
}
plain.test {
  bind 192.0.2.2
  forward . 10.96.0.10
}
`;

describe('metricsOf', () => {
  const generation = serve(corefile);
  const metrics = metricsOf(() => generation);

  it('names each zone once, also where `cache` has zones of its own, and what no zone is for', () => {
    const zones = metrics.zones();
    assert.deepEqual(
      zones.map(({ server, zone, cacheZones, prometheus }) => [server, zone, cacheZones, prometheus]),
      [
        [one, '.', 'example.org.', true],
        [one, 'cluster.local.', 'cluster.local.,2.0.192.in-addr.arpa.', false],
        [one, '2.0.192.in-addr.arpa.', 'cluster.local.,2.0.192.in-addr.arpa.', false],
        [one, 'dropped', null, true],
        [two, '.', 'example.org.', true],
        [two, 'plain.test.', null, false],
        [two, 'dropped', null, true],
      ],
    );
    assert.equal(new Set(zones.map(({ ordinal }) => ordinal)).size, zones.length);
    assert.ok(zones.every(({ ordinal }) => world.counters.zoneBase(ordinal + 1) <= world.counters.zones.length));
  });

  it('tells what is in the stores and what has been thrown out, for each server of a block', () => {
    const zoneId = generation.listeners[0].zones[0].zoneId;
    const store = generation.blocks[0].store!;
    world.cache.keep(store, answerFor('a.example.org', { zoneId, kind: kindSuccess }), 0);
    world.cache.keep(store, answerFor('b.example.org', { zoneId, kind: kindDenial }), 0);
    world.cache.keep(store, answerFor('c.example.org', { zoneId, kind: kindDenial }), 0);
    store.evictedDenial = 4;
    const filled = {
      zones: 'example.org.',
      success: { entries: 1, evictions: 0 },
      denial: { entries: 2, evictions: 4 },
    };
    const empty = { success: { entries: 0, evictions: 0 }, denial: { entries: 0, evictions: 0 } };
    assert.deepEqual(metrics.stores(), [
      { server: one, ...filled },
      { server: one, zones: 'cluster.local.,2.0.192.in-addr.arpa.', ...empty },
      { server: two, ...filled },
    ]);
  });

  it('lists the directives of each zone on each server', () => {
    const named = metrics.plugins().filter(({ zone }) => zone === 'plain.test.' || zone === 'cluster.local.');
    assert.deepEqual(named.map(({ server, zone, name }) => `${server} ${zone} ${name}`).sort(), [
      `${one} cluster.local. bind`,
      `${one} cluster.local. cache`,
      `${one} cluster.local. forward`,
      `${two} plain.test. bind`,
      `${two} plain.test. forward`,
    ]);
  });

  it('has the upstreams of all blocks; one that two blocks ask is there for each', () => {
    assert.deepEqual(
      [...metrics.upstreams()].map(({ to }) => to),
      ['192.0.2.9:53', '192.0.2.8:53', '10.96.0.10:53', '10.96.0.10:53'],
    );
  });

  it('has each plugin at work with the servers of its block', () => {
    const withAny = serve('a.test {\n bind 192.0.2.1 192.0.2.2\n any\n}\n');
    const [{ atWork, servers }, ...others] = metricsOf(() => withAny).atWork('any');
    assert.ok(atWork.maker);
    assert.deepEqual([servers, others], [[one, 'dns://192.0.2.2:53'], []]);
    assert.deepEqual(metrics.atWork('any'), []);
  });

  it('speaks of the configuration that is in force at that moment', () => {
    let now = generation;
    const following = metricsOf(() => now);
    const before = following.corefileSha512();
    now = serve('a.test {\n bind 192.0.2.1\n forward . 192.0.2.9\n}\n');
    assert.notEqual(following.corefileSha512(), before);
    assert.deepEqual(
      following.zones().map(({ zone }) => zone),
      ['a.test.', 'dropped'],
    );
  });
});
