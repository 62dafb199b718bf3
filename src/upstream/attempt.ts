/**
 * The seam between a question and what carries it: one attempt to have one upstream answer. A connection, a UDP
 * socket or a queue holds it; whoever takes it out of its table tells it how it ended. Types only, and the words for
 * what goes wrong.
 */
import { upstreamQueueMax } from '../limits.js';
import { FairQueue } from '../scheduling/fair-queue.js';
import type { Failure, Request } from './ask.js';

export interface Attempt {
  readonly request: Request;
  /** Whether the message is to carry an OPT record, if it needs one. */
  readonly allowsOpt: boolean;
  /** Its question was asked before and not answered in time: it may be one that takes long. */
  readonly isAgain: boolean;
  /** A question of our own, which nobody waits for. */
  readonly isProbe?: true;
  /** Who holds it now; null before and after. Set by the carrier. */
  carrier: Carrier | null;
  /** When a connection or socket took it; `notSent` while it only waits for one. Set by the carrier. */
  sentAtMs: number;
  /** Whether this message, whose id is the attempt's, answers it. Borrows `message`. False: counted. */
  accepts(message: Uint8Array): boolean;
  /** The message just accepted; the carrier holds the attempt no more. Borrows `message`. */
  answered(message: Uint8Array, nowMs: number): void;
  /** There will be no answer on this carrier, which holds the attempt no more. */
  lost(loss: Loss, nowMs: number): void;
}

export const notSent = -1;

/** A question that is put to an upstream once more while earlier tries are out. */
export interface Again {
  /** Not to be used for it. */
  readonly tried: readonly Carrier[];
  /** When the earliest of these tries was sent: what has answered since then leads somewhere. */
  readonly sinceMs: number;
}

/**
 * How an attempt was sent. `proven`: on what has shown that it leads to an endpoint that answers. `new`: on what has not
 * answered yet, and nothing speaks against it. `unproven`: on what may well lead nowhere. `full`: not at all, as too
 * many wait.
 */
export type Sent = 'proven' | 'new' | 'unproven' | 'full';

export interface Carrier {
  /** Takes the attempt out; nothing is said to it any more. */
  abandon(attempt: Attempt, nowMs: number): void;
  /** When it last brought something; -Infinity before the first time. */
  readonly lastHeardMs: number;
  /** For error texts: what the carrier waits for. */
  readonly waitsFor: 'connect' | 'answer';
}

export interface Loss {
  readonly why: Failure;
  /** `dial tcp 10.96.0.10:53: connect: connection refused`. */
  readonly text: string;
  /**
   * Whether the upstream is to blame. A connection that has worked and is gone now (idle at the other end, an upgrade
   * there) is replaced without a word.
   */
  readonly blame: boolean;
  /** Over UDP something came that was not asked for: whoever sent it may have the right id next. */
  readonly isDisturbed?: true;
}

/** Everybody who could be asked sends the question back to us. */
export const loopLoss: Loss = {
  why: 'nobody',
  text: 'the upstream sends our queries back to us (loop)',
  blame: false,
};

/** Everybody is down, and nobody is to be asked then. */
export const unhealthyLoss: Loss = { why: 'unhealthy', text: 'no healthy proxies', blame: true };

/** Too many wait for a place. */
export function queueLoss(to: string): Loss {
  return { why: 'overloaded', text: `too many queries are waiting for ${to}`, blame: true };
}

/** A connection could not be opened. `error` is null when it took too long. */
export function dialLoss(to: string, error: NodeJS.ErrnoException | null): Loss {
  if (error === null) return { why: 'timeout', text: `dial tcp ${to}: i/o timeout`, blame: true };
  return { why: 'unreachable', text: `dial tcp ${to}: connect: ${errorText(error)}`, blame: true };
}

/** A connection or socket broke. */
export function readLoss(transport: 'udp' | 'tcp', to: string, error: NodeJS.ErrnoException, blame: boolean): Loss {
  return { why: 'unreachable', text: `read ${transport} ${to}: ${errorText(error)}`, blame };
}

/** Something was sent to the port that answers nothing. */
export function disturbedLoss(to: string): Loss {
  return { why: 'malformed', text: `read udp ${to}: unsolicited answers`, blame: false, isDisturbed: true };
}

/** Nobody answered. */
export function timeoutText(transport: 'udp' | 'tcp', to: string, waitsFor: Carrier['waitsFor']): string {
  return waitsFor === 'connect' ? `dial ${transport} ${to}: i/o timeout` : `read ${transport} ${to}: i/o timeout`;
}

/** The system's errors in the words that operators know from CoreDNS's log. */
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

export class Waiting implements Carrier {
  readonly waitsFor = 'answer';
  readonly lastHeardMs = Number.NEGATIVE_INFINITY;
  readonly #queue = new FairQueue<string | undefined, Attempt>(upstreamQueueMax);

  get size(): number {
    return this.#queue.size;
  }

  /** False when the queue is full, and no client has more in it than this one would. Another's may be lost for it. */
  push(attempt: Attempt, full: Loss, nowMs: number): boolean {
    const lost = this.#queue.push(attempt.request.client, attempt);
    if (lost === attempt) return false;
    attempt.carrier = this;
    if (lost !== null) {
      lost.carrier = null;
      lost.lost(full, nowMs);
    }
    return true;
  }

  /**
   * The one that has waited longest of the client whose turn it is, among those of whom one may go, held by nobody now;
   * null when none waits.
   */
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
