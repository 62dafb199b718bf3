/**
 * What the outside may ask about the process: /health, /ready and /metrics on the endpoints that flags and Corefile
 * name, and the self-check behind them. The watching half of the composition root.
 */
import type { Config } from '../config/config.js';
import { ListenError } from '../listen/listeners.js';
import { healthAnswer, startHealthWatch } from '../observe/health.js';
import { groupRoutes, type HttpRoutes, type HttpServer, listenFailure } from '../observe/http.js';
import { watchLoopDelay } from '../observe/loop-delay.js';
import { newMetrics } from '../observe/metrics.js';
import type { MetricsSource } from '../observe/metrics-source.js';
import { type Askers, newPprof } from '../observe/pprof.js';
import { newReadiness, type Readiness } from '../observe/readiness.js';
import { newSelfCheck } from '../observe/self-check.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Endpoint, Network } from '../os/network.js';
import type { Profiler } from '../os/profiler.js';
import type { Random } from '../os/random.js';
import type { TopTalkers } from './top-talkers.js';

export type StartHttp = (at: Endpoint, routes: HttpRoutes, failed: (error: unknown) => void) => Promise<HttpServer>;

export interface EndpointsDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly startHttp: StartHttp;
  readonly profiler: Profiler;
  readonly pprofAskers: Askers;
  readonly top: Pick<TopTalkers, 'answer' | 'stop'>;
  readonly source: Omit<MetricsSource, 'healthDurations' | 'loopDelays'>;
  /** By which our listeners know that we ask. */
  readonly ownMark: number;
  /** Our own listeners, to be asked. */
  readonly listeners: () => readonly Endpoint[];
  /** `-metrics-listen-address`: a convenience, whose port may be taken. */
  readonly metricsAddress: Endpoint | null;
  selfCheckFailed(): void;
  /** An exception was caught that is a bug of ours. */
  panicked(): void;
}

export interface Endpoints {
  readonly readiness: Readiness;
  /** Opens the endpoints of this configuration and closes the others. Rejects with a ListenError. */
  use(config: Config): Promise<void>;
  stop(): Promise<void>;
}

/** What must be there before we are ready. */
export const readyWhen = ['listeners', 'interface', 'rules', 'upstream'] as const;

export function newEndpoints(deps: EndpointsDeps, first: Config): Endpoints {
  const { clock, log, network, random } = deps;
  const readiness = newReadiness(readyWhen, first.ready?.monitor ?? 'until-ready');
  const selfCheck = newSelfCheck({ network, clock, random, ownMark: deps.ownMark }, deps.listeners);
  const { check } = selfCheck;
  const watch = startHealthWatch({ check, clock, log, failed: deps.selfCheckFailed });
  const loopDelay = watchLoopDelay(clock);
  const watched = { healthDurations: watch.durations, loopDelays: loopDelay.durations };
  const metrics = newMetrics({ ...deps.source, ...watched }, clock, routeFailed);
  const pprof = newPprof(clock, deps.profiler, deps.pprofAskers);
  const servers = new Map<string, HttpServer>();
  let hasBeenAnswered = false;

  const health: HttpRoutes = {
    '/health': async () => healthAnswer(await check()),
    '/top': async (asked) => deps.top.answer(asked),
  };
  const ready: HttpRoutes = {
    '/ready': async () => {
      // Only `monitor continuously` lets a condition be lost, and only one that was met once can be.
      hasBeenAnswered ||= !readiness.missing.includes('upstream');
      const upstreams = deps.source.upstreams();
      const isAnyUp = upstreams.length === 0 || upstreams.some(({ healthy }) => healthy);
      if (hasBeenAnswered) readiness[isAnyUp ? 'met' : 'lost']('upstream');
      return readiness.answer();
    },
  };
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
    const keys = new Set(wanted.map(keyOf));
    const opened: string[] = [];
    try {
      for (const each of wanted) {
        if (servers.has(keyOf(each))) continue;
        await closeSameEndpoint(each.at);
        servers.set(keyOf(each), await open(each));
        opened.push(keyOf(each));
      }
    } catch (error) {
      await Promise.all(opened.map(closeServer));
      throw error;
    }
    for (const key of [...servers.keys()]) if (!keys.has(key) && key !== extraKey) await closeServer(key);
    await openExtra(config);
  }

  async function open({ at, routes }: { at: Endpoint; routes: HttpRoutes }): Promise<HttpServer> {
    try {
      return await deps.startHttp(at, routes, routeFailed);
    } catch (error) {
      throw new ListenError(listenFailure(at, error as NodeJS.ErrnoException));
    }
  }

  /** As in node-cache a taken port of this kind is a line in the log, not a failed start. */
  async function openExtra(config: Config): Promise<void> {
    const at = deps.metricsAddress;
    if (at === null || servers.has(extraKey) || config.metrics.some((each) => each.port === at.port)) return;
    try {
      servers.set(extraKey, await open({ at, routes: scrape }));
    } catch (error) {
      log.error(`-metrics-listen-address: ${(error as Error).message}`);
    }
  }

  /** Its routes change, and an address can be listened on once. */
  async function closeSameEndpoint(at: Endpoint): Promise<void> {
    for (const key of [...servers.keys()]) if (key.startsWith(`${at.address} ${at.port} `)) await closeServer(key);
  }

  async function closeServer(key: string): Promise<void> {
    const server = servers.get(key);
    servers.delete(key);
    try {
      if (key.includes(' /debug/pprof')) pprof.stop();
    } finally {
      await server?.close();
    }
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
      deps.top.stop();
      await Promise.all([...servers.keys()].map(closeServer));
      // Last, as pages ask it.
      selfCheck.stop();
    },
  };
}

const extraKey = '-metrics-listen-address';

function keyOf({ at, routes }: { at: Endpoint; routes: HttpRoutes }): string {
  return `${at.address} ${at.port} ${Object.keys(routes).sort().join(' ')}`;
}
