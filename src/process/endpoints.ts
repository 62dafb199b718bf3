/**
 * What the outside may ask about the process: /health, /ready and /metrics on the endpoints that flags and Corefile
 * name, and the self-check behind them. The watching half of the composition root.
 */
import type { Config } from '../config/config.js';
import { ListenError } from '../listen/listeners.js';
import { healthAnswer, newReadiness, newSelfCheck, type Readiness, startHealthWatch } from '../observe/health.js';
import { groupRoutes, type HttpRoutes, type HttpServer, listenFailure } from '../observe/http.js';
import { newMetrics } from '../observe/metrics.js';
import type { MetricsSource } from '../observe/metrics-source.js';
import { type Askers, newPprof } from '../observe/pprof.js';
import { watchLoopDelay } from '../observe/process-numbers.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Endpoint, Network } from '../os/network.js';
import type { Profiler } from '../os/profiler.js';
import type { Random } from '../os/random.js';
import { families } from './metrics-of-serving.js';
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
const readyWhen = ['listeners', 'interface', 'rules', 'upstream'] as const;

export function newEndpoints(deps: EndpointsDeps, first: Config): Endpoints {
  const { clock, log, network, random } = deps;
  const readiness = newReadiness(readyWhen, first.ready?.monitor ?? 'until-ready');
  const selfCheck = newSelfCheck({ network, clock, random, ownMark: deps.ownMark }, deps.listeners);
  const { check } = selfCheck;
  const watch = startHealthWatch({ check, clock, log, failed: deps.selfCheckFailed });
  const loopDelay = watchLoopDelay(clock);
  const watched = { healthDurations: watch.durations, loopDelays: loopDelay.durations };
  const metrics = newMetrics({ ...deps.source, ...watched }, families, clock, routeFailed);
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
    if (at === null || config.metrics.some((each) => each.port === at.port)) return;
    // As in node-cache a taken port of this kind is a line in the log, not a failed start.
    const why = await servers.openExtra({ at, routes: scrape });
    if (why !== null) log.error(`-metrics-listen-address: ${why}`);
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
      await servers.close();
      // Last, as pages ask it.
      selfCheck.stop();
    },
  };
}

/** What /ready says, by the upstreams as they are each time it is asked. */
function readyRoute(readiness: Readiness, states: MetricsSource['upstreams']): () => ReturnType<Readiness['answer']> {
  let hasBeenAnswered = false;
  return () => {
    // Only `monitor continuously` lets a condition be lost, and only one that was met once can be.
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

/** The HTTP servers that are open, by address and pages. */
class Servers {
  readonly #start: (at: Endpoint, routes: HttpRoutes) => Promise<HttpServer>;
  readonly #stopProfiles: () => void;
  readonly #open = new Map<string, HttpServer>();

  constructor(start: (at: Endpoint, routes: HttpRoutes) => Promise<HttpServer>, stopProfiles: () => void) {
    this.#start = start;
    this.#stopProfiles = stopProfiles;
  }

  /** Opens these and closes the others, but for the extra one. Rejects with a ListenError, those opened closed again. */
  async use(wanted: readonly Pages[]): Promise<void> {
    const keys = new Set(wanted.map(keyOf));
    const opened: string[] = [];
    try {
      for (const each of wanted) {
        if (this.#open.has(keyOf(each))) continue;
        await this.#closeSameEndpoint(each.at);
        this.#open.set(keyOf(each), await this.#listen(each));
        opened.push(keyOf(each));
      }
    } catch (error) {
      await Promise.all(opened.map((key) => this.#close(key)));
      throw error;
    }
    for (const key of [...this.#open.keys()]) if (!keys.has(key) && key !== extraKey) await this.#close(key);
  }

  /** The one that no configuration closes, unless it is open; why not, where it cannot be opened. */
  async openExtra(extra: Pages): Promise<string | null> {
    if (this.#open.has(extraKey)) return null;
    try {
      this.#open.set(extraKey, await this.#listen(extra));
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

const extraKey = '-metrics-listen-address';

function keyOf({ at, routes }: Pages): string {
  return `${at.address} ${at.port} ${Object.keys(routes).sort().join(' ')}`;
}
