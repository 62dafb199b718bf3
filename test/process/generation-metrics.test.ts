import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kindDenial, kindSuccess } from '../../src/cache/blocks.js';
import { parseConfig } from '../../src/config/load.js';
import { Generation } from '../../src/process/generation.js';
import { metricsOf } from '../../src/process/generation-metrics.js';
import { answerFor } from '../cache/answers.js';
import { loadOptions } from '../resolve/lane-fixture.js';
import { newGenerationFixture } from './generation-fixture.js';

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
