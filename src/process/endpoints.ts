/** The HTTP pages /health, /ready, /metrics, /top and pprof, and the self-check. Part of the composition root. */
import { addressesOverlap } from '../config/addresses.js';
import type { Config } from '../config/config.js';
import { Query, readQuestion } from '../dns/query.js';
import { lower } from '../dns/wire.js';
import { headerBytes, nameBytesMax, samplePackets, samplesMax, samplesReadMs } from '../limits.js';
import type { Serve } from '../listen/client.js';
import { ListenError } from '../listen/listeners.js';
import type { SampleReader } from '../listen/samples.js';
import { type Family, remembered } from '../observe/exposition.js';
import { healthAnswer, newReadiness, newSelfCheck, type Readiness, startHealthWatch } from '../observe/health.js';
import {
  type Asked,
  groupRoutes,
  type HttpAnswer,
  type HttpRoutes,
  type HttpServer,
  listenFailure,
} from '../observe/http.js';
import { allFamilies, newMetrics } from '../observe/metrics.js';
import type { EnabledPlugin, MetricsSource, Scrape, StoreSizes, ZoneSource } from '../observe/metrics-source.js';
import { type Askers, newPprof } from '../observe/pprof.js';
import { watchLoopDelay } from '../observe/process-numbers.js';
import { Top } from '../observe/top.js';
import type { Turns } from '../observe/turns.js';
import { endpointOf } from '../os/addresses.js';
import type { Clock } from '../os/clock.js';
import type { EventLoop } from '../os/event-loop.js';
import type { Log } from '../os/log.js';
import type { Endpoint, Network } from '../os/network.js';
import type { Profiler } from '../os/profiler.js';
import type { Random } from '../os/random.js';
import type { Page } from '../page/page.js';
import type { PageSource } from '../page/view.js';
import { plugins } from '../plugins/registry.js';
import { fromCounterKey } from '../resolve/zone-plan.js';
import type { BlockAtWork, Generation } from './generation.js';

export type StartHttp = (at: Endpoint, routes: HttpRoutes, failed: (error: unknown) => void) => Promise<HttpServer>;

export interface EndpointsDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly eventLoop?: EventLoop;
  readonly turns: Pick<Turns, 'watch'>;
  readonly random: Random;
  readonly log: Log;
  readonly startHttp: StartHttp;
  readonly profiler: Profiler;
  readonly pprofAskers: Askers;
  readonly top: Pick<ReturnType<typeof newTopTalkers>, 'answer' | 'stop'>;
  readonly source: Omit<MetricsSource, 'healthDurations' | 'loopDelays'>;
  /** Marks our own queries for our listeners. */
  readonly ownMark: number;
  /** For the self-check. */
  readonly listeners: () => readonly Endpoint[];
  /** `-metrics-listen-address`, whose port may be taken; null: off. */
  readonly metricsAddress: Endpoint | null;
  /** `-metrics-former-names`. */
  readonly formerMetricNames: boolean;
  /** `-page`, whose port may be taken too; null: off. */
  readonly livePage?: LivePageAtWork | null;
  selfCheckFailed(): void;
  /** For exceptions in handlers, which are bugs of ours. */
  panicked(): void;
}

export interface LivePageAtWork extends Pick<Page, 'routes' | 'begin' | 'stop'> {
  readonly at: Endpoint;
  readonly source: PageSource;
}

export interface Endpoints {
  readonly readiness: Readiness;
  /** Opens this configuration's endpoints and closes the others. Rejects with a ListenError. */
  use(config: Config): Promise<void>;
  stop(): Promise<void>;
}

const readyWhen = ['listeners', 'interface', 'rules', 'upstream'] as const;

export function newEndpoints(deps: EndpointsDeps, first: Config): Endpoints {
  const { clock, log, network, random, livePage = null } = deps;
  const readiness = newReadiness(readyWhen, first.ready?.monitor ?? 'until-ready');
  const selfCheck = newSelfCheck({ network, clock, random, ownMark: deps.ownMark }, deps.listeners);
  const { check } = selfCheck;
  const watch = startHealthWatch({ check, clock, log, failed: deps.selfCheckFailed });
  const loopDelay = watchLoopDelay(clock);
  const turns = deps.eventLoop === undefined ? null : deps.turns.watch(deps.eventLoop);
  const watched = { healthDurations: watch.durations, loopDelays: loopDelay.durations };
  const shown = deps.formerMetricNames ? families : families.filter(({ isFormer }) => !isFormer);
  const metrics = newMetrics({ ...deps.source, ...watched }, shown, clock, routeFailed);
  const pprof = newPprof(clock, deps.profiler, deps.pprofAskers);
  const servers = new Servers((at, routes) => deps.startHttp(at, routes, routeFailed), pprof.stop);
  const isReady = readyRoute(readiness, deps.source.upstreams);

  const health: HttpRoutes = {
    '/health': async () => healthAnswer(await check()),
    '/top': async (asked) => deps.top.answer(asked),
  };
  const ready: HttpRoutes = { '/ready': async () => isReady() };
  const scrape: HttpRoutes = {
    '/metrics': async () => ({ status: 200, body: await metrics.text(), contentType: metrics.contentType }),
  };

  async function use(config: Config): Promise<void> {
    const wanted = groupRoutes([
      ...(config.health?.addresses ?? []).map((at) => ({ at, routes: health })),
      ...(config.ready?.addresses ?? []).map((at) => ({ at, routes: ready })),
      ...config.metrics.map((at) => ({ at, routes: scrape })),
      ...config.pprof.map((at) => ({ at, routes: pprof.routes(at) })),
    ]);
    await servers.use(wanted);
    const at = deps.metricsAddress;
    if (at !== null && !config.metrics.some((each) => each.port === at.port)) await openExtra(metricsKey, at, scrape);
    if (livePage === null) return;
    const { address, port } = livePage.at;
    const isTaken = wanted.some((each) => each.at.port === port && addressesOverlap(each.at.address, address));
    if (isTaken) log.error(`-page: port ${port} is one of the Corefile's; choose another port.`);
    else await openExtra(pageKey, livePage.at, livePage.routes);
    livePage.begin(livePage.source);
  }

  /** As in node-cache, a taken port is a log line here, not a failed start. */
  async function openExtra(flag: string, at: Endpoint, routes: HttpRoutes): Promise<void> {
    const why = await servers.openExtra(flag, { at, routes });
    if (why !== null) log.error(`${flag}: ${why}`);
  }

  function routeFailed(error: unknown): void {
    deps.panicked();
    log.error('exception in an HTTP handler', { error: String((error as Error).stack) });
  }

  return {
    readiness,
    use,
    async stop() {
      watch.stop();
      loopDelay.stop();
      turns?.stop();
      deps.top.stop();
      livePage?.stop();
      await servers.close();
      // Last, as pages use it.
      selfCheck.stop();
    },
  };
}

function readyRoute(readiness: Readiness, states: MetricsSource['upstreams']): () => ReturnType<Readiness['answer']> {
  let hasBeenAnswered = false;
  return () => {
    // Only `monitor continuously` lets a condition be lost, and only after it was met once.
    hasBeenAnswered ||= !readiness.missing.includes('upstream');
    const upstreams = states();
    const isAnyUp = upstreams.length === 0 || upstreams.some(({ healthy }) => healthy);
    if (hasBeenAnswered) readiness[isAnyUp ? 'met' : 'lost']('upstream');
    return readiness.answer();
  };
}

interface Pages {
  readonly at: Endpoint;
  readonly routes: HttpRoutes;
}

/** The open HTTP servers, by address and pages. */
class Servers {
  readonly #start: (at: Endpoint, routes: HttpRoutes) => Promise<HttpServer>;
  readonly #stopProfiles: () => void;
  readonly #open = new Map<string, HttpServer>();

  constructor(start: (at: Endpoint, routes: HttpRoutes) => Promise<HttpServer>, stopProfiles: () => void) {
    this.#start = start;
    this.#stopProfiles = stopProfiles;
  }

  /** Opens these and closes the others, except the extra one. On a ListenError it closes those that it opened. */
  async use(wanted: readonly Pages[]): Promise<void> {
    const keys = new Set(wanted.map(endpointKey));
    const opened: string[] = [];
    try {
      for (const each of wanted) {
        if (this.#open.has(endpointKey(each))) continue;
        await this.#closeSameEndpoint(each.at);
        this.#open.set(endpointKey(each), await this.#listen(each));
        opened.push(endpointKey(each));
      }
    } catch (error) {
      await Promise.all(opened.map((key) => this.#close(key)));
      throw error;
    }
    for (const key of [...this.#open.keys()]) if (!keys.has(key) && !extraKeys.includes(key)) await this.#close(key);
  }

  /** Opens the server of a flag, which no configuration closes, unless it is open; returns why it cannot, or null. */
  async openExtra(flag: string, extra: Pages): Promise<string | null> {
    if (this.#open.has(flag)) return null;
    try {
      this.#open.set(flag, await this.#listen(extra));
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((key) => this.#close(key)));
  }

  async #listen({ at, routes }: Pages): Promise<HttpServer> {
    try {
      return await this.#start(at, routes);
    } catch (error) {
      throw new ListenError(listenFailure(at, error as NodeJS.ErrnoException));
    }
  }

  /** Its routes change, and an address can be listened on once. */
  async #closeSameEndpoint(at: Endpoint): Promise<void> {
    for (const key of [...this.#open.keys()]) if (key.startsWith(`${at.address} ${at.port} `)) await this.#close(key);
  }

  async #close(key: string): Promise<void> {
    const server = this.#open.get(key);
    this.#open.delete(key);
    try {
      if (key.includes(' /debug/pprof')) this.#stopProfiles();
    } finally {
      await server?.close();
    }
  }
}

const metricsKey = '-metrics-listen-address';
const pageKey = '-page';
const extraKeys = [metricsKey, pageKey];

function endpointKey({ at, routes }: Pages): string {
  return `${at.address} ${at.port} ${Object.keys(routes).sort().join(' ')}`;
}

export function newTopTalkers(deps: {
  readonly clock: Clock;
  readonly random: Random;
  /** One for each worker. */
  readonly samples: readonly SampleReader[];
}) {
  const { clock, random, samples } = deps;
  const top = new Top(clock);
  const query = new Query();
  const question = Buffer.alloc(nameBytesMax + 2);
  const pace = new SamplePace(clock, random);

  function seen(packet: Uint8Array, client: string, packets: number): void {
    if (!readQuestion(packet, packet.length, query)) return;
    // Kept as bytes: only the few that are shown become text.
    const bytes = query.nameEnd - headerBytes + 2;
    for (let at = 0; at < bytes - 2; at++) question[at] = lower[packet[headerBytes + at]];
    question.set(packet.subarray(query.nameEnd, query.nameEnd + 2), bytes - 2);
    top.seen(question.toString('latin1', 0, bytes), client, packets);
  }

  function readSamples(): void {
    for (const reader of samples) {
      reader.read(({ packet, peer }, packets) => seen(packet, endpointOf(peer).address, packets));
    }
  }

  const timer = samples.length === 0 ? null : clock.every(samplesReadMs, readSamples);
  return {
    /** `serve`, sampling packets that no worker has sampled. */
    watched:
      (serve: Serve): Serve =>
      (packet, client) => {
        const packets = client.receivedAtMs === undefined ? pace.next() : 0;
        try {
          if (packets > 0) seen(packet, client.remote.address, packets);
        } finally {
          serve(packet, client);
        }
      },
    /** `question` is name and type in wire format, in lower case. */
    counted: (question: Uint8Array, packets: number): void =>
      top.counted(Buffer.from(question).toString('latin1'), packets),
    answer(asked: Asked): HttpAnswer {
      readSamples();
      return top.answer(asked);
    },
    talkers(countMax: number): ReturnType<Top['talkers']> {
      readSamples();
      return top.talkers(countMax);
    },
    stop: () => timer?.stop(),
  };
}

/** Which packets of the main thread are sampled: all while there are few, as in workers, else one in `samplePackets`. */
class SamplePace {
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #random: Pick<Random, 'below'>;
  #untilNext = 0;
  #endsAtMs = 0;
  #taken = 0;
  #isFast = false;

  constructor(clock: Pick<Clock, 'nowMs'>, random: Pick<Random, 'below'>) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The number of packets that the next one represents; 0: it is not taken. */
  next(): number {
    if (--this.#untilNext >= 0) return 0;
    const packets = this.#isFast ? samplePackets : 1;
    const nowMs = this.#clock.nowMs();
    if (nowMs >= this.#endsAtMs) {
      this.#endsAtMs = nowMs + samplesReadMs;
      this.#taken = 0;
      this.#isFast = false;
    }
    this.#isFast ||= ++this.#taken >= samplesMax / 2;
    if (this.#isFast) this.#untilNext = this.#random.below(2 * samplePackets - 1);
    return packets;
  }
}

export function metricsOf(
  generation: () => Generation,
): Pick<MetricsSource, 'zones' | 'stores' | 'upstreams' | 'plugins' | 'atWork' | 'serverOf' | 'corefileSha512'> {
  return {
    zones: () => servedZonesOf(generation()),
    stores: () => perServer(generation(), storeOf),
    upstreams: () => generation().blocks.flatMap(({ forwards }) => [...forwards.upstreams()]),
    plugins: () => enabledPluginsOf(generation()),
    atWork: (plugin) => pluginsAtWork(generation(), plugin),
    serverOf: (ordinal) => fromCounterKey(generation().deps.numberings.counters.textOf(ordinal)).server,
    corefileSha512: () => generation().config.sha512,
  };
}

const enabledPluginsOf = remembered((generation: Generation): readonly EnabledPlugin[] =>
  perServer(generation, ({ config }, server) =>
    config.zones.flatMap(({ zone }) => config.directives.map((name) => ({ server, zone, name }))),
  ),
);

const servedZonesOf = remembered(({ listeners, blocks, deps }: Generation): readonly ZoneSource[] => {
  const { counters } = deps.numberings;
  const zones = new Map<number, ZoneSource>();
  for (const { zones: served, table, server, at } of listeners) {
    const address = at.address === '0.0.0.0' ? '::' : at.address;
    for (const { ordinal, block } of served) {
      const { cache, prometheus } = blocks[block].config;
      const cacheZones = cache === null ? null : cacheLabel(blocks[block]);
      zones.set(ordinal, { ...fromCounterKey(counters.textOf(ordinal)), address, ordinal, cacheZones, prometheus });
    }
    const prometheus = served.some((zone) => blocks[zone.block].config.prometheus);
    const ordinal = table.droppedOrdinal;
    zones.set(ordinal, { server, zone: 'dropped', address, ordinal, cacheZones: null, prometheus });
  }
  return [...zones.values()];
});

/** The `zones` label: the zones of `cache`, or else the block's. */
function cacheLabel({ config }: BlockAtWork): string {
  const named = config.cache?.zones ?? [];
  return (named.length > 0 ? named : config.zones.map(({ zone }) => zone)).join(',');
}

function storeOf(block: BlockAtWork, server: string): StoreSizes[] {
  const { store } = block;
  if (store === null) return [];
  const success = { entries: store.success.size, evictions: store.evictedSuccess };
  const denial = { entries: store.denial.size, evictions: store.evictedDenial };
  return [{ server, zones: cacheLabel(block), success, denial }];
}

function pluginsAtWork({ listeners, blocks }: Generation, name: string): ReturnType<MetricsSource['atWork']> {
  return blocks.flatMap(({ plugins }, index) => {
    const atWork = plugins.get(name);
    if (atWork === undefined) return [];
    const here = listeners.filter(({ zones }) => zones.some(({ block }) => block === index));
    return [{ atWork, servers: here.map(({ server }) => server) }];
  });
}

/** `of` for each block on each of its servers. */
function perServer<Item>(
  { listeners, blocks }: Generation,
  of: (block: BlockAtWork, server: string) => Item[],
): Item[] {
  return listeners.flatMap(({ server, zones }) =>
    [...new Set(zones.map((zone) => zone.block))].flatMap((block) => of(blocks[block], server)),
  );
}

const ofPlugins: readonly Family<Scrape>[] = plugins.flatMap(({ name: plugin, metrics = [] }) =>
  metrics.map((family) => ({
    ...family,
    samples: ({ source, served }) =>
      family.samples({ atWork: source.atWork(plugin), serverOf: source.serverOf, served }),
  })),
);

/** Every family that /metrics shows, the former names included. */
export const families = allFamilies(ofPlugins);
export const familyNames: readonly string[] = families.map(({ name }) => name);
