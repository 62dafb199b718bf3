/**
 * What the metrics are made from: the parts of the program as the scrape sees them, each a function that reads
 * numbers which are there anyway. `app.ts` puts a `MetricsSource` together; a `Scrape` is one reading of it.
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
  zones(): readonly ServedZone[];
  stores(): readonly StoreSizes[];
  upstreams(): readonly UpstreamStats[];
  plugins(): readonly EnabledPlugin[];
  /** The plugin of this name at work, for each server block that has it. */
  atWork(plugin: string): readonly AtWorkHere[];
  /** The `server` label of a zone's place in the counters. */
  serverOf(ordinal: number): string;
  /** What is true of the process just now; names that are missing have no series. */
  gauges(): Partial<Readonly<Record<GaugeName, number>>>;
  setupErrors(): Readonly<Record<SetupError, number>>;
  /** Lines that a reader of stdout was too slow for. */
  logLinesLost(): number;
  /** SHA-512 of the Corefile in use, in hex, or null before there is one. */
  corefileSha512(): string | null;
  instance(): InstanceNumbers;
  /** Durations of the periodic self-check, in the layout of `healthBucketsSeconds`. */
  readonly healthDurations: Float64Array;
  /** How late the event loop was, in the layout of `loopDelayBucketsSeconds`. */
  readonly loopDelays: Float64Array;
  readonly build: BuildInfo;
  /** Wall-clock milliseconds since 1970. */
  readonly startedAtMs: number;
}

export const roles = ['starting', 'serving', 'standing by'] as const;

/** This instance among those on the node. */
interface InstanceNumbers {
  readonly role: (typeof roles)[number];
  /** Others that stand by or start while this one serves. */
  readonly standBys: number;
}

interface BuildInfo {
  readonly version: string;
  readonly revision: string;
  readonly nodeVersion: string;
}

/** A zone on a listening address, with the place of its numbers in every page. */
export interface ServedZone {
  /** `dns://169.254.20.10:53`. */
  readonly server: string;
  /** `cluster.local.`; `dropped` for packets that no block is responsible for. */
  readonly zone: string;
  /** Index for `Counters.zoneBase`. */
  readonly ordinal: number;
  /** The `zones` label of the block's cache, `in-addr.arpa.,ip6.arpa.`; null without `cache`. */
  readonly cacheZones: string | null;
  /** Whether the block has `prometheus`; coredns_dns_* counts only such blocks' queries. */
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
  /** On which the block listens. */
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

/** Zones with the same labels and the sum of their numbers over all threads, in the layout of `zonePlaces`. */
export interface ZoneTotals {
  readonly labels: Readonly<Record<string, string>>;
  readonly numbers: Float64Array;
}

/** One reading of everything, made when a scrape arrives. */
export interface Scrape {
  readonly source: MetricsSource;
  event(name: EventName): number;
  /** A histogram over `batchBuckets`. */
  readonly batches: Float64Array;
  /** By server and zone, of blocks with `prometheus`. */
  readonly served: readonly ZoneTotals[];
  /** By server and the cache's zones. */
  readonly cached: readonly ZoneTotals[];
  /** How late the event loop ran what was due when the scrape arrived. */
  readonly loopLagMs: number;
  readonly process: ProcessNumbers;
}

/** Reads the numbers of all threads once and adds them up. */
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

function totalsOf(group: Group<ServedZone>, pages: readonly Counters[]): ZoneTotals {
  const numbers = new Float64Array(zonePlaces.count);
  for (const { ordinal } of group.members) {
    for (const page of pages) {
      const base = page.zoneBase(ordinal);
      // A thread that started before a reload has no places for zones that came with it.
      addNumbers(numbers, page.zones.subarray(base, base + zonePlaces.count));
    }
  }
  return { labels: group.labels, numbers };
}
