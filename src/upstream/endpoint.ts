/** What belongs to one upstream address and is shared by its carriers: settings, statistics, round-trip times. */
import type { ForwardConfig, UpstreamEndpoint } from '../config/config.js';
import { type Counters, histogramPlaces } from '../counters.js';
import {
  askAgainAfterMs,
  askAgainAfterMsMin,
  heldUpAfterMsMin,
  queryDeadlineCeilingMs,
  slowAfterMsMin,
} from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Network, TlsSettings } from '../os/network.js';
import type { Random } from '../os/random.js';
import type { Flush } from '../scheduling/flush.js';
import type { Outages } from './health.js';

export interface UpstreamDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: Counters;
  readonly flush: Flush;
  readonly outages: Outages;
  readonly own: OwnListeners;
}

/** Which queries come back through our own listeners. */
export interface OwnListeners {
  /** Whether one of our listeners has this address. */
  isOwn(endpoint: UpstreamEndpoint): boolean;
  /** Zones whose names come back to the forward's block; `isAll`: every name does. */
  returning(
    forward: ForwardConfig,
    endpoint: UpstreamEndpoint,
  ): { readonly zones: readonly string[]; readonly isAll: boolean };
  comesBack(forward: ForwardConfig, endpoint: UpstreamEndpoint, question: Uint8Array): boolean;
  /** Called when the upstreams of a forward have changed. */
  changed(): void;
}

export interface AddressSettings {
  readonly sourceAddress: string | null;
  /** Unused connections and sockets close after this. */
  readonly expireMs: number;
  /** 0: no limit. */
  readonly maxAgeMs: number;
  /** 0: no limit. */
  readonly idleConnectionsMax: number;
  readonly deadlineMs: number;
  readonly udpBytes: number;
}

export interface UpstreamAddress {
  readonly endpoint: UpstreamEndpoint;
  readonly to: string;
  readonly stats: UpstreamStats;
  readonly rtt: Rtt;
  readonly tls: TlsSettings | null;
  readonly settings: AddressSettings;
  readonly deps: UpstreamDeps;
}

export class UpstreamStats {
  /** By rcode, in the layout of counters.ts. */
  readonly durations = new Map<string, Float64Array>();
  /** Requests on an open connection or socket, and on a new one; [UDP, TCP]. */
  readonly reused: [number, number] = [0, 0];
  readonly opened: [number, number] = [0, 0];
  healthcheckFailures = 0;
  /** As of the last reading: open connections and sockets, and the suspects among them. */
  open = 0;
  suspects = 0;
  #isLooping = false;
  #isHealthy = true;
  #isOwn = false;
  #isKnown = false;
  #mayAsk: Int32Array | null = null;

  /** `to` is the metrics' label: `10.96.0.10:53`, `[fd00::1]:53`. */
  constructor(readonly to: string) {}

  /** Queries come back from it, so it is not used. */
  get looping(): boolean {
    return this.#isLooping;
  }

  set looping(is: boolean) {
    this.#isLooping = is;
    this.#tell();
  }

  get healthy(): boolean {
    return this.#isHealthy;
  }

  set healthy(is: boolean) {
    this.#isHealthy = is;
    this.#tell();
  }

  /** It is a listener of ours: some names may come back. */
  set isOwn(is: boolean) {
    this.#isOwn = is;
    this.#tell();
  }

  /** It has answered: until then nobody knows whether it is there. */
  answered(): void {
    if (this.#isKnown) return;
    this.#isKnown = true;
    this.#tell();
  }

  /** Says in this shared word whether workers may ask it. */
  tellIn(mayAsk: Int32Array): void {
    this.#mayAsk = mayAsk;
    this.#tell();
  }

  #tell(): void {
    const may = this.#isKnown && this.#isHealthy && !this.#isLooping && !this.#isOwn;
    if (this.#mayAsk !== null) Atomics.store(this.#mayAsk, 0, may ? 1 : 0);
  }
}

/** The histogram of this rcode, made at first use; rcodes are a closed set, so the map is bounded. */
export function durationsOf(stats: UpstreamStats, rcode: string): Float64Array {
  let histogram = stats.durations.get(rcode);
  if (histogram === undefined) {
    histogram = new Float64Array(histogramPlaces.duration);
    stats.durations.set(rcode, histogram);
  }
  return histogram;
}

/** Balanced when one answer in twenty is slower: `up` moves nineteen times as far as `down`. */
const upFactor = 1.1;
const downFactor = upFactor ** (-1 / 19);
const averageWeight = 1 / 16;
/** An answer slower than this multiple of the 95th percentile is in trouble, not slow. */
const waitFactor = 4;
/** The percentile stays where a few dozen answers can move it up. */
const p95MsMin = 0.5;
const slowAnswerMsFirst = 500;

export class Rtt {
  /** About the 95th percentile of recent answers. */
  p95Ms = askAgainAfterMs / waitFactor;
  /** The same percentile for upstreams slower than the longest wait before a hedge. */
  #slowAnswerMs = slowAnswerMsFirst;
  /** Moving average of recent answers; 0 before the first. */
  averageMs = 0;
  /** -Infinity before the first answer. */
  lastHeardMs = Number.NEGATIVE_INFINITY;
  #lastAnsweredMs = Number.NEGATIVE_INFINITY;

  took(durationMs: number): void {
    this.p95Ms = between(p95MsMin, moved(this.p95Ms, durationMs), askAgainAfterMs / waitFactor);
    this.#slowAnswerMs = between(p95MsMin, moved(this.#slowAnswerMs, durationMs), queryDeadlineCeilingMs);
    this.averageMs += (durationMs - this.averageMs) * averageWeight;
  }

  /** An answer came, to a query or a probe. */
  heard(nowMs: number): void {
    this.lastHeardMs = nowMs;
  }

  /** What was sent at this time was answered. */
  answered(sentAtMs: number): void {
    this.#lastAnsweredMs = Math.max(this.#lastAnsweredMs, sentAtMs);
  }

  /** Whether something sent at this time or later was answered, so that what was sent then could have been. */
  hasAnsweredSince(sentAtMs: number): boolean {
    return this.#lastAnsweredMs >= sentAtMs;
  }

  wasHeardSince(timeMs: number): boolean {
    return this.lastHeardMs >= timeMs;
  }

  /** After this silence a connection is suspect, and a query is hedged. */
  get waitMs(): number {
    return Math.max(askAgainAfterMsMin, waitFactor * this.p95Ms);
  }

  /** A probe silent for this long has reached a dead endpoint, where others are answered. */
  get probeWaitMs(): number {
    return Math.max(askAgainAfterMsMin, waitFactor * this.averageMs);
  }

  /** Longer than the upstream's slow answers take. */
  get usualMs(): number {
    return Math.max(this.waitMs, 2 * this.#slowAnswerMs);
  }

  /** After this silence a connection is delayed: others are used first. */
  get slowMs(): number {
    return Math.max(slowAfterMsMin, 2 * this.p95Ms);
  }

  /** After this silence a slow name delays the connection, not a busy moment. */
  get heldUpMs(): number {
    return heldUpAfterMsMin + 2 * this.p95Ms;
  }
}

function moved(percentileMs: number, durationMs: number): number {
  return percentileMs * (durationMs > percentileMs ? upFactor : downFactor);
}

function between(leastMs: number, ms: number, mostMs: number): number {
  return Math.min(mostMs, Math.max(leastMs, ms));
}
