/**
 * How fast one upstream has answered lately, and what follows from it: how long its silence may last before questions
 * are asked again, from when on one of its connections is slower than the others, and how long its slow answers take.
 * A few plain numbers, moved a little by each answer; nothing is kept of the answers themselves.
 */
import {
  askAgainAfterMs,
  askAgainAfterMsMin,
  heldUpAfterMsMin,
  queryDeadlineCeilingMs,
  slowAfterMsMin,
} from '../limits.js';

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
