/**
 * What everything that asks one upstream address has in common: where it is, how long its connections may live, and
 * the world outside.
 */
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
import type { Turn } from '../scheduling/flush.js';
import type { Outages } from './health.js';

export interface UpstreamDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: Counters;
  readonly turn: Turn;
  readonly outages: Outages;
  readonly own: OwnWays;
}

/** What is known of the way that a question takes through our own listeners. */
export interface OwnWays {
  /** Whether what is sent there comes to ourselves. */
  isOwn(endpoint: UpstreamEndpoint): boolean;
  /** Zones whose names come back to the block of the forward when they are asked there; `isAll`: there are no others. */
  returning(
    forward: ForwardConfig,
    endpoint: UpstreamEndpoint,
  ): { readonly zones: readonly string[]; readonly isAll: boolean };
  /** The same of one question. */
  comesBack(forward: ForwardConfig, endpoint: UpstreamEndpoint, question: Uint8Array): boolean;
  /** Some forward has other upstreams than before. */
  changed(): void;
}

/** Of one `forward`, for its upstreams. */
export interface PlaceSettings {
  readonly sourceAddress: string | null;
  /** Connections and sockets that nobody uses are closed after this long. */
  readonly expireMs: number;
  /** 0: connections may grow old. */
  readonly maxAgeMs: number;
  /** 0: no limit of its own. */
  readonly idleConnectionsMax: number;
  /** No question waits longer for its answer. */
  readonly deadlineMs: number;
  /** The largest UDP answer that is asked for. */
  readonly udpBytes: number;
}

export interface Place {
  readonly endpoint: UpstreamEndpoint;
  /** `10.96.0.10:53`, `[fd00::1]:53`. */
  readonly to: string;
  readonly stats: UpstreamStats;
  readonly pace: Rtt;
  /** Null: TCP and UDP as they are. */
  readonly tls: TlsSettings | null;
  readonly settings: PlaceSettings;
  readonly deps: UpstreamDeps;
}

export interface UpstreamStats {
  /** As the `to` label has it: `10.96.0.10:53`, `[fd00::1]:53`. */
  readonly to: string;
  /** A duration histogram (layout of counters.ts) per rcode text of the answers. */
  readonly durations: Map<string, Float64Array>;
  /** Requests that found a connection or socket already open, and those that opened one; [UDP, TCP]. */
  readonly reused: [number, number];
  readonly opened: [number, number];
  healthcheckFailures: number;
  /** As of the last reading: connections and sockets that are open, and of these the suspects. */
  open: number;
  suspects: number;
  /** Our questions come back from it, or it is ourselves: it is not asked. */
  looping: boolean;
  /** False from the failure that made it `down` until a health check succeeds. */
  healthy: boolean;
}

export function newUpstreamStats(to: string): UpstreamStats {
  return {
    to,
    durations: new Map(),
    reused: [0, 0],
    opened: [0, 0],
    healthcheckFailures: 0,
    open: 0,
    suspects: 0,
    looping: false,
    healthy: true,
  };
}

/** The histogram for this rcode, made at first use; rcodes are a closed set, so the map is bounded. */
export function durationsOf(stats: UpstreamStats, rcode: string): Float64Array {
  let histogram = stats.durations.get(rcode);
  if (histogram === undefined) {
    histogram = new Float64Array(histogramPlaces.duration);
    stats.durations.set(rcode, histogram);
  }
  return histogram;
}

/** In balance when one answer in twenty is slower: `up` moves nineteen times as far as `down`. */
const upFactor = 1.1;
const downFactor = upFactor ** (-1 / 19);
/** An average of about the last sixteen answers. */
const averageWeight = 1 / 16;
/** Of the 95th percentile: what is slower than this is not one of the slow ones, it is in trouble. */
const waitFactor = 4;
/** The percentile stays where a change of pace is noticed within a few dozen answers. */
const p95MsMin = 0.5;
/** Of the slow answers of an upstream that nothing is known of. */
const slowAnswerMsFirst = 500;

export class Rtt {
  /** Nothing is known yet: patience. */
  #p95Ms = askAgainAfterMs / waitFactor;
  /** The same percentile of upstreams that are slower than questions wait before they are asked again. */
  #slowAnswerMs = slowAnswerMsFirst;
  #averageMs = 0;
  #lastHeardMs = Number.NEGATIVE_INFINITY;
  #lastAnsweredMs = Number.NEGATIVE_INFINITY;

  /** An answer took so long from the request. */
  took(durationMs: number): void {
    this.#p95Ms = between(p95MsMin, moved(this.#p95Ms, durationMs), askAgainAfterMs / waitFactor);
    this.#slowAnswerMs = between(p95MsMin, moved(this.#slowAnswerMs, durationMs), queryDeadlineCeilingMs);
    this.#averageMs += (durationMs - this.#averageMs) * averageWeight;
  }

  /** The upstream has answered something, a question or a probe. */
  heard(nowMs: number): void {
    this.#lastHeardMs = nowMs;
  }

  /** What was sent then, a question or a probe, has been answered. */
  answered(sentAtMs: number): void {
    this.#lastAnsweredMs = Math.max(this.#lastAnsweredMs, sentAtMs);
  }

  /** Whether something has been answered that was sent then or later: what was sent then could have been as well. */
  hasAnsweredSince(sentAtMs: number): boolean {
    return this.#lastAnsweredMs >= sentAtMs;
  }

  /** When it last answered anything; -Infinity before the first. */
  get lastHeardMs(): number {
    return this.#lastHeardMs;
  }

  /** Whether it has answered anything since. */
  wasHeardSince(timeMs: number): boolean {
    return this.#lastHeardMs >= timeMs;
  }

  /** About the 95th percentile of the recent answers, in milliseconds. */
  get p95Ms(): number {
    return this.#p95Ms;
  }

  /** The moving average of the recent answers' durations, in milliseconds; 0 before the first. */
  get averageMs(): number {
    return this.#averageMs;
  }

  /** A silence of this length makes a connection a suspect, and a question is asked again after it. */
  get waitMs(): number {
    return Math.max(askAgainAfterMsMin, waitFactor * this.#p95Ms);
  }

  /** A probe that is not answered within this, where others are, has met with something that does not answer. */
  get probeWaitMs(): number {
    return Math.max(askAgainAfterMsMin, waitFactor * this.#averageMs);
  }

  /** An answer that has not come after this is slower than this upstream's slow answers are. */
  get usualMs(): number {
    return Math.max(this.waitMs, 2 * this.#slowAnswerMs);
  }

  /** A connection silent for longer than this is held up by something: others are used first. */
  get slowMs(): number {
    return Math.max(slowAfterMsMin, 2 * this.#p95Ms);
  }

  /** A connection silent for longer than this has come upon a question that takes time, not upon a busy moment. */
  get heldUpMs(): number {
    return heldUpAfterMsMin + 2 * this.#p95Ms;
  }
}

function moved(percentileMs: number, durationMs: number): number {
  return percentileMs * (durationMs > percentileMs ? upFactor : downFactor);
}

function between(leastMs: number, ms: number, mostMs: number): number {
  return Math.min(mostMs, Math.max(leastMs, ms));
}
