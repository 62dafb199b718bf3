/** Long work in slices, between which the event loop serves everything else. */
import type { Clock } from '../os/clock.js';

/** Length of a turn of the work, … */
const turnMs = 2;
/** … its slices at most, where time does not pass, … */
const slicesPerTurn = 10;
/** … and what it does between two rests. */
const untilRestMs = 0.2;

/**
 * Does the work, some slices per turn of the event loop; undefined when `isOver` says before a turn that it is no
 * longer wanted. A slice takes well below a millisecond.
 */
export async function inTurns<Result>(
  clock: Pick<Clock, 'after' | 'nowMs' | 'rest'>,
  slices: Generator<void, Result>,
  isOver: () => boolean = () => false,
): Promise<Result | undefined> {
  let restedAtMs = clock.nowMs();
  for (;;) {
    const beganAtMs = clock.nowMs();
    for (let left = slicesPerTurn; left > 0; left--) {
      const slice = slices.next();
      if (slice.done === true) return slice.value;
      const nowMs = clock.nowMs();
      if (nowMs - beganAtMs >= turnMs) break;
      if (nowMs - restedAtMs < untilRestMs) continue;
      clock.rest();
      restedAtMs = clock.nowMs();
    }
    await new Promise<void>((resolve) => clock.after(0, resolve));
    if (isOver()) {
      // So that the work closes what it has opened.
      slices.return(undefined as Result);
      return undefined;
    }
  }
}
