/**
 * How fast one upstream has answered lately, and what follows from it: how long its silence may last before questions
 * are asked again, and from when on one of its connections is slower than the others. Two plain numbers, moved a little by each
 * answer; nothing is kept of the answers themselves.
 */
import { askAgainAfterMs, askAgainAfterMsMin, heldUpAfterMsMin, slowAfterMsMin } from '../limits.js';

/** In balance when one answer in twenty is slower: `up` moves nineteen times as far as `down`. */
const upFactor = 1.1;
const downFactor = upFactor ** (-1 / 19);
/** An average of about the last sixteen answers. */
const averageWeight = 1 / 16;
/** Of the 95th percentile: what is slower than this is not one of the slow ones, it is in trouble. */
const waitFactor = 4;
/** The percentile stays where a change of pace is noticed within a few dozen answers. */
const p95MsMin = 0.5;

export class Pace {
  /** Nothing is known yet: patience. */
  #p95Ms = askAgainAfterMs / waitFactor;
  #averageMs = 0;

  /** An answer took so long from the request. */
  took(durationMs: number): void {
    const moved = this.#p95Ms * (durationMs > this.#p95Ms ? upFactor : downFactor);
    this.#p95Ms = Math.min(askAgainAfterMs / waitFactor, Math.max(p95MsMin, moved));
    this.#averageMs += (durationMs - this.#averageMs) * averageWeight;
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

  /** A connection silent for longer than this is held up by something: others are used first. */
  get slowMs(): number {
    return Math.max(slowAfterMsMin, 2 * this.#p95Ms);
  }

  /** A connection silent for longer than this has come upon a question that takes time, not upon a busy moment. */
  get heldUpMs(): number {
    return heldUpAfterMsMin + 2 * this.#p95Ms;
  }
}
