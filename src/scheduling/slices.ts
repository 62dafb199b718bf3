/** Long work in slices, between which the event loop looks after everything else. */
import type { Clock } from '../os/clock.js';

/** A turn of the work ends after so long, … */
const turnMs = 2;
/** … or after so many slices, where time does not pass. */
const slicesPerTurn = 10;

/**
 * Does the work, some slices a turn of the event loop; undefined when `isOver` says before a turn that nobody wants it any
 * more. A slice is well below a millisecond of work.
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
    if (isOver()) return undefined;
  }
}

/** Does what is left of it at once. */
export function finishNow(slices: Generator<void, unknown>): void {
  while (slices.next().done !== true);
}
