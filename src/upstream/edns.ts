/**
 * Whether one upstream can be sent an OPT of our own, found out on the way: some servers drop queries that have one, or
 * refuse them, or garble the answer, and so do some firewalls. What was found holds until a request with an OPT is
 * answered well, and now and then one is sent to see (RFC 6891 6.2.2).
 */
import { optHeardMs, withoutOptMs } from '../limits.js';

const never = Number.NEGATIVE_INFINITY;

export class Edns {
  #heardAtMs = never;
  /** When a request has an OPT again; `never` where all have. */
  #triedAgainAtMs = never;

  /** It is known to answer only requests without OPT. */
  get isWithout(): boolean {
    return this.#triedAgainAtMs !== never;
  }

  /** Whether the next request is to have an OPT; the one that is to see whether it is answered by now is this one. */
  nextHasOpt(nowMs: number): boolean {
    if (nowMs < this.#triedAgainAtMs) return false;
    if (this.isWithout) this.#triedAgainAtMs = nowMs + withoutOptMs;
    return true;
  }

  /** A request with an OPT has been answered well lately: it is not the OPT that brings silence or a failure. */
  isProven(nowMs: number): boolean {
    return nowMs - this.#heardAtMs < optHeardMs;
  }

  /** A request with an OPT was answered well. True when that is news. */
  heard(nowMs: number): boolean {
    const isNews = this.isWithout;
    this.#heardAtMs = nowMs;
    this.#triedAgainAtMs = never;
    return isNews;
  }

  /** A question was answered well without an OPT, and not with one. True when that is news. */
  learn(nowMs: number): boolean {
    if (this.isWithout || this.isProven(nowMs)) return false;
    this.#triedAgainAtMs = nowMs + withoutOptMs;
    return true;
  }
}
