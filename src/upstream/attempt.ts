/**
 * The seam between a query and its carriers: an attempt to get an answer from one upstream. A connection, a UDP socket
 * or the queue holds it, and tells it how it ended.
 */
import { upstreamQueueMax } from '../limits.js';
import { FairQueue } from '../scheduling/fair-queue.js';
import type { Failure, Request } from './ask.js';

export interface Attempt {
  readonly request: Request;
  readonly allowsOpt: boolean;
  /** An earlier attempt of its query is unanswered: the name may be slow. */
  readonly isHedge: boolean;
  /** Sent by us, with no client waiting. */
  readonly isProbe?: true;
  /** Set by the carrier; null before and after. */
  carrier: Carrier | null;
  /** When a connection or socket took it; `notSent` before. Set by the carrier. */
  sentAtMs: number;
  /** Whether this message, whose id matches, answers it; counts the message if not. Borrows `message`. */
  accepts(message: Uint8Array): boolean;
  /** Called with the message just accepted, after the carrier has let go. Borrows `message`. */
  answered(message: Uint8Array, nowMs: number): void;
  /** Called when this carrier brings no answer, after it has let go. */
  lost(loss: Loss, nowMs: number): void;
}

export const notSent = -1;
/** A time that does not come. */
export const noTime = Number.POSITIVE_INFINITY;
/** Before any time. */
export const anyTime = Number.MIN_SAFE_INTEGER;

/** One more attempt at an upstream while others are pending. */
export interface Hedge {
  /** Carriers not to use. */
  readonly tried: readonly Carrier[];
  /** When the earliest pending attempt was sent: a carrier heard since then reaches an endpoint. */
  readonly sinceMs: number;
}

/**
 * How an attempt was sent. `proven`: on a carrier that reaches an endpoint that answers. `new`: on one without an
 * answer yet. `unproven`: on one that may be dead. `full`: not sent, the queue is full.
 */
export type Sent = 'proven' | 'new' | 'unproven' | 'full';

export interface Carrier {
  /** Takes the attempt out without a call to it. */
  abandon(attempt: Attempt, nowMs: number): void;
  /** When it last received something; -Infinity before. */
  readonly lastHeardMs: number;
  /** For error texts. */
  readonly waitsFor: 'connect' | 'answer';
}

export interface Loss {
  readonly why: Failure;
  readonly text: string;
  /** Whether the upstream failed. A lost connection that has worked (idle timeout, upgrade) is no failure. */
  readonly blame: boolean;
  /** An unsolicited UDP message came: its sender may guess the right id next. */
  readonly isDisturbed?: true;
}

/** Every upstream sends the query back to us. */
export const loopLoss: Loss = {
  why: 'nobody',
  text: 'the upstream sends our queries back to us (loop)',
  blame: false,
};

/** Every upstream is down, with failfast_all_unhealthy_upstreams. */
export const unhealthyLoss: Loss = { why: 'unhealthy', text: 'no healthy proxies', blame: true };

export function queueLoss(to: string): Loss {
  return { why: 'overloaded', text: `too many queries are waiting for ${to}`, blame: true };
}

/** `error` is null after a timeout. */
export function dialLoss(to: string, error: NodeJS.ErrnoException | null): Loss {
  if (error === null) return { why: 'timeout', text: `dial tcp ${to}: i/o timeout`, blame: true };
  return { why: 'unreachable', text: `dial tcp ${to}: connect: ${errorText(error)}`, blame: true };
}

export function readLoss(transport: 'udp' | 'tcp', to: string, error: NodeJS.ErrnoException, blame: boolean): Loss {
  return { why: 'unreachable', text: `read ${transport} ${to}: ${errorText(error)}`, blame };
}

/** The port received an unsolicited message. */
export function disturbedLoss(to: string): Loss {
  return { why: 'malformed', text: `read udp ${to}: unsolicited answers`, blame: false, isDisturbed: true };
}

export function timeoutText(transport: 'udp' | 'tcp', to: string, waitsFor: Carrier['waitsFor']): string {
  return waitsFor === 'connect' ? `dial ${transport} ${to}: i/o timeout` : `read ${transport} ${to}: i/o timeout`;
}

/** In the words of CoreDNS's log. */
function errorText(error: NodeJS.ErrnoException): string {
  return errorTexts[error.code ?? ''] ?? error.message;
}

const errorTexts: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  ECONNABORTED: 'software caused connection abort',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ENETDOWN: 'network is down',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EPIPE: 'broken pipe',
  ETIMEDOUT: 'connection timed out',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files in system',
};

/** Attempts without a free connection or socket: a bounded queue in which clients take turns. */
export class AttemptQueue implements Carrier {
  readonly waitsFor = 'answer';
  readonly lastHeardMs = Number.NEGATIVE_INFINITY;
  readonly #queue = new FairQueue<string | undefined, Attempt>(upstreamQueueMax);
  readonly #to: string;

  constructor(to: string) {
    this.#to = to;
  }

  get size(): number {
    return this.#queue.size;
  }

  /** False when the queue is full and no client has more in it; otherwise a full queue loses another's attempt. */
  push(attempt: Attempt, nowMs: number): boolean {
    const lost = this.#queue.push(attempt.request.client, attempt);
    if (lost === attempt) return false;
    attempt.carrier = this;
    if (lost !== null) {
      lost.carrier = null;
      lost.lost(queueLoss(this.#to), nowMs);
    }
    return true;
  }

  /** The oldest attempt of the client whose turn it is, among clients that `mayGo`; null when there is none. */
  take(mayGo?: (client: string | undefined) => boolean): Attempt | null {
    const attempt = this.#queue.take(mayGo);
    if (attempt !== null) attempt.carrier = null;
    return attempt;
  }

  abandon(attempt: Attempt): void {
    attempt.carrier = null;
    this.#queue.remove(attempt.request.client, attempt);
  }
}
