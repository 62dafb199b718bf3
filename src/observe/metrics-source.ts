/**
 * The input of the metrics: functions that read numbers of the parts of the program. `app.ts` builds a `MetricsSource`; a
 * `Scrape` is one reading of it.
 */
import { batchBuckets, type Counters, type EventName, eventNames, zonePlaces } from '../counters.js';
import type { SetupError } from '../host/tools.js';
import type { PluginAtWork } from '../resolve/route.js';
import type { UpstreamStats } from '../upstream/endpoint.js';
import { addNumbers, type Group, groupByLabels } from './exposition.js';
import { type ProcessNumbers, readProcessNumbers } from './process-numbers.js';

export interface MetricsSource {
  /** One page per thread. */
  pages(): readonly Counters[];
  zones(): readonly ZoneSource[];
  stores(): readonly StoreSizes[];
  upstreams(): readonly UpstreamStats[];
  plugins(): readonly EnabledPlugin[];
  /** The plugin of this name at work, for each server block that has it. */
  atWork(plugin: string): readonly AtWorkHere[];
  /** The `server` label of a zone's place in the counters. */
  serverOf(ordinal: number): string;
  /** Present values; missing names have no series. */
  gauges(): Partial<Readonly<Record<GaugeName, number>>>;
  setupErrors(): Readonly<Record<SetupError, number>>;
  logLinesLost(): number;
  /** SHA-512 of the Corefile in use, in hex; null before the first. */
  corefileSha512(): string | null;
  instance(): InstanceNumbers;
  /** Of the periodic self-check, in the layout of `healthBucketsSeconds`. */
  readonly healthDurations: Float64Array;
  /** In the layout of `loopDelayBucketsSeconds`. */
  readonly loopDelays: Float64Array;
  readonly build: BuildInfo;
  /** Wall-clock milliseconds since 1970. */
  readonly startedAtMs: number;
}

export const roles = ['starting', 'serving', 'standing by'] as const;

interface InstanceNumbers {
  readonly role: (typeof roles)[number];
  /** Other instances that stand by or start while this one serves. */
  readonly standBys: number;
}

interface BuildInfo {
  readonly version: string;
  readonly revision: string;
  readonly nodeVersion: string;
}

/** A zone on a listening address. */
export interface ZoneSource {
  /** `dns://169.254.20.10:53`. */
  readonly server: string;
  /** `cluster.local.`; `dropped` for packets that match no block. */
  readonly zone: string;
  /** Index for `Counters.zoneBase`. */
  readonly ordinal: number;
  /** The `zones` label of the block's cache, `in-addr.arpa.,ip6.arpa.`; null without `cache`. */
  readonly cacheZones: string | null;
  /** coredns_dns_* counts queries of blocks with `prometheus` only. */
  readonly prometheus: boolean;
}

export interface StoreSizes {
  readonly server: string;
  /** As `ServedZone.cacheZones`. */
  readonly zones: string;
  readonly success: StoreSize;
  readonly denial: StoreSize;
}

export interface StoreSize {
  readonly entries: number;
  readonly evictions: number;
}

export interface EnabledPlugin {
  readonly server: string;
  readonly zone: string;
  readonly name: string;
}

interface AtWorkHere {
  readonly atWork: PluginAtWork;
  readonly servers: readonly string[];
}

export const gaugeNames = [
  'cacheUsedBytes',
  'cacheBytesMax',
  'pendingQuestions',
  'waitingClients',
  'tcpClients',
  'answeringThreads',
  'lastReloadSuccessful',
] as const;
export type GaugeName = (typeof gaugeNames)[number];

/** Upper bounds of coredns_health_request_duration_seconds. */
export const healthBucketsSeconds = [0.00025, 0.0025, 0.025, 0.25, 2.5] as const;

/** The sum over all threads and zones with the same labels, in the layout of `zonePlaces`. */
export interface ZoneTotals {
  readonly labels: Readonly<Record<string, string>>;
  readonly numbers: Float64Array;
}

/** One reading of the source. */
export interface Scrape {
  readonly source: MetricsSource;
  event(name: EventName): number;
  /** A histogram over `batchBuckets`. */
  readonly batches: Float64Array;
  /** By server and zone, of blocks with `prometheus`. */
  readonly served: readonly ZoneTotals[];
  /** By server and the cache's zones. */
  readonly cached: readonly ZoneTotals[];
  /** The event loop's delay when the scrape arrived. */
  readonly loopLagMs: number;
  readonly process: ProcessNumbers;
}

export function readSource(source: MetricsSource, loopLagMs: number): Scrape {
  const pages = source.pages();
  const zones = source.zones();
  const events = new Float64Array(eventNames.length);
  const batches = new Float64Array(batchBuckets.length + 2);
  for (const page of pages) {
    addNumbers(events, page.events);
    addNumbers(batches, page.batches);
  }
  const indexes = new Map(eventNames.map((name, index) => [name, index]));
  return {
    source,
    event: (name) => events[indexes.get(name)!],
    batches,
    served: groupByLabels(
      zones.filter((zone) => zone.prometheus),
      ({ server, zone }) => ({ server, zone }),
    ).map((group) => totalsOf(group, pages)),
    cached: groupByLabels(
      zones.filter((zone) => zone.cacheZones !== null),
      ({ server, cacheZones }) => ({ server, zones: cacheZones ?? '' }),
    ).map((group) => totalsOf(group, pages)),
    loopLagMs,
    process: readProcessNumbers(),
  };
}

function totalsOf(group: Group<ZoneSource>, pages: readonly Counters[]): ZoneTotals {
  const numbers = new Float64Array(zonePlaces.count);
  for (const { ordinal } of group.members) {
    for (const page of pages) {
      const base = page.zoneBase(ordinal);
      // A thread that started before a reload has no places for new zones.
      addNumbers(numbers, page.zones.subarray(base, base + zonePlaces.count));
    }
  }
  return { labels: group.labels, numbers };
}
