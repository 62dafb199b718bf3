import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindDenial } from '../../src/cache/blocks.js';
import { Counters, countersMemory, sizeBucketsBytes, zonePlaces } from '../../src/counters.js';
import { countGiven } from '../../src/lane/hits.js';
import { variantBits } from '../../src/lane/layout.js';

const denial = {
  ordinal: 1,
  kind: kindDenial,
  type: 1,
  rcode: 3,
  dnssecOk: true,
  queryBytes: 40,
  answerBytes: 100,
} as const;

test('many answers of one variant are counted in one step, with the bytes of all', () => {
  const counters = new Counters(countersMemory(2));
  const { hasOpt, isIpv6, isStale } = variantBits;
  countGiven(counters, denial, hasOpt | isIpv6 | isStale, 1_000);
  const base = counters.zoneBase(1);
  const number = (place: number): number => counters.zones[base + place];
  const sum = sizeBucketsBytes.length + 1;
  assert.equal(number(zonePlaces.requestBytes + sum), 51_000);
  assert.equal(number(zonePlaces.responseBytes + sum), 117_000);
  assert.equal(number(zonePlaces.hitsDenial), 1_000);
  assert.equal(number(zonePlaces.cacheRequests), 1_000);
  assert.equal(number(zonePlaces.dnssecOk), 1_000);
  assert.equal(number(zonePlaces.servedStale), 1_000);
  assert.equal(counters.zones.subarray(0, base).some(Boolean), false, 'no other zone');
});

test('a denial for AAAA is the policy’s, and no hit', () => {
  const counters = new Counters(countersMemory(2));
  countGiven(counters, { ...denial, kind: null, type: 28, rcode: 0 }, 0, 5);
  assert.equal(counters.total('aaaaSynthesized'), 5);
  assert.equal(counters.zones[counters.zoneBase(1) + zonePlaces.cacheRequests], 0);
});
