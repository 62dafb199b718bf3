import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zonePlaces } from '../../src/counters.js';
import { Scrape } from '../../src/observe/metrics-source.js';
import { newPage, newSource, servedZone, server } from './source.js';

test('events and zones are summed over the pages of all threads', () => {
  const pages = [newPage(2), newPage(2)];
  for (const page of pages) {
    page.count('coalesced');
    page.zones[page.zoneBase(1) + zonePlaces.hitsSuccess] = 3;
  }
  const zones = [servedZone({ ordinal: 1 })];
  const scrape = new Scrape(newSource({ pages: () => pages, zones: () => zones }), 0);
  assert.equal(scrape.event('coalesced'), 2);
  assert.equal(scrape.event('panics'), 0);
  assert.equal(scrape.served[0].numbers[zonePlaces.hitsSuccess], 6);
});

test('a thread that has no places yet for a zone of a reload adds nothing', () => {
  const page = newPage(3);
  page.zones[page.zoneBase(2) + zonePlaces.misses] = 5;
  const source = newSource({ pages: () => [newPage(1), page], zones: () => [servedZone({ ordinal: 2 })] });
  assert.equal(new Scrape(source, 0).served[0].numbers[zonePlaces.misses], 5);
});

test('zones with the same labels are one, and blocks without `prometheus` or `cache` are left out', () => {
  const page = newPage(4);
  for (const ordinal of [0, 1, 2]) page.zones[page.zoneBase(ordinal) + zonePlaces.misses] = 1;
  const zones = [
    servedZone({ ordinal: 0, zone: 'a.', cacheZones: 'a.,b.' }),
    servedZone({ ordinal: 1, zone: 'b.', cacheZones: 'a.,b.' }),
    servedZone({ ordinal: 2, zone: 'c.', cacheZones: null, prometheus: false }),
  ];
  const { served, cached } = new Scrape(newSource({ pages: () => [page], zones: () => zones }), 0);
  assert.deepEqual(
    served.map(({ labels }) => labels),
    [`server="${server}",zone="a."`, `server="${server}",zone="b."`],
  );
  assert.deepEqual(
    cached.map((cache) => [cache.labels, cache.at(zonePlaces.misses), cache.numbers[zonePlaces.misses]]),
    [[`server="${server}",zones="a.,b."`, 2, 2]],
  );
});

test('the lag of the event loop is what was measured', () => {
  assert.equal(new Scrape(newSource(), 12.5).loopLagMs, 12.5);
});
