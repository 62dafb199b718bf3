/** Long work in slices, between which the event loop serves everything else. */
import type { Clock } from '../os/clock.js';

/** Length of a turn of the work, … */
const turnMs = 2;
/** … and its slices at most, where time does not pass. */
const slicesPerTurn = 10;

/**
 * Does the work, some slices per turn of the event loop; undefined when `isOver` says before a turn that it is no
 * longer wanted. A slice takes well below a millisecond.
 */
export async function inTurns<Result>(
  clock: Pick<Clock, 'after' | 'nowMs'>,
  slices: Generator<void, Result>,
  isOver: () => boolean = () => false,
): Promise<Result | undefined> {
  for (;;) {
    const beganAtMs = clock.nowMs();
    for (let left = slicesPerTurn; left > 0 && clock.nowMs() - beganAtMs < turnMs; left--) {
      const slice = slices.next();
      if (slice.done === true) return slice.value;
    }
    await new Promise<void>((resolve) => clock.after(0, resolve));
    if (isOver()) {
      // So that the work closes what it has opened.
      slices.return(undefined as Result);
      return undefined;
    }
  }
}
