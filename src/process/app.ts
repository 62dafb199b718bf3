/**
 * The composition root: makes every part in the order in which a packet meets them; ending.ts stops them in reverse. The
 * configuration is a function, because each reload reads it again.
 */
import { Blocks, cacheMemory } from '../cache/blocks.js';
import { Cache } from '../cache/cache.js';
import { Epochs } from '../cache/epochs.js';
import { FirstHits } from '../cache/first-hits.js';
import { cacheBytesOf } from '../config/capacity.js';
import type { Config } from '../config/config.js';
import type { Look } from '../config/watch.js';
import type { ControlServer } from '../control/server.js';
import { tailHandler } from '../control/tail-serving.js';
import { type TopServingDeps, topHandler } from '../control/top-serving.js';
import { Counters, countersMemory, type EventName } from '../counters.js';
import { newSlot } from '../dns/answer.js';
import { newHashKey } from '../dns/hash.js';
import { ownMarks } from '../dns/own-queries.js';
import { Host, type HostDeps, type HostOptions, type SocketsOfHost } from '../host/host.js';
import { handoverTransferMs, messageBytesMax, optBytesMax } from '../limits.js';
import { newListeners } from '../listen/listeners.js';
import type { Askers } from '../observe/pprof.js';
import type { SetupErrors } from '../observe/process-numbers.js';
import { newQueryLogOutput } from '../observe/query-log.js';
import { QueryWatch } from '../observe/query-watch.js';
import { Turns } from '../observe/turns.js';
import type { Clock } from '../os/clock.js';
import type { RunCommand } from '../os/commands.js';
import { conntrackNumbers } from '../os/conntrack.js';
import type { EventLoop } from '../os/event-loop.js';
import type { ReadPieces } from '../os/files.js';
import type { Log } from '../os/log.js';
import type { Endpoint, Network } from '../os/network.js';
import type { NetworkFailures } from '../os/node-network.js';
import type { Profiler } from '../os/profiler.js';
import type { Random } from '../os/random.js';
import { DenialCuts } from '../resolve/cut.js';
import { Denials } from '../resolve/denials.js';
import { keepFrom } from '../resolve/direct.js';
import { LoopWatch } from '../resolve/loop.js';
import { Misses } from '../resolve/miss.js';
import { OwnDenials } from '../resolve/own-denials.js';
import type { Route } from '../resolve/route.js';
import { refreshFrom, refuseFrom, serveFrom } from '../resolve/serve.js';
import { lookUpIn, subqueryIn } from '../resolve/subquery.js';
import { WorkerContext } from '../resolve/worker-context.js';
import { Numbering, ReusableNumbering } from '../resolve/zone-plan.js';
import type { ServedZone, ZoneTable } from '../resolve/zones.js';
import type { Snapshot, SnapshotDeps } from '../takeover/snapshot.js';
import { type Succession, type TakingOver, takingOver } from '../takeover/succession.js';
import { Outages } from '../upstream/health.js';
import { ActiveConfiguration, type ReloadResult } from './active-configuration.js';
import { newCacheTransfer } from './cache-transfer.js';
import { controlHandlers, type OpenControl } from './control-handlers.js';
import { type DoctorSettings, openDoctor, type ProcessDoctor } from './doctor-run.js';
import { type Ending, newEnding, within } from './ending.js';
import {
  type Endpoints,
  type EndpointsDeps,
  metricsOf,
  newEndpoints,
  newTopTalkers,
  type StartHttp,
} from './endpoints.js';
import { CacheWork, Generation, type GenerationDeps, newResolvConfFiles, prepare } from './generation.js';
import type { LaneAtWork, OpenKernelLane } from './kernel-lane.js';
import { laneTables } from './lane-tables.js';
import { livePageOf, type PageWish } from './live-page.js';
import type { OpenSuccession, OpenWorkers } from './shared-sockets.js';

/** The outsides, injected so that tests bring their own. */
export interface Outsides {
  readonly network: (failures: NetworkFailures) => Network;
  readonly clock: Clock;
  /** Without it turns are not measured. */
  readonly eventLoop?: EventLoop;
  readonly random: Random;
  readonly log: Log & { queryLine(message: string): void; readonly linesLost: number };
  readonly startHttp: StartHttp;
  readonly profiler: Profiler;
  readonly pprofAskers: Askers;
  readonly run: RunCommand;
  /** The UDP sockets on the host's addresses. */
  readonly sockets: SocketsOfHost;
  /** Undefined: the file cannot be read. */
  readonly readFile: (path: string) => string | undefined;
  readonly readPieces: ReadPieces;
  readonly look: Look;
  /** Without them the event loop answers UDP. */
  readonly workers?: OpenWorkers;
  /** The other instances on this node; undefined: none. */
  readonly succession?: OpenSuccession | undefined;
  /** `-page`; undefined: off. */
  readonly pageWish?: PageWish | undefined;
  /** Cached answers in the kernel; undefined: none. */
  readonly kernelLane?: OpenKernelLane | undefined;
  /** The socket for commands; undefined: none. */
  readonly control?: OpenControl | undefined;
  /** The cache as a file; undefined: none. */
  readonly snapshot?: ((parts: Pick<SnapshotDeps, 'clock' | 'log' | 'warmth' | 'serves'>) => Snapshot) | undefined;
}

export interface Settings {
  /** Throws a ConfigError. Called at start and at each reload. */
  readonly load: () => Config;
  /** Called with each configuration that comes into force. */
  readonly inForce: (config: Config) => void;
  /** How often the configuration's files are read, whatever `reload` says; null: as `reload` says. */
  readonly lookEveryMs: number | null;
  /** `-metrics-listen-address`; null: off. */
  readonly metricsAddress: Endpoint | null;
  /** `-metrics-former-names`. */
  readonly formerMetricNames: boolean;
  readonly version: string;
  /** For coredns_nodecache_setup_errors_total. */
  readonly setupErrors: SetupErrors;
  /** The interface, addresses and rules to set up; null: leaves the node as it is. */
  readonly host: HostOptions | null;
  /** Undefined: nobody asks this process about its node. */
  readonly doctor?: DoctorSettings | undefined;
}

export interface App extends Ending {
  reload(why: string): Promise<ReloadResult>;
  /** Counts an uncaught exception and replaces the upstream side, which may be half done. */
  recover(): void;
  readonly endpoints: readonly Endpoint[];
  /** The main thread's. */
  readonly counters: Counters;
  /** On all threads. */
  total(event: EventName): number;
  readonly waiting: number;
}

/** Parts that are made after their users, which call these only when all is made. */
interface Later {
  readonly active: () => ActiveConfiguration;
  readonly watching: () => Endpoints;
  readonly succession: () => Succession | null;
  readonly lane: () => LaneAtWork | null;
  readonly doctor: () => ProcessDoctor | null;
}

/** Starts serving. Rejects with a ConfigError or a ListenError, and leaves nothing running then. */
export async function startApp(outside: Outsides, wanted: Settings): Promise<App> {
  const turns = new Turns(outside.clock);
  const outsides: Outsides = { ...outside, clock: turns.timed() };
  const settings: Settings = { ...wanted, load: () => turns.during('reload', wanted.load) };
  const config = settings.load();
  settings.inForce(config);
  const later: Later = {
    active: () => active,
    watching: () => watching,
    succession: () => succession,
    lane: () => lane,
    doctor: () => doctor,
  };

  const known = startKnowing(outsides, later, { turns, cacheBytesMax: cacheBytesOf(config.blocks) });
  const doors = openDoors(outsides, known, later);
  // The main thread's two halves of the spine.
  const resolving = startResolving(outsides, { ...known, ...doors }, later);
  const parts: Parts = { ...outsides, ...known, ...doors, ...resolving };
  const { clock, threads } = parts;

  // Upstreams and plugins. Before the rest, because a template may not compile.
  const deps = generationDeps(parts);
  const first = new Generation(config, deps, await prepare(config, deps));
  const top = newTopTalkers({ ...parts, samples: threads?.samples ?? [] });
  const lane = openLaneOf(parts, top.counted);
  const watchingDeps = endpointsDeps({ ...parts, top }, settings, later);
  const watching = newEndpoints(watchingDeps, config);
  // The node: clients need a way to us.
  const host = new Host(hostDeps(parts, settings, watching), settings.host);
  // Other instances. Before the sockets are opened, which then join theirs.
  const doctor = openDoctorOf({ ...parts, top }, settings, later);
  const control = openControlOf(parts, settings, later, { source: watchingDeps.source, top, doctor });
  const owns = ownerOf(parts, { host, lane, control });
  const succession = outsides.succession?.({ ...parts, owns }) ?? null;
  const serves = () => instanceOf(later).role === 'serving';
  const snapshot = outsides.snapshot?.({ ...parts, serves }) ?? null;
  // The configuration in force, and its reloads.
  const active = new ActiveConfiguration(first, {
    ...settings,
    ...parts,
    watching,
    deps,
    serve: (tableOf) => top.watched(serveFrom(resolving, tableOf)),
    refresh: (tableOf) => refreshFrom(resolving, tableOf),
    refuse: (tableOf) => refuseFrom(resolving, tableOf),
    keep: keepFrom({ ...parts, home: (zoneId) => active.generation.directHome(zoneId) }),
    tablesWillChange: () => threads?.settle(),
    tablesChanged(now) {
      settings.inForce(now);
      parts.denials.clear();
      threads?.update();
      lane?.follow(laneTables(now, active.generation.listeners, settings.version));
      warnOfCapacity(cacheBytesOf(now.blocks), parts);
    },
  });
  lane?.follow(laneTables(config, first.listeners, settings.version));
  const ending = newEnding({ ...parts, watching, active, succession, host, snapshot, lane, doctor, control });

  // Last, everything is opened: queries are answered from here on.
  try {
    await openEverything({ clock, threads, host, active, succession, snapshot, lane, owns });
  } catch (error) {
    ending.hurry();
    await ending.stop();
    throw error;
  }
  return appOf(parts, active, ending);
}

interface Openable extends Pick<Parts, 'clock' | 'threads'> {
  readonly host: Pick<Host, 'prepare'>;
  readonly active: Pick<ActiveConfiguration, 'start'>;
  readonly succession: Pick<Succession, 'begin' | 'takeOver'> | null;
  readonly snapshot: Pick<Snapshot, 'load' | 'keep'> | null;
  readonly lane: Pick<LaneAtWork, 'prepare'> | null;
  owns(whose: 'start'): void;
}

/** In this order: addresses, sockets, the packets. */
async function openEverything({
  clock,
  threads,
  host,
  active,
  succession,
  snapshot,
  lane,
  owns,
}: Openable): Promise<void> {
  const hasPredecessor = (await succession?.begin()) ?? false;
  // Not everything can be bound to an address that is missing.
  await host.prepare();
  await active.start();
  // Packets would wait for a worker that has yet to start.
  if (hasPredecessor && threads !== null) await within(clock, handoverTransferMs, threads.answering());
  if (hasPredecessor) await lane?.prepare();
  if (succession === null) owns('start');
  else await succession.takeOver();
  // A predecessor's cache is newer than a file's; without one, clients are answered while the file is read.
  if (!hasPredecessor) void snapshot?.load();
  snapshot?.keep();
}

/** The memory and its index are as large as the first configuration asked. */
function warnOfCapacity(bytes: number, { cacheBytesMax, log }: Pick<Parts, 'cacheBytesMax' | 'log'>): void {
  if (bytes <= cacheBytesMax) return;
  const [asked, has] = [bytes, cacheBytesMax].map((each) => `${Math.ceil(each / 2 ** 20)} MiB`);
  log.warn(
    `cache: the new capacities need ${asked}, the memory has ${has} since the start; restart zerohop to raise it`,
  );
}

type Known = ReturnType<typeof startKnowing>;
type Doors = ReturnType<typeof openDoors>;
type Parts = Omit<Outsides, 'network'> & Known & Doors & ReturnType<typeof startResolving>;

/** Called when the node's packets begin to come to this instance, or to another one. */
function ownerOf(
  { counters }: Parts,
  {
    host,
    lane,
    control,
  }: { readonly host: Host; readonly lane: LaneAtWork | null; readonly control: ControlServer | null },
): (whose: TakingOver | 'another') => void {
  return (whose) => {
    counters.count(whose === 'another' ? 'handovers' : takingOver[whose].event);
    host[whose === 'another' ? 'release' : 'keep']();
    if (whose === 'another') control?.release();
    else void control?.take();
    if (whose === 'another') lane?.release();
    else void lane?.begin();
  };
}

/** Null where nobody wants it. */
function openLaneOf(
  { kernelLane, firstHits, threads, misses, ...parts }: Parts,
  given: (question: Uint8Array, answers: number) => void,
): LaneAtWork | null {
  if (kernelLane === undefined || firstHits === null) return null;
  const ask = (zone: ServedZone, question: Uint8Array, key: number) =>
    misses.askFor(zone, question, parts.clock.nowMs(), key);
  return kernelLane({ ...parts, firstHits, given, ask, eachSocket: (met) => threads?.eachSocket(met) });
}

function openDoctorOf(
  parts: Parts & { readonly top: Pick<ReturnType<typeof newTopTalkers>, 'talkers'> },
  { doctor, version }: Settings,
  later: Later,
): ProcessDoctor | null {
  if (doctor === undefined) return null;
  return openDoctor(doctor, {
    ...parts,
    version,
    active: later.active,
    watching: later.watching,
    instance: () => instanceOf(later),
    talkers: parts.top.talkers,
    panicked: () => parts.counters.count('panics'),
  });
}

function instanceOf({ succession }: Later): ReturnType<EndpointsDeps['source']['instance']> {
  return { role: succession()?.role ?? 'serving', standBys: succession()?.audience ?? 0 };
}

/** Null where nobody wants it. */
function openControlOf(
  parts: Parts,
  { version }: Settings,
  later: Later,
  watched: Pick<TopServingDeps, 'source' | 'top'> & { readonly doctor: ProcessDoctor | null },
): ControlServer | null {
  const { clock, control, counters, listeners, misses, warmth } = parts;
  if (control === undefined) return null;
  const handlers = controlHandlers({
    ...parts,
    ...later,
    version,
    startedAtMs: clock.wallMs(),
    readiness: () => later.watching().readiness,
    clients: () => ({ tcpClients: listeners.tcpClients, waitingClients: misses.waiters }),
    ended(ref) {
      if ((later.succession()?.audience ?? 0) > 0) warmth.ended(ref);
    },
  });
  const isServing = (): boolean => instanceOf(later).role === 'serving';
  const watching = {
    tail: tailHandler({ ...parts, isServing }),
    top: topHandler({ ...parts, ...watched, isServing }),
  };
  const all = Object.assign({}, handlers, watching, watched.doctor?.handlers);
  return control({ ...parts, handlers: all, panicked: () => counters.count('panics') });
}

function startKnowing(
  { clock, random, kernelLane, pageWish }: Outsides,
  { active, succession, lane }: Later,
  { turns, cacheBytesMax }: { readonly turns: Turns; readonly cacheBytesMax: number },
) {
  const blocks = new Blocks(cacheMemory(cacheBytesMax), newHashKey(random));
  const epochs = new Epochs();
  const firstHits = kernelLane === undefined ? null : new FirstHits();
  blocks.firstHits = firstHits;
  const counters = new Counters(countersMemory(1));
  const page = pageWish?.newPage(clock) ?? null;
  const hasAudience = (): boolean => (succession()?.audience ?? 0) > 0;
  const cache: Cache = new Cache(blocks, undefined, epochs, {
    evictedForMemory: () => counters.count('storeEvictedSlab'),
    crowded: () => counters.count('storeCrowded'),
    kept(ref) {
      if (hasAudience()) warmth.kept(ref);
      lane()?.kept(ref);
    },
    left: kernelLane === undefined ? undefined : (ref) => lane()?.left(ref),
    ended(ref) {
      if (hasAudience()) warmth.ended(ref);
    },
  });
  const warmth = newCacheTransfer({ cache, clock, counters, turns, generation: () => active().generation });
  const ownMark = random.below(ownMarks);
  return { turns, blocks, epochs, firstHits, counters, cache, cacheBytesMax, warmth, ownMark, page };
}

function openDoors(outsides: Outsides, known: Known, { lane }: Later) {
  const { counters } = known;
  const network = outsides.network({
    sendFailed: () => counters.count('sendFailed'),
    acceptFailed: () => counters.count('tcpRejected'),
  });
  const threads = outsides.workers?.({ ...outsides, ...known }) ?? null;
  const pages = (): readonly Counters[] => [counters, ...(threads?.pages ?? [])];
  const openUdp = threads === null ? undefined : threads.open.bind(threads);
  const listeners = newListeners<ZoneTable>({ network, clock: outsides.clock, counters, openUdp });
  const answerWatch = new QueryWatch({
    clock: outsides.clock,
    traces: threads?.traces ?? [],
    localOf: (socket) => threads?.localOf(socket) ?? null,
    byKernel: () => lane()?.totals.answers ?? 0,
  });
  return { network, threads, pages, listeners, answerWatch };
}

function startResolving(
  { clock, random, log }: Outsides,
  { answerWatch, ...known }: Known & Pick<Doors, 'answerWatch'>,
  { active, watching }: Later,
) {
  const context = new WorkerContext(known.blocks, newSlot(messageBytesMax + optBytesMax), known.counters, 'main');
  context.ownMark = known.ownMark;
  context.dice = random;
  const routes = new WeakMap<ServedZone, Route>();
  const loops = new LoopWatch();
  const upstreamAnswered = () => watching().readiness.met('upstream');
  const store = ({ zoneId }: ServedZone) => active().generation.store(zoneId);
  const own = new OwnDenials({ ...known, context, store, nowMs: () => clock.nowMs() });
  const denials: Denials = new Denials({ ...known, clock, routes, own, misses: () => misses });
  const told = { loops, denials, answerWatch, upstreamAnswered };
  const misses: Misses = new Misses({ clock, context, cache: known.cache, routes, ...told, store });
  return { clock, log, context, cuts: new DenialCuts(context), misses, routes, ...told };
}

function generationDeps(parts: Parts): GenerationDeps {
  const { clock, log, counters, pages, threads, readFile, page } = parts;
  return {
    ...parts,
    outages: new Outages(),
    noteFailure: page === null ? undefined : page.failures.note.bind(page.failures),
    cacheWork: new CacheWork(clock),
    subqueryIn: (zone) => subqueryIn(parts, zone),
    lookUpIn: (table) => lookUpIn(parts, table),
    numberings: {
      cache: new Numbering(),
      counters: new ReusableNumbering((ordinal) => {
        for (const page of pages()) page.clearZone(ordinal);
      }),
    },
    following: () => threads?.following() ?? (() => true),
    queryLogOutput: newQueryLogOutput({
      clock,
      write: (line) => log.queryLine(line),
      dropped: () => counters.count('queryLogDropped'),
    }),
    resolvConfs: newResolvConfFiles(readFile, log),
  };
}

function endpointsDeps(
  parts: Parts & { readonly top: ReturnType<typeof newTopTalkers> },
  { metricsAddress, formerMetricNames, setupErrors, version }: Settings,
  later: Later,
): EndpointsDeps {
  const { active, lane, doctor } = later;
  const { turns, counters, cache, cacheBytesMax, clock, log, listeners, threads, pages, misses, readFile } = parts;
  const deps: EndpointsDeps = {
    ...parts,
    metricsAddress,
    formerMetricNames,
    listeners: () => listeners.endpoints(),
    selfCheckFailed: () => counters.count('healthFailures'),
    panicked: () => counters.count('panics'),
    source: {
      ...metricsOf(() => active().generation),
      turns,
      setupErrors: setupErrors.totals,
      logLinesLost: () => log.linesLost,
      pages,
      gauges: () => ({
        cacheUsedBytes: cache.usedBytes,
        cacheBytesMax,
        pendingQuestions: misses.size,
        waitingClients: misses.waiters,
        tcpClients: listeners.tcpClients,
        answeringThreads: threads?.samples.length ?? 0,
        lastReloadSuccessful: active().isLastRefused ? 0 : 1,
        nxdomainCuts: parts.denials.cutsHeld,
      }),
      kernelLane: () => lane()?.totals ?? null,
      conntrack: () => conntrackNumbers(readFile),
      instance: () => instanceOf(later),
      doctorFailed: () => doctor()?.failed ?? null,
      build: { version, revision: '', nodeVersion: process.version },
      startedAtMs: clock.wallMs(),
    },
  };
  const { page, pageWish, top } = parts;
  if (page === null || pageWish === undefined) return deps;
  return { ...deps, livePage: livePageOf(page, pageWish, { metrics: deps.source, top, active, doctor }) };
}

function hostDeps(parts: Parts, { setupErrors }: Settings, { readiness }: Endpoints): HostDeps {
  return {
    ...parts,
    ...parts.sockets,
    failed: (kind) => setupErrors.count(kind),
    met: (condition) => readiness.met(condition),
    lost: (condition) => readiness.lost(condition),
  };
}

function appOf({ counters, listeners, pages, misses }: Parts, active: ActiveConfiguration, ending: Ending): App {
  return {
    ...ending,
    reload: (why) => active.reload(why),
    recover() {
      counters.count('panics');
      active.renew();
    },
    get endpoints() {
      return listeners.endpoints();
    },
    counters,
    total: (event) => pages().reduce((sum, page) => sum + page.total(event), 0),
    get waiting() {
      return misses.waiters;
    },
  };
}
