/**
 * How many lines a second somebody may write. Whole seconds are counted, not averaged: the budget of a new second is
 * there at once.
 */
import type { Clock } from '../os/clock.js';

const secondMs = 1_000;

/** A function that says whether one more line fits into this second. */
export function newLineBudget(clock: Clock, linesPerSecondMax: number): () => boolean {
  let secondStartedMs = Number.NEGATIVE_INFINITY;
  let written = 0;
  return () => {
    const nowMs = clock.nowMs();
    if (nowMs - secondStartedMs >= secondMs) {
      secondStartedMs = nowMs;
      written = 0;
    }
    if (written === linesPerSecondMax) return false;
    written++;
    return true;
  };
}
