/**
 * How late the control lane's event loop runs what is due, looked at once a second: by a timer that is as late as
 * everything else. What makes it late (a collection of garbage, a burst of misses) is not known here.
 */
import { loopDelayPeriodMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import { emptyHistogram, observe } from './exposition.js';

/** Upper bounds in seconds; a timer may be a millisecond late for no reason. */
export const loopDelayBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1] as const;

interface LoopDelay {
  /** One place per bucket, one above all, one for the sum. */
  readonly durations: Float64Array;
  stop(): void;
}

export function watchLoopDelay(clock: Clock): LoopDelay {
  const durations = emptyHistogram(loopDelayBucketsSeconds);
  let dueMs = clock.nowMs() + loopDelayPeriodMs;
  const timer = clock.every(loopDelayPeriodMs, () => {
    const nowMs = clock.nowMs();
    observe({ numbers: durations, bounds: loopDelayBucketsSeconds }, Math.max(0, nowMs - dueMs) / 1000);
    dueMs = nowMs + loopDelayPeriodMs;
  });
  return { durations, stop: () => timer.stop() };
}
