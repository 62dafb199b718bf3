/**
 * Time, the first of the injected outsides. Nothing else in the program reads a clock or sets a timer, so a test
 * that holds a `Clock` of its own decides when a second has passed.
 */

/** A timer that was set; `stop` is safe to call more than once and after it has fired. */
export interface Timer {
  stop(): void;
}

export interface Clock {
  /** Monotonic milliseconds (CLOCK_MONOTONIC, so processes of one machine agree); fractions are microseconds. */
  nowMs(): number;
  /** Wall-clock milliseconds since 1970, for log lines and metrics only. */
  wallMs(): number;
  /** Calls `run` once, `delayMs` from now. The timer does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` every `periodMs`, the first time one period from now. The timer does not keep the process alive. */
  every(periodMs: number, run: () => void): Timer;
}

/** Node's timers take 31 bits of milliseconds and fire at once beyond that. */
const timerMsMax = 2 ** 31 - 1;

/** The machine's clock. */
export function systemClock(): Clock {
  const offsetMs = monotonicOffsetMs();
  return {
    nowMs: () => offsetMs + performance.now(),
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

/**
 * Keeps this process alive until it says exit. Timers and most handles of ours do not, so that at the end, when
 * nothing listens any more, Node.js would take the process down in the middle of the work that is left.
 */
export function stayAlive(): Timer {
  const timer = setInterval(() => {}, timerMsMax);
  return { stop: () => clearInterval(timer) };
}

/**
 * What to add to `performance.now()` to get CLOCK_MONOTONIC. Of a few looks at both, the one with the least time
 * between them counts: a process may be stopped for milliseconds between two lines.
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
