/**
 * /health, /ready and the self-check. Each of our UDP listeners gets a query that it must answer from the packet alone
 * (dns/own-queries.ts), so that neither cache nor cluster DNS influences the result: a process with dead sockets is not
 * healthy because its HTTP server lives. The check runs every second, for the metrics and for a log line at each change.
 */
import { formatEndpoint } from '../config/addresses.js';
import type { ReadyConfig } from '../config/config.js';
import { ownQuestion } from '../dns/own-queries.js';
import { headerBytes, selfCheckPeriodMs, selfQueryTimeoutMs, selfQueryTries } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { DatagramEvents, DatagramSocket, Endpoint, Network } from '../os/network.js';
import type { Random } from '../os/random.js';
import { toEach } from '../scheduling/each.js';
import { emptyHistogram, observe } from './exposition.js';
import type { HttpAnswer } from './http.js';
import { healthBucketsSeconds } from './metrics-source.js';

interface HealthWatch {
  /** Durations of the checks, in the layout of `healthBucketsSeconds`. */
  readonly durations: Float64Array;
  stop(): void;
}

interface HealthWatchOutside {
  readonly check: () => Promise<HealthServer>;
  readonly clock: Clock;
  readonly log: Log;
  /** Counts a check that failed. */
  failed(): void;
}

/** 200 `OK`, or 503 with the reason. */
export function healthAnswer(health: HealthServer): HttpAnswer {
  return health.healthy ? { status: 200, body: 'OK' } : { status: 503, body: `${health.reason}\n` };
}

/** The first check is after one second. */
export function startHealthWatch({ check, clock, log, failed }: HealthWatchOutside): HealthWatch {
  const durations = emptyHistogram(healthBucketsSeconds);
  let wasHealthy = true;
  let underWay = false;
  let stopped = false;

  async function checkOnce(): Promise<void> {
    if (underWay) return;
    underWay = true;
    const startedMs = clock.nowMs();
    const health = await check();
    underWay = false;
    if (stopped) return;
    observe({ numbers: durations, bounds: healthBucketsSeconds }, (clock.nowMs() - startedMs) / 1000);
    if (!health.healthy) failed();
    if (health.healthy !== wasHealthy) {
      wasHealthy = health.healthy;
      if (health.healthy) log.info('health check recovered: all listeners answer');
      else log.error(`health check failed: ${health.reason}`);
    }
  }

  const timer = clock.every(selfCheckPeriodMs, () => void checkOnce());
  return {
    durations,
    stop() {
      stopped = true;
      timer.stop();
    },
  };
}

/** Named conditions, all of which must be met, until `stopping`. */
export interface Readiness {
  met(condition: string): void;
  /** With `until-ready` a condition that was met once stays met, as in CoreDNS. */
  lost(condition: string): void;
  /** Not ready from now on. */
  stopping(): void;
  /** Unmet conditions, in the order of `newReadiness`. */
  readonly missing: readonly string[];
  readonly ready: boolean;
  /** 200 `OK`, or 503 with the unmet conditions. */
  answer(): HttpAnswer;
}

/** Naming a condition that is not in the list is a bug and throws. */
export function newReadiness(conditions: readonly string[], monitor: ReadyConfig['monitor']): Readiness {
  const unmet = new Set(conditions);
  let isStopping = false;

  function known(condition: string): string {
    if (!conditions.includes(condition)) throw new Error(`"${condition}" is not a condition of readiness.`);
    return condition;
  }

  const missing = (): string[] => conditions.filter((condition) => unmet.has(condition));

  return {
    met: (condition) => void unmet.delete(known(condition)),
    lost(condition) {
      known(condition);
      if (monitor === 'continuously') unmet.add(condition);
    },
    stopping() {
      isStopping = true;
    },
    get missing() {
      return missing();
    },
    get ready() {
      return !isStopping && unmet.size === 0;
    },
    answer() {
      if (isStopping) return { status: 503, body: 'shutting down' };
      return unmet.size === 0 ? { status: 200, body: 'OK' } : { status: 503, body: missing().join(',') };
    },
  };
}

export type HealthServer = { readonly healthy: true } | { readonly healthy: false; readonly reason: string };

interface SelfCheckDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  /** Marks the queries of the check for our listeners. */
  readonly ownMark: number;
}

interface SelfCheck {
  /** Checks all listeners; concurrent calls share a check. */
  check(): Promise<HealthServer>;
  /** Closes the sockets kept between checks. */
  stop(): void;
}

export function newSelfCheck(deps: SelfCheckDeps, listeners: () => readonly Endpoint[]): SelfCheck {
  const probes = new Probes(deps.network);
  let underWay: Promise<HealthServer> | null = null;
  return {
    check() {
      underWay ??= checkAll(deps, listeners(), probes)
        // An error when opening a socket means unhealthy, not the end of the process.
        .catch(
          (error: Error): HealthServer => ({ healthy: false, reason: `cannot query own listeners: ${error.message}` }),
        )
        .finally(() => {
          underWay = null;
        });
      return underWay;
    },
    stop: () => probes.keepOnly([]),
  };
}

async function checkAll(deps: SelfCheckDeps, listeners: readonly Endpoint[], probes: Probes): Promise<HealthServer> {
  const places = listeners.map(reachable);
  probes.keepOnly(places.flat());
  if (listeners.length === 0) return { healthy: false, reason: 'no listener is up' };
  const probesTo = (each: readonly Endpoint[]) => each.map((place) => probes.to(place));
  const answers = await Promise.all(places.map((each) => answersOnAny(deps, probesTo(each))));
  const silent = listeners.filter((_, index) => !answers[index]).map(formatEndpoint);
  if (silent.length === 0) return { healthy: true };
  return { healthy: false, reason: `no answer from ${silent.join(', ')} within ${selfQueryTimeoutMs} ms` };
}

/** Addresses to ask a listener at: for one on all addresses of both families, either loopback. */
function reachable({ address, port }: Endpoint): Endpoint[] {
  if (address === '0.0.0.0') return [{ address: '127.0.0.1', port }];
  if (address !== '::') return [{ address, port }];
  return ['::1', '127.0.0.1'].map((loopback) => ({ address: loopback, port }));
}

/** A socket that talks to one of our listeners. */
interface SelfCheckProbe {
  readonly place: Endpoint;
  readonly socket: DatagramSocket;
  /** Receives datagrams; null between checks. */
  heard: ((bytes: Uint8Array) => void) | null;
}

/**
 * One socket for each place. Each check opens a new one, since its port decides which worker it reaches; the last one is
 * kept, for checks while no descriptor is left.
 */
class Probes {
  readonly #network: Network;
  readonly #kept = new Map<string, SelfCheckProbe>();

  constructor(network: Network) {
    this.#network = network;
  }

  /** Throws the system's error if no socket can be opened and none is kept. */
  to(place: Endpoint): SelfCheckProbe {
    const key = formatEndpoint(place);
    const kept = this.#kept.get(key);
    const probe = this.#open(place, kept);
    if (probe === kept) return kept;
    this.#kept.set(key, probe);
    kept?.socket.close();
    return probe;
  }

  /** Closes the sockets to all other places. */
  keepOnly(places: readonly Endpoint[]): void {
    const keys = new Set(places.map(formatEndpoint));
    const gone = [...this.#kept].filter(([key]) => !keys.has(key));
    for (const [key] of gone) this.#kept.delete(key);
    toEach(gone, ([, { socket }]) => socket.close());
  }

  #open(place: Endpoint, kept: SelfCheckProbe | undefined): SelfCheckProbe {
    try {
      const events: DatagramEvents = {
        datagram: (bytes) => probe.heard?.(bytes),
        // No listener for now: a worker may be restarting on this socket. The time limit decides.
        error: () => undefined,
      };
      const probe: SelfCheckProbe = { place, socket: this.#network.connectDatagrams(place, events), heard: null };
      if (probe.socket.local.port !== 0 || kept === undefined) return probe;
      probe.socket.close();
      return kept;
    } catch (error) {
      if (kept === undefined) throw error;
      return kept;
    }
  }
}

/** True as soon as one of the places has answered, false at the time limit. */
function answersOnAny(deps: SelfCheckDeps, probes: readonly SelfCheckProbe[]): Promise<boolean> {
  return new Promise((resolve) => {
    const question = ownQuestion(deps.random.below(0x1_0000), deps.ownMark);
    const timers: Timer[] = [];
    const finish = (answered: boolean): void => {
      for (const timer of timers) timer.stop();
      for (const probe of probes) probe.heard = null;
      resolve(answered);
    };
    for (const probe of probes) {
      probe.heard = (bytes) => {
        if (isAnswer(bytes, question)) finish(true);
      };
    }
    const ask = (): void => {
      for (const { socket, place } of probes) socket.send(question, place);
    };
    // A busy and healthy server may lose packets when its receive queue is full.
    timers.push(deps.clock.every(selfQueryTimeoutMs / selfQueryTries, ask));
    timers.push(deps.clock.after(selfQueryTimeoutMs, () => finish(false)));
    ask();
  });
}

const responseBit = 0x80;
const opcodeBits = 0x78;

function isAnswer(bytes: Uint8Array, question: Uint8Array): boolean {
  return (
    bytes.length >= headerBytes &&
    bytes[0] === question[0] &&
    bytes[1] === question[1] &&
    (bytes[2] & responseBit) !== 0 &&
    (bytes[2] & opcodeBits) === question[2]
  );
}
