/** What clients asked lately: totals of zones and threads, and what came in a quarter of an hour. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byForward, byTemplate, countedType, countedTypes, rcodesCounted, zonePlaces } from '../../src/counters.js';
import { typeAaaa } from '../../src/dns/wire.js';
import { countQueries, type QueryCounts, RecentCounts } from '../../src/process/recent-counts.js';
import { newPage, servedZone } from '../observe/source.js';
import { ManualClock } from '../simulation/clock.js';

const nxdomain = (answerer: number): number => zonePlaces.responses + answerer * rcodesCounted + 3;

test('queries of all zones and threads, by address, type and outcome', () => {
  const pages = [newPage(4), newPage(4)];
  const zones = [
    servedZone(),
    servedZone({ server: 'dns://10.96.0.10:53', address: '10.96.0.10', ordinal: 1 }),
    servedZone({ server: 'dns://[fd00::a]:53', address: 'fd00::a', zone: '.', ordinal: 2 }),
    servedZone({ zone: 'dropped', ordinal: 3 }),
  ];
  for (const [at, page] of pages.entries()) {
    for (const { ordinal } of zones) {
      const base = page.zoneBase(ordinal);
      page.zones[base + zonePlaces.requests] = 10 * (at + 1);
      page.zones[base + zonePlaces.requests + countedTypes.length + countedType(typeAaaa)] = 5;
      page.zones[base + nxdomain(byForward)] = 2;
      page.zones[base + nxdomain(byTemplate)] = 100;
      page.zones[base + nxdomain(byForward) - 1] = 1;
    }
  }
  assert.deepEqual(countQueries(zones, pages, 'cluster.local.'), {
    queries: 120,
    aaaa: 30,
    servfail: 6,
    nxdomainBelow: 8,
    byLocalAddress: { '169.254.20.10': 40, '10.96.0.10': 40, 'fd00::a': 40 },
  });
  assert.equal(countQueries(zones, pages, null).nxdomainBelow, 0);
});

test('a listener on all addresses, a zone in two blocks, and a thread without its places', () => {
  const page = newPage(1);
  page.zones[zonePlaces.requests] = 3;
  const zone = servedZone({ server: 'dns://:53', address: '::' });
  const counts = countQueries([zone, zone, servedZone({ ordinal: 9 })], [page], null);
  assert.deepEqual([counts.queries, counts.byLocalAddress['all addresses']], [3, 3]);
});

test('what came in the last quarter of an hour, and at first since the start', async () => {
  const clock = new ManualClock();
  let total = 0;
  const read = (): QueryCounts => ({
    queries: total,
    aaaa: 0,
    servfail: 0,
    nxdomainBelow: 0,
    byLocalAddress: { a: total },
  });
  const recent = new RecentCounts(clock, read);
  total = 7;
  await clock.pass(30_000);
  assert.deepEqual([recent.latest.seconds, recent.latest.queries], [30, 7]);
  await clock.pass(20 * 60_000);
  assert.deepEqual([recent.latest.queries, recent.latest.byLocalAddress], [0, { a: 0 }]);
  assert(recent.latest.seconds >= 900 && recent.latest.seconds < 960);
  total = 9;
  assert.deepEqual(recent.latest.byLocalAddress, { a: 2 });
  total = 1;
  assert.equal(recent.latest.queries, 0, 'counters that begin anew have counted nothing that is known');
  recent.stop();
  assert.equal(clock.timersSet, 0);
});
