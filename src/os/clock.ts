/**
 * Time. Only this file reads a clock or sets a timer, so a test with its own `Clock` decides when a second has passed.
 */

/** `stop` may be called again, and after the timer has fired. */
export interface Timer {
  stop(): void;
}

export interface Clock {
  /** Monotonic milliseconds (CLOCK_MONOTONIC, the same in all processes of the machine); fractions are microseconds. */
  nowMs(): number;
  /** Milliseconds since 1970, for log lines and metrics only. */
  wallMs(): number;
  /** Calls `run` once, `delayMs` from now. The timer does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` every `periodMs`, first after one period. The timer does not keep the process alive. */
  every(periodMs: number, run: () => void): Timer;
}

/** Node's timers fire at once beyond 31 bits of milliseconds. */
const timerMsMax = 2 ** 31 - 1;

export function systemClock(): Clock {
  const offsetMs = monotonicOffsetMs();
  // The global is an accessor, which would be called each time.
  const ticks = performance;
  return {
    nowMs: () => offsetMs + ticks.now(),
    wallMs: () => Date.now(),
    after(delayMs, run) {
      const timer = setTimeout(run, Math.min(delayMs, timerMsMax));
      timer.unref();
      return { stop: () => clearTimeout(timer) };
    },
    every(periodMs, run) {
      const timer = setInterval(run, Math.min(periodMs, timerMsMax));
      timer.unref();
      return { stop: () => clearInterval(timer) };
    },
  };
}

/** Keeps the process alive until it calls exit: Node.js exits when listeners are closed, before the last work. */
export function stayAlive(): Timer {
  const timer = setInterval(() => {}, timerMsMax);
  return { stop: () => clearInterval(timer) };
}

/**
 * `performance.now()` plus this is CLOCK_MONOTONIC. The closest of eight readings of both counts, because a process may
 * be stopped for milliseconds between two lines.
 */
function monotonicOffsetMs(): number {
  let offsetMs = 0;
  let leastMs = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 8; look++) {
    const beforeMs = performance.now();
    const [seconds, nanoseconds] = process.hrtime();
    const afterMs = performance.now();
    if (afterMs - beforeMs >= leastMs) continue;
    leastMs = afterMs - beforeMs;
    offsetMs = seconds * 1000 + nanoseconds / 1e6 - (beforeMs + afterMs) / 2;
  }
  return offsetMs;
}
