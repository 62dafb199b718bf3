/**
 * What clients have asked in the last minutes: the counters' totals, read once a minute and kept for a quarter of an hour.
 * Counters only rise, so the difference of two readings is what came between them.
 */
import {
  answerers,
  byTemplate,
  type Counters,
  countedType,
  countedTypes,
  rcodesCounted,
  zonePlaces,
} from '../counters.js';
import { rcodeNxDomain, rcodeServFail, typeAaaa } from '../dns/wire.js';
import { recentMinutesMax } from '../limits.js';
import type { ZoneSource } from '../observe/metrics-source.js';
import type { Clock, Timer } from '../os/clock.js';

export interface QueryCounts {
  readonly queries: number;
  readonly aaaa: number;
  readonly servfail: number;
  /** NXDOMAIN at or below the cluster's domain, without those of `template`. */
  readonly nxdomainBelow: number;
  /** By the address of the listener. */
  readonly byLocalAddress: Readonly<Record<string, number>>;
}

const noQueries: QueryCounts = { queries: 0, aaaa: 0, servfail: 0, nxdomainBelow: 0, byLocalAddress: {} };
const minuteMs = 60_000;

interface TimedCounts {
  readonly atMs: number;
  readonly counts: QueryCounts;
}

export class RecentCounts {
  readonly #clock: Clock;
  readonly #read: () => QueryCounts;
  /** The oldest first. */
  readonly #kept: TimedCounts[] = [];
  readonly #timer: Timer;

  /** At the start of the process, when all counters are 0; `read` is called later. */
  constructor(clock: Clock, read: () => QueryCounts) {
    this.#clock = clock;
    this.#read = read;
    this.#kept.push({ atMs: clock.nowMs(), counts: noQueries });
    this.#timer = clock.every(minuteMs, () => this.#keep());
  }

  /** What came since the oldest reading that is kept. */
  get latest(): QueryCounts & { readonly seconds: number } {
    const [{ atMs, counts: before }] = this.#kept;
    const now = this.#read();
    const since = (one: number, other: number): number => Math.max(0, other - one);
    return {
      seconds: (this.#clock.nowMs() - atMs) / 1000,
      queries: since(before.queries, now.queries),
      aaaa: since(before.aaaa, now.aaaa),
      servfail: since(before.servfail, now.servfail),
      nxdomainBelow: since(before.nxdomainBelow, now.nxdomainBelow),
      byLocalAddress: Object.fromEntries(
        Object.entries(now.byLocalAddress).map(([address, count]) => [
          address,
          since(before.byLocalAddress[address] ?? 0, count),
        ]),
      ),
    };
  }

  stop(): void {
    this.#timer.stop();
  }

  #keep(): void {
    this.#kept.push({ atMs: this.#clock.nowMs(), counts: this.#read() });
    if (this.#kept.length > recentMinutesMax + 1) this.#kept.shift();
  }
}

/** The totals over all threads, without packets that no server block takes. `clusterZone` is `cluster.local.`, or null. */
export function countQueries(
  zones: readonly ZoneSource[],
  pages: readonly Counters[],
  clusterZone: string | null,
): QueryCounts {
  const counts = { queries: 0, aaaa: 0, servfail: 0, nxdomainBelow: 0 };
  const byLocalAddress: Record<string, number> = {};
  // A zone that two server blocks have shares its place in the counters.
  const places = new Map(zones.flatMap((zone) => (zone.zone === 'dropped' ? [] : [[zone.ordinal, zone] as const])));
  for (const { ordinal, zone, address } of places.values()) {
    const local = address === '::' ? 'all addresses' : address;
    for (const page of pages) {
      const base = page.zoneBase(ordinal);
      const requests = page.zones.subarray(base + zonePlaces.requests, base + zonePlaces.requests + requestPlaces);
      const ofPage = requests.reduce((sum, each) => sum + each, 0);
      counts.queries += ofPage;
      byLocalAddress[local] = (byLocalAddress[local] ?? 0) + ofPage;
      for (let at = countedType(typeAaaa); at < requests.length; at += countedTypes.length) counts.aaaa += requests[at];
      for (let answerer = 0; answerer < answerers.length; answerer++) {
        const first = base + zonePlaces.responses + answerer * rcodesCounted;
        counts.servfail += page.zones[first + rcodeServFail] ?? 0;
        if (zone === clusterZone && answerer !== byTemplate)
          counts.nxdomainBelow += page.zones[first + rcodeNxDomain] ?? 0;
      }
    }
  }
  return { ...counts, byLocalAddress };
}

/** [transport][family][type] */
const requestPlaces = 4 * countedTypes.length;
