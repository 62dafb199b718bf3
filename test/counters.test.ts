import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  answerers,
  byCache,
  byForward,
  byNobody,
  byTemplate,
  Counters,
  countedType,
  countedTypes,
  countersMemory,
  durationBucketsSeconds,
  eventNames,
  histogramPlaces,
  newAnswerer,
  observeBytes,
  observeDuration,
  overTcp,
  overUdp,
  rcodesCounted,
  sizeBucketsBytes,
  zonePlaces,
} from '../src/counters.js';
import { typeName, typeNumber } from '../src/dns/names.js';
import { answerersMax } from '../src/limits.js';

const other = countedTypes.length - 1;

describe('countedType', () => {
  it('gives each type with a series of its own its place, and all others the last', () => {
    const named = countedTypes.slice(0, other);
    assert.equal(countedTypes[other], 'other');
    named.forEach((name, index) => {
      assert.equal(countedType(typeNumber(name) as number), index, name);
    });
    for (let type = 0; type < 65_536; type++) {
      const expected = (named as readonly string[]).includes(typeName(type)) ? typeName(type) : 'other';
      assert.equal(countedTypes[countedType(type)], expected);
    }
  });
});

describe('newAnswerer', () => {
  it('gives each plugin a place of its own, and no more places than zones have room for', () => {
    const before = answerers.length;
    assert.equal(newAnswerer('one'), before);
    while (answerers.length < answerersMax) newAnswerer('other');
    assert.throws(() => newAnswerer('too many'), /room for all plugins/);
  });
});

describe('the names of answerers', () => {
  it('stand at their numbers', () => {
    assert.deepEqual(
      [byCache, byForward, byTemplate, byNobody].map((number) => answerers[number]),
      ['cache', 'forward', 'template', ''],
    );
  });
});

describe('zonePlaces', () => {
  it('lie behind each other without overlap, each as large as its families are', () => {
    const sizes: Record<keyof typeof zonePlaces, number> = {
      requests: 2 * 2 * countedTypes.length,
      responses: answerersMax * rcodesCounted,
      dnssecOk: 1,
      duration: histogramPlaces.duration,
      requestBytes: 2 * histogramPlaces.size,
      responseBytes: 2 * histogramPlaces.size,
      cacheRequests: 1,
      hitsSuccess: 1,
      hitsDenial: 1,
      misses: 1,
      prefetches: 1,
      drops: 1,
      servedStale: 1,
      translated: 1,
      cutAnswers: 1,
      count: 0,
    };
    let next = 0;
    for (const [name, at] of Object.entries(zonePlaces).sort(([, one], [, two]) => one - two)) {
      assert.equal(at, next, name);
      next += sizes[name as keyof typeof zonePlaces];
    }
    assert.equal(next, zonePlaces.count);
  });
});

describe('histograms', () => {
  it('have CoreDNS’s buckets', () => {
    assert.deepEqual(durationBucketsSeconds.slice(0, 3), [0.00025, 0.0005, 0.001]);
    assert.equal(durationBucketsSeconds.length, 16);
    assert.deepEqual(sizeBucketsBytes, [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3]);
  });

  it('count a duration in the bucket whose bound it does not exceed, and add it up', () => {
    const numbers = new Float64Array(histogramPlaces.duration + 2);
    const bucketOf = (seconds: number) => {
      numbers.fill(0);
      observeDuration(numbers, 1, seconds);
      assert.equal(numbers[histogramPlaces.duration], seconds, 'the sum is last');
      const counted = numbers.subarray(1, histogramPlaces.duration).indexOf(1);
      assert.deepEqual([numbers[0], numbers.at(-1)], [0, 0], 'nothing beside it is touched');
      return counted;
    };
    assert.deepEqual([0, 0.00025, 0.00026, 8.192, 8.193].map(bucketOf), [0, 0, 1, 15, 16]);
  });

  it('count bytes apart for each transport', () => {
    const numbers = new Float64Array(2 * histogramPlaces.size);
    observeBytes(numbers, 0, overUdp, 100);
    observeBytes(numbers, 0, overUdp, 101);
    observeBytes(numbers, 0, overTcp, 65_535);
    const expected = new Float64Array(2 * histogramPlaces.size);
    expected[1] = 1;
    expected[2] = 1;
    expected[histogramPlaces.size - 1] = 201;
    expected[histogramPlaces.size + sizeBucketsBytes.length] = 1;
    expected[2 * histogramPlaces.size - 1] = 65_535;
    assert.deepEqual(numbers, expected);
  });
});

describe('Counters', () => {
  it('counts each event for itself', () => {
    const counters = new Counters(countersMemory(0));
    eventNames.forEach((name, index) => {
      for (let times = 0; times <= index; times++) counters.count(name);
    });
    assert.deepEqual(
      eventNames.map((name) => counters.total(name)),
      eventNames.map((_, index) => index + 1),
    );
    assert.equal(new Set(eventNames).size, eventNames.length);
  });

  it('shows another view of the same memory the same numbers', () => {
    const counters = new Counters(countersMemory(2));
    const view = new Counters(counters.memory);
    counters.count('panics');
    counters.zones[counters.zoneBase(1) + zonePlaces.misses] = 3;
    assert.deepEqual([view.total('panics'), view.zones[view.zoneBase(1) + zonePlaces.misses]], [1, 3]);
  });

  it('sets the numbers of one zone to zero, and does nothing where there is no such zone', () => {
    const counters = new Counters(countersMemory(3));
    counters.count('coalesced');
    counters.zones.fill(1);
    counters.clearZone(1);
    counters.clearZone(3);
    const sums = [0, 1, 2].map((ordinal) =>
      counters.zones.subarray(counters.zoneBase(ordinal), counters.zoneBase(ordinal + 1)).reduce((sum, n) => sum + n),
    );
    assert.deepEqual(sums, [zonePlaces.count, 0, zonePlaces.count]);
    assert.equal(counters.total('coalesced'), 1);
  });

  it('grows when there are more zones, and takes what it has counted along', () => {
    const counters = new Counters(countersMemory(1));
    counters.count('coalesced');
    counters.zones[zonePlaces.count - 1] = 5;
    const { memory } = counters;
    counters.growTo(1);
    assert.equal(counters.memory, memory, 'there was room');
    counters.growTo(3);
    assert.equal(counters.zones.length, 3 * zonePlaces.count);
    assert.deepEqual([counters.total('coalesced'), counters.zones[zonePlaces.count - 1]], [1, 5]);
    assert.ok(counters.zones.subarray(zonePlaces.count).every((number) => number === 0));
    assert.equal(new Counters(counters.memory).total('coalesced'), 1);
    const grown = counters.memory;
    counters.growTo(2);
    assert.equal(counters.memory, grown, 'it never shrinks');
  });
});

describe('the pages of several threads', () => {
  it('leave a cache line free at both ends, wherever malloc puts them', () => {
    const { events, batches, zones, memory } = new Counters(countersMemory(2));
    assert.equal(events.byteOffset, 64);
    assert.equal(batches.byteOffset, events.byteOffset + events.byteLength);
    assert.equal(zones.byteOffset, batches.byteOffset + batches.byteLength);
    assert.equal(zones.length, 2 * zonePlaces.count);
    assert.equal(memory.byteLength - (zones.byteOffset + zones.byteLength), 64);
  });
});
