/**
 * The sums behind the page's charts: all counts of all threads and zones at one moment, and what has happened between
 * two such moments. Zones that a reload has removed stay in the sums until their place is used again, so no sum falls
 * at a reload; where one does fall all the same, nothing has happened.
 */
import { byCache, byForward, type Counters, histogramPlaces, rcodesCounted, zonePlaces } from '../counters.js';
import { answerersMax } from '../limits.js';
import type { KernelLaneNumbers } from '../observe/metrics-source.js';
import { percentileMs } from '../observe/traffic.js';

/** Where answers come from, in the order in which the page shows them. */
export const answerSources = ['hit', 'lane', 'stale', 'policy', 'miss', 'failed'] as const;
type ShownSource = (typeof answerSources)[number];

/** NOERROR, NXDOMAIN, SERVFAIL, REFUSED and all others. */
export const shownRcodes = ['NOERROR', 'NXDOMAIN', 'SERVFAIL', 'REFUSED', 'other'] as const;
const placesOfRcodes: Readonly<Record<number, number>> = { 0: 0, 3: 1, 2: 2, 5: 3 };
const otherRcodes = shownRcodes.length - 1;
const rcodeServfail = 2;

/** Since the start. */
export interface Totals {
  answers: number;
  /** SERVFAIL, from upstreams or made here. */
  failed: number;
  /** Made by a policy, or refused, and not SERVFAIL. */
  ruled: number;
  /** Found in the cache, stale ones included. */
  found: number;
  stale: number;
  /** Stale answers to clients that have waited for the upstream in vain: not among `found`. */
  staleAfterWait: number;
  readonly lane: Pick<KernelLaneNumbers, 'answers' | 'stale' | 'denied'>;
  /** As `shownRcodes`. */
  readonly rcodes: Float64Array;
  /** A place for each of `durationBucketsSeconds` and one for the rest. */
  readonly durations: Float64Array;
}

const noLane = { answers: 0, stale: 0, denied: 0 };

/** Adds up; a few thousand additions for each thread. */
export function readTotals(pages: readonly Counters[], lane: KernelLaneNumbers | null): Totals {
  const rcodes = new Float64Array(shownRcodes.length);
  const durations = new Float64Array(histogramPlaces.duration - 1);
  const { answers, stale, denied } = lane ?? noLane;
  const counted = { answers: 0, failed: 0, ruled: 0, found: 0, stale: 0, staleAfterWait: 0 };
  const totals = { ...counted, lane: { answers, stale, denied }, rcodes, durations };
  for (const page of pages) {
    totals.staleAfterWait += page.total('stalePatience');
    const { zones } = page;
    for (let base = 0; base + zonePlaces.count <= zones.length; base += zonePlaces.count) addZone(totals, zones, base);
  }
  return totals;
}

function addZone(totals: Totals, zones: Float64Array, base: number): void {
  const responses = base + zonePlaces.responses;
  for (let answerer = 0; answerer < answerersMax; answerer++) {
    for (let rcode = 0; rcode < rcodesCounted; rcode++) {
      const count = zones[responses + answerer * rcodesCounted + rcode];
      if (count === 0) continue;
      totals.answers += count;
      totals.rcodes[placesOfRcodes[rcode] ?? otherRcodes] += count;
      if (rcode === rcodeServfail) totals.failed += count;
      else if (answerer !== byCache && answerer !== byForward) totals.ruled += count;
    }
  }
  totals.found += zones[base + zonePlaces.hitsSuccess] + zones[base + zonePlaces.hitsDenial];
  totals.stale += zones[base + zonePlaces.servedStale];
  for (let bucket = 0; bucket < totals.durations.length; bucket++) {
    totals.durations[bucket] += zones[base + zonePlaces.duration + bucket];
  }
}

/** What has happened between two readings; NaN where there was nothing to measure. */
export interface Point {
  /** Answers a second. */
  readonly sources: Readonly<Record<ShownSource, number>>;
  /** 0 to 1: of the answers that a cache could give, those that one gave. */
  readonly hitRatio: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** A second, as `shownRcodes`. */
  readonly rcodes: readonly number[];
}

export function pointBetween(before: Totals, now: Totals, seconds: number): Point {
  const rose = (key: 'answers' | 'failed' | 'ruled' | 'found' | 'stale' | 'staleAfterWait'): number =>
    Math.max(0, now[key] - before[key]);
  const laneRose = (key: keyof typeof noLane): number => Math.max(0, now.lane[key] - before.lane[key]);
  const [failed, stale, found] = [rose('failed'), rose('stale'), rose('found')];
  const [denied, laneStale] = [laneRose('denied'), laneRose('stale')];
  const lane = laneRose('answers') - laneStale;
  const policy = Math.max(0, rose('ruled') - denied);
  const hit = Math.max(0, found - (lane - denied) - Math.max(0, stale - rose('staleAfterWait')));
  const miss = Math.max(0, rose('answers') - failed - policy - stale - lane - hit);
  const counts = { hit, lane, stale, policy, miss, failed };
  const fromCache = hit + (lane - denied) + stale;
  const cacheable = fromCache + miss + failed;
  const durations = now.durations.map((count, bucket) => Math.max(0, count - before.durations[bucket]));
  const each = answerSources.map((source) => [source, counts[source] / seconds]);
  return {
    sources: Object.fromEntries(each) as Point['sources'],
    hitRatio: cacheable === 0 ? Number.NaN : fromCache / cacheable,
    p50Ms: percentileMs(durations, 0.5) ?? Number.NaN,
    p99Ms: percentileMs(durations, 0.99) ?? Number.NaN,
    rcodes: Array.from(now.rcodes, (count, place) => Math.max(0, count - before.rcodes[place]) / seconds),
  };
}
