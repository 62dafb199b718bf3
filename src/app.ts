/**
 * The composition root: makes every part in the order in which a packet meets them, and takes them down in reverse.
 * It decides nothing about packets. The configuration comes as a function, because each reload reads it again.
 */
import { Blocks, cacheMemory } from './cache/blocks.js';
import { createCache } from './cache/cache.js';
import type { Config } from './config/config.js';
import { formatDiagnostic } from './config/error.js';
import { systemdResolvConf } from './config/resolv-conf.js';
import { type Look, watchFiles } from './config/watch.js';
import { newSlot } from './dns/answer.js';
import { cacheBytesMax, drainDeadlineMs, messageBytesMax, resolvConfPeriodMs, sweepPeriodMs } from './limits.js';
import { newListeners, type WantedListener } from './listen/listeners.js';
import { pluginsOf, storesOf, templatesOf, upstreamsOf, zonesOf } from './metrics-of-serving.js';
import { Counters, countersMemory } from './ops/counters.js';
import { newQueryLogOutput } from './ops/query-log.js';
import type { Clock, Timer } from './outside/clock.js';
import type { Log } from './outside/log.js';
import type { Endpoint, Network } from './outside/network.js';
import type { NetworkFailures } from './outside/node-network.js';
import type { Random } from './outside/random.js';
import { newResolvConfFiles } from './resolv-conf-files.js';
import { Forwarder } from './resolve/forwarder.js';
import { Lane } from './resolve/lane.js';
import { LoopWatch } from './resolve/loop.js';
import { Numbering } from './resolve/numbering.js';
import type { Route } from './resolve/route.js';
import { serveFrom } from './resolve/serve.js';
import type { ServedZone, ZoneTable } from './resolve/zones.js';
import { Serving, type ServingWorld } from './serving.js';
import { startProbe } from './start-probes.js';
import { newWatching, type StartHttp } from './watching.js';

/** What the program is given instead of taking it: tests put their own in place. */
export interface Outsides {
  readonly network: (failures: NetworkFailures) => Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log & { queryLine(message: string): void };
  readonly startHttp: StartHttp;
  /** The text of a file, undefined when it cannot be read. */
  readonly readFile: (path: string) => string | undefined;
  /** How files are watched. */
  readonly look: Look;
}

export interface Settings {
  /** Reads the configuration; throws a ConfigError. Called at start and at each reload. */
  readonly load: () => Config;
  /** `-metrics-listen-address`; null is off. */
  readonly metricsAddress: Endpoint | null;
  readonly version: string;
}

export interface App {
  /** Reads the configuration again and serves by it, or refuses it and serves on. */
  reload(why: string): Promise<'reloaded' | 'unchanged' | 'refused'>;
  /** Not ready at once, answering for `lameduck`, then answering what is in flight; resolves when all is closed. */
  stop(): Promise<void>;
  readonly endpoints: readonly Endpoint[];
  readonly counters: Counters;
  /** Clients that wait for an answer. */
  readonly waiting: number;
}

/** Starts serving. Rejects with a ConfigError or a ListenError; nothing is left running then. */
export async function startApp(outsides: Outsides, settings: Settings): Promise<App> {
  const { clock, random, log, look } = outsides;
  const config = settings.load();

  // What we know.
  const blocks = new Blocks(cacheMemory(), random.below(2 ** 32));
  const cache = createCache(blocks);
  const counters = new Counters(countersMemory(1));

  // Bytes arrive and leave.
  const network = outsides.network({
    sendFailed: () => counters.count('sendFailed'),
    acceptFailed: () => counters.count('tcpRejected'),
  });

  // What to do: the spine's two halves on this lane.
  const lane = new Lane(blocks, newSlot(messageBytesMax + 512), counters, 'control');
  const routes = new WeakMap<ServedZone, Route>();
  const loops = new LoopWatch();
  const forwarder: Forwarder = new Forwarder({
    ...{ clock, lane, cache, routes, loops },
    store: (zone) => serving.store(zone.zoneId),
    upstreamAnswered: () => watching.readiness.met('upstream'),
  });

  // Asking others, as the configuration says.
  const ownAddresses = (): string[] =>
    currentConfig.blocks
      .filter(({ zones }) => zones.some(({ port }) => port === 53))
      .flatMap(({ addresses }) => addresses);
  const resolvConf = newResolvConfFiles(outsides.readFile, log, ownAddresses);
  const world: ServingWorld = {
    ...{ network, clock, random, log, counters, cache, routes, loops },
    numberings: { cache: new Numbering(), counters: new Numbering() },
    queryLogOutput: newQueryLogOutput({
      clock,
      write: (line) => log.queryLine(line),
      dropped: () => counters.count('queryLogDropped'),
    }),
    resolvConf: resolvConf.read,
  };
  let currentConfig = config;
  let serving = new Serving(config, world);

  // Listening.
  const tables = new Map<string, { table: ZoneTable }>();
  const listeners = newListeners({ network, clock, counters });
  const wantedListeners = (next: Serving): WantedListener[] =>
    next.listeners.map(({ server, at, block, table }) => {
      const entry = tables.get(server) ?? { table };
      tables.set(server, entry);
      const serve = serveFrom({ clock, log, lane, forwarder, routes }, () => entry.table);
      return { key: server, at, timeouts: block.timeouts, serve };
    });

  // Watching it.
  const watching = newWatching(
    {
      ...{ network, clock, random, log },
      startHttp: outsides.startHttp,
      metricsAddress: settings.metricsAddress,
      listeners: () => listeners.endpoints(),
      selfCheckFailed: () => counters.count('healthFailures'),
      source: {
        pages: () => [counters],
        zones: () => zonesOf(serving),
        stores: () => storesOf(serving),
        upstreams: () => upstreamsOf(serving),
        plugins: () => pluginsOf(serving),
        templates: () => templatesOf(serving),
        gauges: () => ({
          cacheUsedBytes: cache.usedBytes,
          cacheBytesMax,
          pendingQuestions: forwarder.size,
          waitingClients: forwarder.waiters,
          tcpClients: listeners.tcpClients,
        }),
        setupErrors: () => ({ configmap: 0, iptables: 0, iptables_lock: 0, interface_add: 0, interface_check: 0 }),
        corefileSha512: () => currentConfig.sha512,
        build: { version: settings.version, revision: '', nodeVersion: process.version },
        startedAtMs: clock.wallMs(),
      },
    },
    config,
  );

  function resolvConfChanged(): void {
    for (const { forwards, config } of serving.blocks) {
      for (const target of config.forwards.flatMap(({ to }) => to)) {
        if (target.kind === 'file') forwards.resolvConfChanged(target.path);
      }
    }
  }

  let timers: Timer[] = [];
  /** What belongs to the configuration in use and runs by the clock. */
  function startTimers(): void {
    for (const timer of timers) timer.stop();
    const { blocks: served } = serving;
    const answered = () => watching.readiness.met('upstream');
    timers = served.map((block) => startProbe(block, { clock, random, log, loops, answered }));
    const files = currentConfig.blocks
      .flatMap((block) => block.forwards.flatMap((forward) => forward.to))
      .flatMap((target) => (target.kind === 'file' ? [target.path] : []));
    if (files.length > 0) {
      timers.push(
        watchFiles(
          clock,
          () => [...new Set([...files, systemdResolvConf])],
          resolvConfPeriodMs,
          () => {
            for (const { forwards } of serving.blocks) for (const file of files) forwards.resolvConfChanged(file);
          },
        ),
      );
    }
    const { reload: watched } = currentConfig;
    if (watched !== null) {
      const periodMs = watched.intervalMs + random.below(watched.jitterMs + 1);
      timers.push(
        watchFiles(
          clock,
          () => currentConfig.files,
          periodMs,
          () => void reload('the Corefile has changed'),
        ),
      );
    }
  }

  let reloading: Promise<unknown> = Promise.resolve();
  function reload(why: string): Promise<'reloaded' | 'unchanged' | 'refused'> {
    const next = reloading.then(() => reloadNow(why));
    reloading = next;
    return next;
  }

  async function reloadNow(why: string): Promise<'reloaded' | 'unchanged' | 'refused'> {
    let next: Serving | null = null;
    try {
      const loaded = settings.load();
      if (loaded.sha512 === currentConfig.sha512) return 'unchanged';
      next = new Serving(loaded, world);
      await listeners.open(wantedListeners(next));
      await watching.use(loaded);
      switchTo(next);
      log.info(`${why}: serving by the new configuration`, { sha512: loaded.sha512 });
      return 'reloaded';
    } catch (error) {
      counters.count('reloadFailed');
      next?.stop();
      listeners.keepOnly(new Set(serving.listeners.map(({ server }) => server)));
      log.error(`${why}, but it is refused and the old configuration serves on: ${(error as Error).message}`);
      return 'refused';
    }
  }

  /** In one turn, so that no packet sees half of each. */
  function switchTo(next: Serving): void {
    const before = serving;
    serving = next;
    currentConfig = next.config;
    for (const { server, table } of next.listeners) tables.get(server)!.table = table;
    next.takeCacheOf(before);
    before.drain(() => listeners.keepOnly(new Set(serving.listeners.map(({ server }) => server))));
    sayWarnings(log, next.config);
    startTimers();
  }

  async function stop(): Promise<void> {
    watching.readiness.stopping();
    await reloading;
    for (const timer of timers) timer.stop();
    await new Promise<void>((resolve) => clock.after(currentConfig.health?.lameduckMs ?? 0, resolve));
    await atMost(clock, drainDeadlineMs, (done) => whenNobodyWaits(clock, forwarder, () => listeners.drain(done)));
    serving.stop();
    await watching.stop();
  }

  try {
    await listeners.open(wantedListeners(serving));
    await watching.use(config);
  } catch (error) {
    serving.stop();
    listeners.keepOnly(new Set());
    await watching.stop();
    throw error;
  }
  watching.readiness.met('listeners');
  sayWarnings(log, config);
  startTimers();

  return {
    reload,
    stop,
    get endpoints() {
      return listeners.endpoints();
    },
    counters,
    get waiting() {
      return forwarder.waiters;
    },
  };
}

function sayWarnings(log: Log, config: Config): void {
  for (const warning of config.warnings) log.warn(formatDiagnostic(warning));
}

function whenNobodyWaits(clock: Clock, forwarder: Forwarder, then: () => void): void {
  if (forwarder.waiters === 0) return then();
  clock.after(sweepPeriodMs, () => whenNobodyWaits(clock, forwarder, then));
}

/** Waits until `run` says done, but no longer than `deadlineMs`. */
function atMost(clock: Clock, deadlineMs: number, run: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(deadlineMs, resolve);
    run(() => {
      timer.stop();
      resolve();
    });
  });
}
