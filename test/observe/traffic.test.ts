import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  byCache,
  type Counters,
  countedType,
  durationBucketsSeconds,
  observeDuration,
  rcodesCounted,
  zonePlaces,
} from '../../src/counters.js';
import { stateOf } from '../../src/observe/metrics-upstream.js';
import { percentileMs, TrafficMeter } from '../../src/observe/traffic.js';
import { durationsOf, UpstreamStats } from '../../src/upstream/endpoint.js';
import { ManualClock } from '../simulation/clock.js';
import { kernelLane, newPage, newSource, servedZone } from './source.js';

function answers(
  page: Counters,
  ordinal: number,
  times: number,
  seconds: number,
  parts: { rcode?: number; hits?: number } = {},
): void {
  const base = page.zoneBase(ordinal);
  const { rcode = 0, hits = times } = parts;
  page.zones[base + zonePlaces.requests + countedType(1)] += times;
  page.zones[base + zonePlaces.responses + byCache * rcodesCounted + rcode] += times;
  page.zones[base + zonePlaces.cacheRequests] += times;
  page.zones[base + zonePlaces.hitsSuccess] += hits;
  for (let left = times; left > 0; left--) observeDuration(page.zones, base + zonePlaces.duration, seconds);
}

function newFixture() {
  const clock = new ManualClock();
  const pages = [newPage(3), newPage(3)];
  const upstream = new UpstreamStats('10.96.0.10:53');
  let kernelAnswers = 0;
  let zones = [
    servedZone({ ordinal: 0 }),
    servedZone({ ordinal: 1, zone: '.' }),
    servedZone({ ordinal: 2, zone: '.', address: '10.96.0.10', prometheus: false }),
  ];
  const source = newSource({
    pages: () => pages,
    zones: () => zones,
    upstreams: () => [upstream],
    kernelLane: () => ({ ...kernelLane, answers: kernelAnswers }),
  });
  const meter = new TrafficMeter(source, clock);
  const seconds = async (count: number) => {
    clock.passMs(count * 1_000);
    return (await meter.read())!;
  };
  return {
    ...{ meter, pages, upstream, seconds },
    reload: () => (zones = [servedZone({ ordinal: 0, zone: 'other.' })]),
    kernel: (more: number) => (kernelAnswers += more),
  };
}

describe('TrafficMeter', () => {
  it('has nothing to compare with at first', async () => {
    const { meter, pages } = newFixture();
    answers(pages[0], 0, 100, 0);
    assert.equal(await meter.read(), null);
  });

  it('tells what was counted between two readings, a second, by zone and address', async () => {
    const { meter, pages, seconds, kernel } = newFixture();
    answers(pages[0], 0, 1_000, 0);
    await meter.read();
    answers(pages[0], 0, 80, 0, { hits: 60 });
    answers(pages[1], 0, 20, 0.003, { rcode: 3, hits: 20 });
    answers(pages[1], 1, 30, 0.0004);
    answers(pages[1], 2, 10, 0.0004, { hits: 0 });
    kernel(5);
    const traffic = await seconds(2);
    const { seconds: length, perSecond, hitRatio, kernelPerSecond, rcodes, addresses, zones } = traffic;
    assert.deepEqual([length, perSecond, hitRatio, kernelPerSecond], [2, 70, 0.7857, 2.5]);
    assert.deepEqual(rcodes, [
      { rcode: 'NOERROR', perSecond: 60 },
      { rcode: 'NXDOMAIN', perSecond: 10 },
    ]);
    assert.deepEqual(addresses, [
      { address: '169.254.20.10', perSecond: 65 },
      { address: '10.96.0.10', perSecond: 5 },
    ]);
    assert.deepEqual(
      zones.map(({ zone, perSecond: each, hitRatio: hits }) => [zone, each, hits]),
      [
        ['cluster.local.', 50, 0.8],
        ['.', 20, 0.75],
      ],
    );
    assert.equal(zones[0].p50Ms, 0.25);
    assert.ok(zones[0].p99Ms! > 2 && zones[0].p99Ms! <= 4);
    const quiet = await seconds(1);
    assert.deepEqual([quiet.perSecond, quiet.hitRatio, quiet.rcodes], [0, null, []]);
    assert.ok(quiet.zones[0].p99Ms! > 2, 'answer times are remembered for a while');
    assert.equal((await seconds(120)).zones[0].p99Ms, null, 'and then forgotten');
  });

  it('tells the state of upstreams', async () => {
    const { meter, upstream, seconds } = newFixture();
    await meter.read();
    for (let left = 10; left > 0; left--) observeDuration(durationsOf(upstream, 'NOERROR'), 0, 0.0015);
    upstream.open = 4;
    upstream.suspects = 1;
    upstream.healthy = false;
    const [{ p50Ms, p99Ms, ...rest }] = (await seconds(1)).upstreams;
    assert.deepEqual(rest, {
      address: '10.96.0.10:53',
      state: 'down',
      perSecond: 10,
      connections: 4,
      suspects: 1,
      healthcheckFailures: 0,
    });
    assert.ok(p50Ms! >= 1 && p99Ms! <= 2);
  });

  it('counts nothing twice, nor below zero, over a reload that reuses places', async () => {
    const { meter, pages, seconds, reload } = newFixture();
    answers(pages[0], 0, 50, 0);
    await meter.read();
    reload();
    pages[0].clearZone(0);
    answers(pages[0], 0, 7, 0);
    const { perSecond, zones } = await seconds(1);
    assert.deepEqual([perSecond, zones.map(({ zone }) => zone)], [0, ['other.']]);
    answers(pages[0], 0, 7, 0);
    assert.equal((await seconds(1)).perSecond, 7);
  });
});

describe('stateOf', () => {
  it('is the worst of those that share an address', () => {
    const [up, down, looping] = [new UpstreamStats('a'), new UpstreamStats('a'), new UpstreamStats('a')];
    down.healthy = false;
    looping.looping = true;
    assert.deepEqual([stateOf([up]), stateOf([up, down]), stateOf([up, down, looping])], ['up', 'down', 'looping']);
  });
});

describe('percentileMs', () => {
  it('lies in the bucket, and at a bound that is known in the first and the last', () => {
    const numbers = new Float64Array(durationBucketsSeconds.length + 2);
    assert.equal(percentileMs(numbers, 0.5), null);
    numbers[0] = 99;
    assert.equal(percentileMs(numbers, 0.5), 0.25);
    numbers[3] = 101;
    assert.ok(percentileMs(numbers, 0.9)! > 1 && percentileMs(numbers, 0.9)! <= 2);
    numbers[durationBucketsSeconds.length] = 1e6;
    assert.equal(percentileMs(numbers, 0.99), durationBucketsSeconds.at(-1)! * 1000);
  });
});
