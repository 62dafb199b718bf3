/**
 * /health, and the check that runs every second whether anybody asks or not: it feeds the health metrics and writes
 * a line when health is lost and when it is back.
 */
import { selfCheckPeriodMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import { emptyHistogram, observe } from './exposition.js';
import type { HttpAnswer } from './http.js';
import { healthBucketsSeconds } from './metrics-source.js';
import type { Health } from './self-check.js';

interface HealthWatch {
  /** Durations of the checks, in the layout of `healthBucketsSeconds`. */
  readonly durations: Float64Array;
  stop(): void;
}

interface HealthWatchOutside {
  readonly check: () => Promise<Health>;
  readonly clock: Clock;
  readonly log: Log;
  /** Counts a check that failed. */
  failed(): void;
}

/** 200 `OK`, or 503 with the sentence that says why. */
export function healthAnswer(health: Health): HttpAnswer {
  return health.healthy ? { status: 200, body: 'OK' } : { status: 503, body: `${health.reason}\n` };
}

/** Checks every second, starting one second from now. */
export function startHealthWatch({ check, clock, log, failed }: HealthWatchOutside): HealthWatch {
  const durations = emptyHistogram(healthBucketsSeconds);
  let wasHealthy = true;
  let underWay = false;
  let stopped = false;

  async function checkOnce(): Promise<void> {
    if (underWay) return;
    underWay = true;
    const startedMs = clock.nowMs();
    const health = await check();
    underWay = false;
    if (stopped) return;
    observe({ numbers: durations, bounds: healthBucketsSeconds }, (clock.nowMs() - startedMs) / 1000);
    if (!health.healthy) failed();
    if (health.healthy !== wasHealthy) {
      wasHealthy = health.healthy;
      if (health.healthy) log.info('health check recovered: all listeners answer');
      else log.error(`health check failed: ${health.reason}`);
    }
  }

  const timer = clock.every(selfCheckPeriodMs, () => void checkOnce());
  return {
    durations,
    stop() {
      stopped = true;
      timer.stop();
    },
  };
}
