/**
 * A clock that stands still until a test moves it. Timers run in the order of their time, those of one time in the
 * order in which they were set, with `nowMs` at exactly their time.
 *
 *     clock.passMs(30)          timers only; nothing that waits for a promise gets on
 *     await clock.pass(30)      promises and setImmediate callbacks run to rest before, between and after timers
 *     await clock.until(answer) goes from timer to timer until the promise is settled
 */
import assert from 'node:assert/strict';
import type { Clock, Timer } from '../../src/os/clock.js';

/** More timers than this without any time passing is a loop that would never end. */
const timersWithoutProgressMax = 100_000;

interface SetTimer {
  atMs: number;
  readonly periodMs: number | null;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  #nowMs: number;
  readonly #wallOffsetMs: number;
  /** Ordered by time, then by when they were set. */
  readonly #timers: SetTimer[] = [];
  #passing = false;
  #withoutProgress = 0;

  constructor(startMs = 1_000_000, wallMs = Date.UTC(2024, 0, 1)) {
    this.#nowMs = startMs;
    this.#wallOffsetMs = wallMs - startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#nowMs;
  }

  /** No other thread waits for this one. */
  rest(): void {}

  after(delayMs: number, run: () => void): Timer {
    return this.#set({ atMs: this.#nowMs + Math.max(0, delayMs), periodMs: null, run });
  }

  every(periodMs: number, run: () => void): Timer {
    assert(periodMs > 0, 'a period is above zero');
    return this.#set({ atMs: this.#nowMs + periodMs, periodMs, run });
  }

  /** Timers that are set and neither stopped nor (unless periodic) run: zero for a program at rest. */
  get timersSet(): number {
    return this.#timers.length;
  }

  /** Lets `ms` pass, running the timers that fall due, also those set on the way. Promises do not get on. */
  passMs(ms: number): void {
    const endMs = this.#nowMs + ms;
    this.#enter();
    try {
      for (let timer = this.#takeDue(endMs); timer !== null; timer = this.#takeDue(endMs)) timer.run();
      this.#nowMs = endMs;
    } finally {
      this.#passing = false;
    }
  }

  passSeconds(seconds: number): void {
    this.passMs(seconds * 1000);
  }

  /** As `passMs`, and lets promises and setImmediate callbacks run to rest before, between and after timers. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    this.#enter();
    try {
      await settled();
      for (let timer = this.#takeDue(endMs); timer !== null; timer = this.#takeDue(endMs)) {
        timer.run();
        await settled();
      }
      this.#nowMs = endMs;
    } finally {
      this.#passing = false;
    }
  }

  /** Goes from timer to timer until `promise` is settled; throws when it is not within `withinMs`. */
  async until<T>(promise: Promise<T>, withinMs = 60_000): Promise<T> {
    const endMs = this.#nowMs + withinMs;
    let pending = true;
    const settle = (): void => {
      pending = false;
    };
    promise.then(settle, settle);
    this.#enter();
    try {
      await settled();
      while (pending) {
        const timer = this.#takeDue(endMs);
        if (timer === null) throw new Error(`the promise is not settled within ${withinMs} ms`);
        timer.run();
        await settled();
      }
    } finally {
      this.#passing = false;
    }
    return promise;
  }

  #enter(): void {
    assert(!this.#passing, 'time is passed by one caller at a time; await clock.pass()');
    this.#passing = true;
    this.#withoutProgress = 0;
  }

  /** Takes the next timer due by `endMs`, moves the time to it, and sets a periodic one again. */
  #takeDue(endMs: number): SetTimer | null {
    const timer = this.#timers[0];
    if (timer === undefined || timer.atMs > endMs) return null;
    this.#timers.shift();
    this.#withoutProgress = timer.atMs > this.#nowMs ? 0 : this.#withoutProgress + 1;
    assert(this.#withoutProgress < timersWithoutProgressMax, 'timers go on for ever without time passing');
    this.#nowMs = Math.max(this.#nowMs, timer.atMs);
    if (timer.periodMs !== null) {
      timer.atMs += timer.periodMs;
      this.#insert(timer);
    }
    return timer;
  }

  #set(timer: SetTimer): Timer {
    this.#insert(timer);
    return {
      stop: () => {
        const index = this.#timers.indexOf(timer);
        if (index >= 0) this.#timers.splice(index, 1);
      },
    };
  }

  #insert(timer: SetTimer): void {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#timers[middle].atMs <= timer.atMs) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
  }
}

/** Two rounds of setImmediate: one lets what is queued run, the other what that queued. */
async function settled(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
  await new Promise<void>((resolve) => setImmediate(resolve));
}
