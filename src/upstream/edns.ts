/**
 * Whether one upstream can be sent an OPT of our own, found out on the way: some servers drop queries that have one, or
 * refuse them, or garble the answer, and so do some firewalls. What was found is believed for a while (RFC 6891 6.2.2).
 */
import { optHeardMs, withoutOptMs } from '../limits.js';

export class Edns {
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #withoutUntilMs = Number.NEGATIVE_INFINITY;

  /** Whether requests have an OPT of our own. What has to have one, for DO, has it all the same. */
  isSent(nowMs: number): boolean {
    return nowMs >= this.#withoutUntilMs;
  }

  /** A request with an OPT has been answered well lately: it is not the OPT that brings silence or a failure. */
  isProven(nowMs: number): boolean {
    return nowMs - this.#heardAtMs < optHeardMs;
  }

  /** It may be the OPT, and nobody knows yet. */
  isDoubtful(nowMs: number): boolean {
    return this.isSent(nowMs) && !this.isProven(nowMs);
  }

  /** A request with an OPT was answered well. */
  heard(nowMs: number): void {
    this.#heardAtMs = nowMs;
    this.#withoutUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** A question was answered well without an OPT, and not with one. True when that is news. */
  learn(nowMs: number): boolean {
    if (!this.isDoubtful(nowMs)) return false;
    this.#withoutUntilMs = nowMs + withoutOptMs;
    return true;
  }
}
