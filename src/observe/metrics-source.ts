/**
 * The input of the metrics: functions that read numbers of the parts of the program. `app.ts` builds a `MetricsSource`; a
 * `Scrape` is one reading of it.
 */
import { batchBuckets, type Counters, type EventName, eventNames, zonePlaces } from '../counters.js';
import type { SetupError } from '../host/tools.js';
import type { ConntrackNumbers } from '../os/conntrack.js';
import type { PluginAtWork } from '../resolve/route.js';
import type { UpstreamStats } from '../upstream/endpoint.js';
import { addNumbers, type Group, groupByLabels, type Labels, labelText, remembered } from './exposition.js';
import { newProcessNumbers } from './process-numbers.js';
import type { Turns } from './turns.js';

export interface MetricsSource {
  /** One page per thread. */
  pages(): readonly Counters[];
  /** The same list until a reload. */
  zones(): readonly ZoneSource[];
  stores(): readonly StoreSizes[];
  upstreams(): readonly UpstreamStats[];
  /** The same list until a reload. */
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
  readonly turns: Pick<Turns, 'lengths' | 'long' | 'during'>;
  /** Null: `-kernellane` is off. */
  kernelLane?(): KernelLaneNumbers | null;
  /** Of the node; null where its files are missing, as without the module. */
  conntrack?(): ConntrackNumbers | null;
  /** By check, whether it fails; null or absent: the doctor does not look. */
  doctorFailed?(): ReadonlyMap<string, boolean> | null;
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

export interface KernelLaneNumbers {
  readonly isOn: boolean;
  /** Why it is off; empty while it is on. */
  readonly why: string;
  readonly answers: number;
  /** Of these, stale ones. */
  readonly stale: number;
  /** Of these, denials by a zone's AAAA policy. */
  readonly denied: number;
  /** Queries left to the process, by cause. */
  readonly passed: Readonly<Record<string, number>>;
  /** Answers asked for anew because they were in use, and those left to end for lack of budget. */
  readonly refreshes: number;
  readonly refreshesDenied: number;
  readonly entries: number;
  readonly links: number;
  readonly linksRefused: number;
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
  /** The listener's, `169.254.20.10`; `::` for all addresses. */
  readonly address: string;
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
  'nxdomainCuts',
] as const;
export type GaugeName = (typeof gaugeNames)[number];

/** Upper bounds of coredns_health_request_duration_seconds. */
export const healthBucketsSeconds = [0.00025, 0.0025, 0.025, 0.25, 2.5] as const;

/** The numbers of the zones with the same labels, over all threads. */
export class ZoneTotals {
  readonly labels: Labels;
  /** One of the zones. */
  readonly first: ZoneSource;
  readonly #pages: readonly Counters[];
  readonly #zones: readonly ZoneSource[];
  #numbers: Float64Array | null = null;

  constructor({ labels, members }: Group<ZoneSource>, pages: readonly Counters[]) {
    this.labels = labels;
    [this.first] = members;
    this.#pages = pages;
    this.#zones = members;
  }

  /** All of them, in the layout of `zonePlaces`; added up at the first look. */
  get numbers(): Float64Array {
    this.#numbers ??= this.#addUp();
    return this.#numbers;
  }

  /** One of them. */
  at(place: number): number {
    let total = 0;
    for (const { ordinal } of this.#zones) {
      // A thread that started before a reload has no places for new zones.
      for (const page of this.#pages) total += page.zones[page.zoneBase(ordinal) + place] ?? 0;
    }
    return total;
  }

  /** The sum of `count` of them from `first` on. */
  total(first: number, count: number): number {
    let total = 0;
    for (let place = first; place < first + count; place++) total += this.at(place);
    return total;
  }

  #addUp(): Float64Array {
    const numbers = new Float64Array(zonePlaces.count);
    for (const { ordinal } of this.#zones) {
      for (const page of this.#pages) {
        const base = page.zoneBase(ordinal);
        addNumbers(numbers, page.zones.subarray(base, base + zonePlaces.count));
      }
    }
    return numbers;
  }
}

/** The zones of one configuration by their labels. */
interface ZoneGroups {
  /** By server and zone, of blocks with `prometheus`. */
  readonly served: readonly Group<ZoneSource>[];
  /** By server and the cache's zones. */
  readonly cached: readonly Group<ZoneSource>[];
  /** By listening address, of all blocks. */
  readonly listening: readonly Group<ZoneSource>[];
}

const zonesByLabels = remembered((zones: readonly ZoneSource[]): ZoneGroups => {
  const served = zones.filter((zone) => zone.prometheus);
  const cached = zones.filter((zone) => zone.cacheZones !== null);
  return {
    served: groupByLabels(served, ({ server, zone }) => labelText({ server, zone })),
    cached: groupByLabels(cached, ({ server, cacheZones }) => labelText({ server, zones: cacheZones ?? '' })),
    listening: groupByLabels(zones, ({ address }) => labelText({ address })),
  };
});

const processNumbers = newProcessNumbers();

/** One reading of the source. */
export class Scrape {
  readonly gauges: ReturnType<MetricsSource['gauges']>;
  readonly process = processNumbers;
  /** A histogram over `batchBuckets`. */
  readonly batches = new Float64Array(batchBuckets.length + 2);
  /** By server and zone, of blocks with `prometheus`. */
  readonly served: readonly ZoneTotals[];
  /** By server and the cache's zones. */
  readonly cached: readonly ZoneTotals[];
  /** By listening address, of all blocks. */
  readonly listening: readonly ZoneTotals[];
  readonly #events = new Float64Array(eventNames.length);
  #stores: readonly Group<StoreSizes>[] | null = null;
  #upstreams: readonly Group<UpstreamStats>[] | null = null;
  #conntrack: ConntrackNumbers | null | undefined;

  /** `loopLagMs` is the event loop's delay when the scrape arrived. */
  constructor(
    readonly source: MetricsSource,
    readonly loopLagMs: number,
  ) {
    const pages = source.pages();
    for (const page of pages) {
      addNumbers(this.#events, page.events);
      addNumbers(this.batches, page.batches);
    }
    const { served, cached, listening } = zonesByLabels(source.zones());
    this.served = served.map((zones) => new ZoneTotals(zones, pages));
    this.cached = cached.map((zones) => new ZoneTotals(zones, pages));
    this.listening = listening.map((zones) => new ZoneTotals(zones, pages));
    this.gauges = source.gauges();
  }

  /** Read once, at the first look. */
  get conntrack(): ConntrackNumbers | null {
    if (this.#conntrack === undefined) this.#conntrack = this.source.conntrack?.() ?? null;
    return this.#conntrack;
  }

  event(name: EventName): number {
    return this.#events[eventPlaces[name]];
  }

  /** By server and the cache's zones. */
  get stores(): readonly Group<StoreSizes>[] {
    this.#stores ??= groupByLabels(this.source.stores(), ({ server, zones }) => labelText({ server, zones }));
    return this.#stores;
  }

  /** By address: several forwards may name the same. */
  get upstreams(): readonly Group<UpstreamStats>[] {
    this.#upstreams ??= groupByLabels(this.source.upstreams(), ({ to }) => labelText({ to }));
    return this.#upstreams;
  }
}

const eventPlaces = Object.fromEntries(eventNames.map((name, place) => [name, place])) as Record<EventName, number>;
