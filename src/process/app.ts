/**
 * The composition root: makes every part in the order in which a packet meets them, and takes them down in reverse.
 * It decides nothing about packets. The configuration comes as a function, because each reload reads it again.
 */

import { Blocks, cacheMemory } from '../cache/blocks.js';
import { Cache } from '../cache/cache.js';
import { Epochs } from '../cache/epochs.js';
import type { Config } from '../config/config.js';
import type { Look } from '../config/watch.js';
import { Counters, countersMemory, type EventName } from '../counters.js';
import { newSlot } from '../dns/answer.js';
import { newHashKey } from '../dns/hash.js';
import { ownMarks } from '../dns/own-question.js';
import { Host, type HostOptions } from '../host/host.js';
import type { SocketsOfHost } from '../host/served-elsewhere.js';
import { cacheBytesMax, handoverTransferMs, messageBytesMax, optBytesMax } from '../limits.js';
import { newListeners } from '../listen/listeners.js';
import type { Askers } from '../observe/pprof.js';
import { newQueryLogOutput } from '../observe/query-log.js';
import type { SetupErrors } from '../observe/setup-errors.js';
import type { Clock } from '../os/clock.js';
import type { RunCommand } from '../os/commands.js';
import type { Log } from '../os/log.js';
import type { Endpoint, Network } from '../os/network.js';
import type { NetworkFailures } from '../os/node-network.js';
import type { Profiler } from '../os/profiler.js';
import type { Random } from '../os/random.js';
import type { ReadPieces } from '../os/reading.js';
import { readAllHosts } from '../resolve/hosts-file.js';
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
import { Outages } from '../upstream/outages.js';
import { ActiveConfiguration, type ReloadResult } from './active-configuration.js';
import type { OpenAnswering } from './answering-threads.js';
import { newEnding } from './ending.js';
import { newEndpoints, type StartHttp } from './endpoints.js';
import { Generation, type GenerationDeps } from './generation.js';
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

/** Starts serving. Rejects with a ConfigError or a ListenError; nothing is left running then. */
export async function startApp(outsides: Outsides, settings: Settings): Promise<App> {
  const { clock, random, log } = outsides;
  const config = settings.load();
  settings.inForce(config);

  // What we know, and what has happened.
  const blocks = new Blocks(cacheMemory(), newHashKey(random));
  const epochs = new Epochs();
  const counters = new Counters(countersMemory(1));
  const cache = new Cache(blocks, cacheBytesMax, epochs, {
    evictedForMemory: () => counters.count('storeEvictedSlab'),
    crowded: () => counters.count('storeCrowded'),
    kept(ref) {
      if (succession !== null && succession.audience > 0) warmth.kept(ref);
    },
    ended(ref) {
      if (succession !== null && succession.audience > 0) warmth.ended(ref);
    },
  });
  const warmth = newWarmth({ cache, clock, counters, serving: () => active.serving });
  const ownMark = random.below(ownMarks);

  // Bytes arrive and leave.
  const network = outsides.network({
    sendFailed: () => counters.count('sendFailed'),
    acceptFailed: () => counters.count('tcpRejected'),
  });
  const threads = outsides.answering?.({ clock, log, random, counters, blocks, epochs, ownMark }) ?? null;
  const pages = (): readonly Counters[] => [counters, ...(threads?.pages ?? [])];
  const openUdp = threads === null ? undefined : threads.open.bind(threads);
  const listeners = newListeners<ZoneTable>({ network, clock, counters, openUdp });

  // What to do: the spine's two halves on this lane.
  const lane = new Lane(blocks, newSlot(messageBytesMax + optBytesMax), counters, 'control');
  lane.ownMark = ownMark;
  lane.dice = random;
  const routes = new WeakMap<ServedZone, Route>();
  const loops = new LoopWatch();
  const upstreamAnswered = () => watching.readiness.met('upstream');
  const forwarder: Misses = new Misses({
    ...{ clock, lane, cache, routes, loops, upstreamAnswered },
    store: (zone) => active.serving.store(zone.zoneId),
  });

  // Asking others, as the configuration says; it comes first because a template in it may not compile.
  const deps: GenerationDeps = {
    ...{ network, clock, random, log, counters, cache, routes, loops, outages: new Outages() },
    within: (zone) => askWithin({ lane, clock, forwarder, routes }, zone),
    lookUpIn: (table) => lookUpIn({ lane, clock, forwarder, routes }, table),
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
    ...{ readPieces: outsides.readPieces, look: outsides.look },
  };
  const first = new Generation(config, deps, await readAllHosts(config, deps));

  // Endpoints it.
  const top = newTopTalkers({ clock, random, samples: threads?.samples ?? [] });
  const watching = newEndpoints(
    {
      ...{ network, clock, random, log, ownMark, top },
      ...{ startHttp: outsides.startHttp, profiler: outsides.profiler, pprofAskers: outsides.pprofAskers },
      metricsAddress: settings.metricsAddress,
      listeners: () => listeners.endpoints(),
      selfCheckFailed: () => counters.count('healthFailures'),
      panicked: () => counters.count('panics'),
      source: {
        ...metricsOf(() => active.serving),
        setupErrors: settings.setupErrors.totals,
        logLinesLost: () => log.linesLost,
        pages,
        gauges: () => ({
          cacheUsedBytes: cache.usedBytes,
          cacheBytesMax,
          pendingQuestions: forwarder.size,
          waitingClients: forwarder.waiters,
          tcpClients: listeners.tcpClients,
          answeringThreads: threads?.samples.length ?? 0,
          lastReloadSuccessful: active.isLastRefused ? 0 : 1,
        }),
        instance: () => ({ role: succession?.role ?? 'serving', standBys: succession?.audience ?? 0 }),
        build: { version: settings.version, revision: '', nodeVersion: process.version },
        startedAtMs: clock.wallMs(),
      },
    },
    config,
  );

  // The node: whoever asks us needs a way to us.
  const host = new Host(
    {
      ...{ clock, log, run: outsides.run, readFile: outsides.readFile, ...outsides.sockets },
      failed: (kind) => settings.setupErrors.count(kind),
      met: (condition) => watching.readiness.met(condition),
      lost: (condition) => watching.readiness.lost(condition),
    },
    settings.host,
  );
  // Who else is on this node. It comes before the sockets are opened, which are then joined to theirs.
  const owns = (whose: TakingOver | 'another'): void => {
    counters.count(whose === 'another' ? 'handovers' : takingOver[whose].event);
    host[whose === 'another' ? 'release' : 'keep']();
  };
  const succession = outsides.succession?.({ clock, log, warmth, owns }) ?? null;
  const serves = () => (succession?.role ?? 'serving') === 'serving';
  const snapshot = outsides.snapshot?.({ clock, log, warmth, serves }) ?? null;
  const active = new ActiveConfiguration(first, {
    ...{ listeners, watching, deps, upstreamAnswered, look: outsides.look },
    ...{ load: settings.load, lookEveryMs: settings.lookEveryMs },
    serve: (tableOf) => top.watched(serveFrom({ clock, log, lane, forwarder, routes }, tableOf)),
    refresh: (tableOf) => refreshFrom({ clock, log, lane, forwarder, routes }, tableOf),
    refuse: (tableOf) => refuseFrom({ clock, log, lane, forwarder, routes }, tableOf),
    tablesChanged(now) {
      settings.inForce(now);
      threads?.update();
    },
  });
  const ending = newEnding({
    ...{ clock, log, counters, watching, active, succession, forwarder, host, listeners, snapshot, threads },
  });

  // Last, everything is opened: from here on there is somebody to answer.
  async function open(): Promise<void> {
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

  await open().catch(async (error: unknown) => {
    ending.hurry();
    await ending.stop();
    throw error;
  });

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
