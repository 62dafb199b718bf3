/**
 * Questions a second, hit ratio and answer times between two readings of the counters, in all, by zone and by upstream:
 * exact numbers, whatever is sampled elsewhere. Answer times are percentiles of the histograms, which forget what is older
 * than some seconds.
 */
import {
  answerers,
  countedTypes,
  durationBucketsSeconds,
  histogramPlaces,
  rcodesCounted,
  zonePlaces,
} from '../counters.js';
import { rcodeName } from '../dns/names.js';
import { topShownMax } from '../limits.js';
import type { Clock } from '../os/clock.js';
import { inTurns } from '../scheduling/slices.js';
import { addNumbers, groupByLabels, sum } from './exposition.js';
import type { MetricsSource } from './metrics-source.js';
import { stateOf } from './metrics-upstream.js';

/** Milliseconds; null without answers. The first bucket of the histogram ends at 0.25: `0.25` is that or less. */
interface AnswerTimes {
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

interface ZoneTraffic extends AnswerTimes {
  /** `cluster.local.`, on all listeners; `dropped` for queries in no zone. */
  readonly zone: string;
  readonly perSecond: number;
  /** 0 to 1; null where nothing was looked up in a cache. */
  readonly hitRatio: number | null;
}

export interface UpstreamTraffic extends AnswerTimes {
  /** `10.96.0.10:53`. */
  readonly address: string;
  readonly state: 'up' | 'down' | 'looping';
  /** Answers from it. */
  readonly perSecond: number;
  /** Open connections and UDP sockets, and those whose answers are overdue. */
  readonly connections: number;
  readonly suspects: number;
  /** Since the start. */
  readonly healthcheckFailures: number;
}

export interface Traffic extends AnswerTimes {
  readonly seconds: number;
  readonly perSecond: number;
  readonly hitRatio: number | null;
  readonly stalePerSecond: number;
  /** Of all, those that the kernel lane has answered. */
  readonly kernelPerSecond: number;
  readonly rcodes: readonly { readonly rcode: string; readonly perSecond: number }[];
  readonly addresses: readonly { readonly address: string; readonly perSecond: number }[];
  /** The most active first; `topShownMax` at most, as of upstreams. */
  readonly zones: readonly ZoneTraffic[];
  readonly upstreams: readonly UpstreamTraffic[];
}

type TrafficSource = Pick<MetricsSource, 'pages' | 'zones' | 'upstreams' | 'kernelLane'>;

/** What is left of old answer times after each second. */
const keptPerSecond = 0.8;

export class TrafficMeter {
  readonly #source: TrafficSource;
  readonly #clock: Pick<Clock, 'nowMs' | 'after' | 'rest'>;
  /** Null before the first reading. */
  #readAtMs: number | null = null;
  #kernelBefore = 0;
  readonly #zones = new Meters(zonePlaces.count, zonePlaces.duration);
  readonly #addresses = new Meters(1, 0);
  readonly #upstreams = new Meters(histogramPlaces.duration, 0);

  constructor(source: TrafficSource, clock: Pick<Clock, 'nowMs' | 'after' | 'rest'>) {
    this.#source = source;
    this.#clock = clock;
  }

  /** About the time since the last call, which must have ended; null at the first. */
  async read(): Promise<Traffic | null> {
    const nowMs = this.#clock.nowMs();
    const since = this.#readAtMs;
    const seconds = Math.max(0.001, (nowMs - (since ?? nowMs)) / 1000);
    this.#readAtMs = nowMs;
    const byKernel = this.#byKernel();
    const kernelPerSecond = rate(byKernel - this.#kernelBefore, seconds);
    this.#kernelBefore = byKernel;
    await inTurns(this.#clock, this.#measure(seconds));
    return since === null ? null : this.#traffic(seconds, kernelPerSecond);
  }

  #traffic(seconds: number, kernelPerSecond: number): Traffic {
    const zones = this.#zones.all;
    const all = addedUp(zones.map(({ since }) => since));
    const times = timesOf(addedUp(zones.map(({ recent }) => recent)));
    return {
      seconds: Math.round(seconds * 1000) / 1000,
      perSecond: rate(requestsIn(all), seconds),
      hitRatio: hitRatioIn(all),
      stalePerSecond: rate(all[zonePlaces.servedStale] ?? 0, seconds),
      kernelPerSecond,
      ...times,
      rcodes: rcodesIn(all, seconds),
      addresses: this.#addresses.all.map(({ key, since }) => ({ address: key, perSecond: rate(since[0], seconds) })),
      zones: zones
        .map(({ key, since, recent }) => ({
          zone: key,
          perSecond: rate(requestsIn(since), seconds),
          hitRatio: hitRatioIn(since),
          ...timesOf(recent),
        }))
        .sort((one, other) => other.perSecond - one.perSecond)
        .slice(0, topShownMax),
      upstreams: this.#upstreamTraffic(seconds),
    };
  }

  #upstreamTraffic(seconds: number): readonly UpstreamTraffic[] {
    const byAddress = groupByLabels(this.#source.upstreams(), ({ to }) => to);
    return byAddress.slice(0, topShownMax).map(({ labels: address, members }) => {
      const meter = this.#upstreams.of(address);
      return {
        address,
        state: stateOf(members),
        perSecond: rate(weightOf(meter.since), seconds),
        ...timesOf(meter.recent),
        connections: sum(members, ({ open }) => open),
        suspects: sum(members, ({ suspects }) => suspects),
        healthcheckFailures: sum(members, (stats) => stats.healthcheckFailures),
      };
    });
  }

  #byKernel(): number {
    return this.#source.kernelLane?.()?.answers ?? 0;
  }

  *#measure(seconds: number): Generator<void, void> {
    const kept = keptPerSecond ** seconds;
    const pages = this.#source.pages();
    const zones = new Map<string, Float64Array>();
    const addresses = new Map<string, Float64Array>();
    for (const { zone, address, ordinal } of this.#source.zones()) {
      const numbers = new Float64Array(zonePlaces.count);
      for (const page of pages) {
        const base = page.zoneBase(ordinal);
        addNumbers(numbers, page.zones.subarray(base, base + zonePlaces.count));
      }
      addTo(zones, zone, numbers);
      addTo(addresses, address, Float64Array.of(requestsIn(numbers)));
      yield;
    }
    const upstreams = new Map<string, Float64Array>();
    for (const { to, durations } of this.#source.upstreams()) {
      addTo(upstreams, to, addedUp([...durations.values()], histogramPlaces.duration));
    }
    this.#zones.take(zones, kept);
    this.#addresses.take(addresses, kept);
    this.#upstreams.take(upstreams, kept);
  }
}

interface Meter {
  readonly key: string;
  now: Float64Array;
  /** What was counted between the last two readings. */
  since: Float64Array;
  /** Answer times, older ones with less weight. */
  readonly recent: Float64Array;
}

/** Counters by key, as they were at the last reading; keys that are gone are forgotten. */
class Meters {
  readonly #places: number;
  readonly #durationsAt: number;
  #byKey = new Map<string, Meter>();

  constructor(places: number, durationsAt: number) {
    this.#places = places;
    this.#durationsAt = durationsAt;
  }

  get all(): readonly Meter[] {
    return [...this.#byKey.values()];
  }

  of(key: string): Meter {
    return this.#byKey.get(key) ?? this.#newMeter(key, new Float64Array(this.#places));
  }

  take(counts: ReadonlyMap<string, Float64Array>, kept: number): void {
    const byKey = new Map<string, Meter>();
    for (const [key, now] of counts) {
      const meter = this.#byKey.get(key) ?? this.#newMeter(key, now);
      // A zone's place may have been given to another, whose counts begin at 0.
      meter.since = now.map((count, place) => Math.max(0, count - meter.now[place]));
      meter.now = now;
      for (let place = 0; place < histogramPlaces.duration; place++) {
        meter.recent[place] = meter.recent[place] * kept + (meter.since[this.#durationsAt + place] ?? 0);
      }
      byKey.set(key, meter);
    }
    this.#byKey = byKey;
  }

  #newMeter(key: string, now: Float64Array): Meter {
    return { key, now, since: new Float64Array(this.#places), recent: new Float64Array(histogramPlaces.duration) };
  }
}

function addTo(sums: Map<string, Float64Array>, key: string, numbers: Float64Array): void {
  const known = sums.get(key);
  if (known === undefined) sums.set(key, numbers);
  else addNumbers(known, numbers);
}

function addedUp(all: readonly Float64Array[], places = all[0]?.length ?? 0): Float64Array {
  const sums = new Float64Array(places);
  for (const numbers of all) addNumbers(sums, numbers);
  return sums;
}

function rate(count: number, seconds: number): number {
  return Math.round((count / seconds) * 10) / 10;
}

function requestsIn(numbers: Float64Array): number {
  let requests = 0;
  for (let place = 0; place < 4 * countedTypes.length; place++) requests += numbers[zonePlaces.requests + place] ?? 0;
  return requests;
}

function hitRatioIn(numbers: Float64Array): number | null {
  const requests = numbers[zonePlaces.cacheRequests] ?? 0;
  const hits = (numbers[zonePlaces.hitsSuccess] ?? 0) + (numbers[zonePlaces.hitsDenial] ?? 0);
  return requests === 0 ? null : Math.round((hits / requests) * 10_000) / 10_000;
}

function rcodesIn(numbers: Float64Array, seconds: number): Traffic['rcodes'] {
  const rcodes: { rcode: string; perSecond: number }[] = [];
  for (let rcode = 0; rcode < rcodesCounted; rcode++) {
    let count = 0;
    for (let answerer = 0; answerer < answerers.length; answerer++) {
      count += numbers[zonePlaces.responses + answerer * rcodesCounted + rcode] ?? 0;
    }
    const name = rcode === rcodesCounted - 1 ? 'other' : rcodeName(rcode);
    if (count > 0) rcodes.push({ rcode: name, perSecond: rate(count, seconds) });
  }
  return rcodes.sort((one, other) => other.perSecond - one.perSecond);
}

function weightOf(durations: Float64Array): number {
  let answers = 0;
  for (let bucket = 0; bucket <= durationBucketsSeconds.length; bucket++) answers += durations[bucket] ?? 0;
  return answers;
}

function timesOf(durations: Float64Array): AnswerTimes {
  return { p50Ms: percentileMs(durations, 0.5), p99Ms: percentileMs(durations, 0.99) };
}

/** Between the bounds of its bucket in proportion; in the first and the last bucket, the bound that is known. */
export function percentileMs(durations: Float64Array, share: number): number | null {
  const answers = weightOf(durations);
  // Answers so old that they hardly count are none.
  if (answers < leastWeight) return null;
  let left = share * answers;
  for (const [bucket, upper] of durationBucketsSeconds.entries()) {
    const count = durations[bucket];
    if (left <= count) {
      const lower = bucket === 0 ? upper : durationBucketsSeconds[bucket - 1];
      return Math.round((lower + (upper - lower) * (left / count)) * 100_000) / 100;
    }
    left -= count;
  }
  return durationBucketsSeconds[durationBucketsSeconds.length - 1] * 1000;
}

const leastWeight = 0.1;
