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
  /**
   * Sleeps for the shortest time there is, a tenth of a millisecond: for long work, a few times in a millisecond of it. A
   * thread that waits for the same processor gets it then; Linux by itself might wait for its tick, up to 4 ms.
   */
  rest(): void;
  /**
   * Calls `run` once, `delayMs` from now; with 0 in the next turn of the event loop. The timer does not keep the process
   * alive.
   */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` every `periodMs`, first after one period. The timer does not keep the process alive. */
  every(periodMs: number, run: () => void): Timer;
}

/** Node's timers fire at once beyond 31 bits of milliseconds. */
const timerMsMax = 2 ** 31 - 1;

/** Linux adds its slack of 0.05 ms. */
const restMs = 0.02;

export function systemClock(): Clock {
  const offsetMs = monotonicOffsetMs();
  // The global is an accessor, which would be called each time.
  const ticks = performance;
  const nobodyWakes = new Int32Array(new SharedArrayBuffer(4));
  return {
    nowMs: () => offsetMs + ticks.now(),
    wallMs: () => Date.now(),
    rest: () => void Atomics.wait(nobodyWakes, 0, 0, restMs),
    after(delayMs, run) {
      if (delayMs <= 0) {
        // Without its reference it would wait for another event.
        const immediate = setImmediate(run);
        return { stop: () => clearImmediate(immediate) };
      }
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
