/**
 * The composition root: makes every part in the order in which a packet meets them, and takes them down in reverse.
 * It decides nothing about packets. The configuration comes as a function, because each reload reads it again.
 */

import { Blocks, cacheMemory } from '../cache/blocks.js';
import { Cache, type Store } from '../cache/cache.js';
import { Epochs } from '../cache/epochs.js';
import type { Config } from '../config/config.js';
import type { Look } from '../config/watch.js';
import { Counters, countersMemory, type EventName } from '../counters.js';
import { newSlot } from '../dns/answer.js';
import { newHashKey } from '../dns/hash.js';
import { ownMarks } from '../dns/own-queries.js';
import { Host, type HostDeps, type HostOptions, type SocketsOfHost } from '../host/host.js';
import { cacheBytesMax, handoverTransferMs, messageBytesMax, optBytesMax } from '../limits.js';
import { newListeners } from '../listen/listeners.js';
import type { Askers } from '../observe/pprof.js';
import type { SetupErrors } from '../observe/process-numbers.js';
import { newQueryLogOutput } from '../observe/query-log.js';
import type { Clock } from '../os/clock.js';
import type { RunCommand } from '../os/commands.js';
import type { ReadPieces } from '../os/files.js';
import type { Log } from '../os/log.js';
import type { Endpoint, Network } from '../os/network.js';
import type { NetworkFailures } from '../os/node-network.js';
import type { Profiler } from '../os/profiler.js';
import type { Random } from '../os/random.js';
import { Lane } from '../resolve/lane.js';
import { LoopWatch } from '../resolve/loop.js';
import { Misses } from '../resolve/miss.js';
import type { Route } from '../resolve/route.js';
import { refreshFrom, refuseFrom, serveFrom } from '../resolve/serve.js';
import { Numbering, ReusableNumbering } from '../resolve/stable-ids.js';
import { askWithin, lookUpIn } from '../resolve/subquery.js';
import type { ServedZone, ZoneTable } from '../resolve/zones.js';
import type { Snapshot, SnapshotDeps } from '../takeover/snapshot.js';
import { type TakingOver, takingOver } from '../takeover/succession.js';
import { Outages } from '../upstream/health.js';
import { ActiveConfiguration, type ReloadResult } from './active-configuration.js';
import type { OpenAnswering } from './answering-threads.js';
import { type Ending, newEnding } from './ending.js';
import { type Endpoints, type EndpointsDeps, newEndpoints, type StartHttp } from './endpoints.js';
import { Generation, type GenerationDeps, prepare } from './generation.js';
import { metricsOf } from './metrics-of-serving.js';
import { newResolvConfFiles } from './resolv-conf-files.js';
import type { OpenSuccession } from './shared-sockets.js';
import { newTopTalkers } from './top-talkers.js';
import { newWarmth } from './warmth.js';

/** What the program is given instead of taking it: tests put their own in place. */
export interface Outsides {
  readonly network: (failures: NetworkFailures) => Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log & { queryLine(message: string): void; readonly linesLost: number };
  readonly startHttp: StartHttp;
  readonly profiler: Profiler;
  readonly pprofAskers: Askers;
  /** Other programs: `ip`, iptables, nft. */
  readonly run: RunCommand;
  /** Who has UDP sockets on the host's addresses. */
  readonly sockets: SocketsOfHost;
  /** The text of a file, undefined when it cannot be read. */
  readonly readFile: (path: string) => string | undefined;
  readonly readPieces: ReadPieces;
  /** How files are watched. */
  readonly look: Look;
  /** Threads that answer UDP; without them the event loop does. */
  readonly answering?: OpenAnswering;
  /** The other instances on this node; without it there are none. */
  readonly succession?: OpenSuccession | undefined;
  /** The cache as a file; without it there is none. */
  readonly snapshot?: ((parts: Pick<SnapshotDeps, 'clock' | 'log' | 'warmth' | 'serves'>) => Snapshot) | undefined;
}

export interface Settings {
  /** Reads the configuration; throws a ConfigError. Called at start and at each reload. */
  readonly load: () => Config;
  /** Told which configuration is in force from now on. */
  readonly inForce: (config: Config) => void;
  /** Looks at what the configuration was read from this often, whatever `reload` says; null leaves it to `reload`. */
  readonly lookEveryMs: number | null;
  /** `-metrics-listen-address`; null is off. */
  readonly metricsAddress: Endpoint | null;
  readonly version: string;
  /** Counted wherever something is set up; coredns_nodecache_setup_errors_total shows them. */
  readonly setupErrors: SetupErrors;
  /** What the node gets for us: link, addresses, rules. Null leaves the node as it is. */
  readonly host: HostOptions | null;
}

export interface App {
  /** Reads the configuration again and serves by it, or refuses it and serves on. */
  reload(why: string): Promise<ReloadResult>;
  /** Not ready at once, answering for `lameduck`, then answering what is in flight; resolves when all is closed. */
  stop(): Promise<void>;
  /** A stop, now or later, waits neither for clients nor for other instances. */
  hurry(): void;
  /** Counts an exception that nobody caught, and makes anew what asks upstreams, which may be half done. */
  recover(): void;
  readonly endpoints: readonly Endpoint[];
  /** The control lane's numbers. */
  readonly counters: Counters;
  /** How often this has happened, on all threads. */
  total(event: EventName): number;
  /** Clients that wait for an answer. */
  readonly waiting: number;
}

/** What is made after those that ask it; nobody does before all is made. */
interface Later {
  readonly active: () => ActiveConfiguration;
  readonly watching: () => Endpoints;
  readonly succession: () => ReturnType<OpenSuccession> | null;
}

/** Starts serving. Rejects with a ConfigError or a ListenError; nothing is left running then. */
export async function startApp(outsides: Outsides, settings: Settings): Promise<App> {
  const { clock, random, log, look } = outsides;
  const { load, lookEveryMs } = settings;
  const config = load();
  settings.inForce(config);
  const later: Later = { active: () => active, watching: () => watching, succession: () => succession };

  // What we know, and what has happened.
  const known = startKnowing(outsides, later);
  const { counters, warmth } = known;
  // Bytes arrive and leave.
  const doors = openDoors(outsides, known);
  const { listeners, threads } = doors;
  // What to do: the spine's two halves on this lane.
  const upstreamAnswered = () => watching.readiness.met('upstream');
  const resolving = startResolving(outsides, known, {
    upstreamAnswered,
    store: (zoneId) => active.serving.store(zoneId),
  });
  const { forwarder } = resolving;

  // Asking others, as the configuration says; it comes first because a template in it may not compile.
  const deps = generationDeps(outsides, { known, doors, resolving });
  const first = new Generation(config, deps, await prepare(config, deps));
  // Watching it.
  const top = newTopTalkers({ clock, random, samples: threads?.samples ?? [] });
  const watching = newEndpoints(endpointsDeps(outsides, settings, { known, doors, resolving, top }, later), config);
  // The node: whoever asks us needs a way to us.
  const host = new Host(hostDeps(outsides, settings, watching), settings.host);
  // Who else is on this node. It comes before the sockets are opened, which are then joined to theirs.
  const owns = (whose: TakingOver | 'another'): void => {
    counters.count(whose === 'another' ? 'handovers' : takingOver[whose].event);
    host[whose === 'another' ? 'release' : 'keep']();
  };
  const succession = outsides.succession?.({ clock, log, warmth, owns }) ?? null;
  const serves = () => (succession?.role ?? 'serving') === 'serving';
  const snapshot = outsides.snapshot?.({ clock, log, warmth, serves }) ?? null;
  // What is in force, and what takes its place.
  const active = new ActiveConfiguration(first, {
    ...{ listeners, watching, deps, upstreamAnswered, look, load, lookEveryMs },
    serve: (tableOf) => top.watched(serveFrom(resolving, tableOf)),
    refresh: (tableOf) => refreshFrom(resolving, tableOf),
    refuse: (tableOf) => refuseFrom(resolving, tableOf),
    tablesChanged(now) {
      settings.inForce(now);
      threads?.update();
    },
  });
  const ending = newEnding({
    ...{ clock, log, counters, watching, active, succession, forwarder, host, listeners, snapshot, threads },
  });

  // Last, everything is opened: from here on there is somebody to answer.
  await open({ clock, succession, host, active, threads, snapshot, owns }).catch(async (error: unknown) => {
    ending.hurry();
    await ending.stop();
    throw error;
  });
  return appOf({ active, ending, known, doors, resolving });
}

type Known = ReturnType<typeof startKnowing>;

function startKnowing({ clock, random }: Outsides, { active, succession }: Later) {
  const blocks = new Blocks(cacheMemory(), newHashKey(random));
  const epochs = new Epochs();
  const counters = new Counters(countersMemory(1));
  const hasAudience = (): boolean => (succession()?.audience ?? 0) > 0;
  const cache: Cache = new Cache(blocks, cacheBytesMax, epochs, {
    evictedForMemory: () => counters.count('storeEvictedSlab'),
    crowded: () => counters.count('storeCrowded'),
    kept(ref) {
      if (hasAudience()) warmth.kept(ref);
    },
    ended(ref) {
      if (hasAudience()) warmth.ended(ref);
    },
  });
  const warmth = newWarmth({ cache, clock, counters, serving: () => active().serving });
  return { blocks, epochs, counters, cache, warmth, ownMark: random.below(ownMarks) };
}

type Doors = ReturnType<typeof openDoors>;

function openDoors(outsides: Outsides, { counters, blocks, epochs, ownMark }: Known) {
  const { clock, log, random } = outsides;
  const network = outsides.network({
    sendFailed: () => counters.count('sendFailed'),
    acceptFailed: () => counters.count('tcpRejected'),
  });
  const threads = outsides.answering?.({ clock, log, random, counters, blocks, epochs, ownMark }) ?? null;
  const pages = (): readonly Counters[] => [counters, ...(threads?.pages ?? [])];
  const openUdp = threads === null ? undefined : threads.open.bind(threads);
  const listeners = newListeners<ZoneTable>({ network, clock, counters, openUdp });
  return { network, threads, pages, listeners };
}

type Resolving = ReturnType<typeof startResolving>;

function startResolving(
  { clock, random, log }: Outsides,
  { blocks, counters, cache, ownMark }: Known,
  { store, upstreamAnswered }: { store(zoneId: number): Store | null; upstreamAnswered(): void },
) {
  const lane = new Lane(blocks, newSlot(messageBytesMax + optBytesMax), counters, 'control');
  lane.ownMark = ownMark;
  lane.dice = random;
  const routes = new WeakMap<ServedZone, Route>();
  const loops = new LoopWatch();
  const forwarder: Misses = new Misses({
    ...{ clock, lane, cache, routes, loops, upstreamAnswered },
    store: (zone) => store(zone.zoneId),
  });
  return { clock, log, lane, forwarder, routes, loops };
}

/** The parts by which what asks, and what shows, is made. */
interface Parts {
  readonly known: Known;
  readonly doors: Doors;
  readonly resolving: Resolving;
}

function generationDeps(outsides: Outsides, { known, doors, resolving }: Parts): GenerationDeps {
  const { clock, random, log, readPieces, look } = outsides;
  const { counters, cache } = known;
  const { network, threads, pages } = doors;
  const { routes, loops } = resolving;
  return {
    ...{ network, clock, random, log, counters, cache, routes, loops, outages: new Outages() },
    within: (zone) => askWithin(resolving, zone),
    lookUpIn: (table) => lookUpIn(resolving, table),
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
    resolvConfs: newResolvConfFiles(outsides.readFile, log),
    ...{ readPieces, look },
  };
}

function endpointsDeps(
  { clock, random, log, startHttp, profiler, pprofAskers }: Outsides,
  { metricsAddress, setupErrors, version }: Settings,
  { known, doors, resolving, top }: Parts & Pick<EndpointsDeps, 'top'>,
  { active, succession }: Later,
): EndpointsDeps {
  const { counters, cache, ownMark } = known;
  const { network, listeners, threads, pages } = doors;
  const { forwarder } = resolving;
  return {
    ...{ network, clock, random, log, ownMark, top, startHttp, profiler, pprofAskers, metricsAddress },
    listeners: () => listeners.endpoints(),
    selfCheckFailed: () => counters.count('healthFailures'),
    panicked: () => counters.count('panics'),
    source: {
      ...metricsOf(() => active().serving),
      setupErrors: setupErrors.totals,
      logLinesLost: () => log.linesLost,
      pages,
      gauges: () => ({
        cacheUsedBytes: cache.usedBytes,
        cacheBytesMax,
        pendingQuestions: forwarder.size,
        waitingClients: forwarder.waiters,
        tcpClients: listeners.tcpClients,
        answeringThreads: threads?.samples.length ?? 0,
        lastReloadSuccessful: active().isLastRefused ? 0 : 1,
      }),
      instance: () => ({ role: succession()?.role ?? 'serving', standBys: succession()?.audience ?? 0 }),
      build: { version, revision: '', nodeVersion: process.version },
      startedAtMs: clock.wallMs(),
    },
  };
}

function hostDeps(
  { clock, log, run, readFile, sockets }: Outsides,
  { setupErrors }: Settings,
  { readiness }: Endpoints,
): HostDeps {
  return {
    ...{ clock, log, run, readFile, ...sockets },
    failed: (kind) => setupErrors.count(kind),
    met: (condition) => readiness.met(condition),
    lost: (condition) => readiness.lost(condition),
  };
}

/** What has to be opened, in the order in which it is. */
interface Opening {
  readonly clock: Clock;
  readonly succession: ReturnType<OpenSuccession> | null;
  readonly host: Host;
  readonly active: ActiveConfiguration;
  readonly threads: Doors['threads'];
  readonly snapshot: Snapshot | null;
  owns(whose: 'start'): void;
}

async function open({ clock, succession, host, active, threads, snapshot, owns }: Opening): Promise<void> {
  const hasPredecessor = (await succession?.begin()) ?? false;
  // Addresses come first, since not everything can be bound to one that is not there yet.
  await host.prepare();
  await active.start();
  // Packets would wait for a thread that has yet to start.
  if (hasPredecessor && threads !== null) await atMost(clock, handoverTransferMs, threads.answering());
  if (succession === null) owns('start');
  else await succession.takeOver();
  // A predecessor knows better than a file; without one clients are answered while it is read.
  if (!hasPredecessor) void snapshot?.load();
  snapshot?.keep();
}

function appOf({
  active,
  ending,
  known: { counters },
  doors: { listeners, pages },
  resolving: { forwarder },
}: Parts & { readonly active: ActiveConfiguration; readonly ending: Ending }): App {
  return {
    reload: (why) => active.reload(why),
    stop: ending.stop,
    hurry: ending.hurry,
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
      return forwarder.waiters;
    },
  };
}

/** Waits for `work`, but no longer than `deadlineMs`. */
async function atMost(clock: Clock, deadlineMs: number, work: Promise<void>): Promise<void> {
  await Promise.race([work, new Promise<void>((resolve) => clock.after(deadlineMs, resolve))]);
}
