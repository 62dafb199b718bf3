/**
 * The turns of the main thread: how long each pass of its event loop takes, waiting not included, and which work most of
 * a long one was. Rare work says that it runs, by `during`; the path of a query says nothing and pays nothing, so what
 * no other work claims is `queries`. A collection of garbage counts for the work that it interrupts.
 */
import type { Clock, Timer } from '../os/clock.js';
import type { EventLoop } from '../os/event-loop.js';
import { emptyHistogram, observe } from './exposition.js';

/** Upper bounds in seconds. */
export const turnBucketsSeconds = [0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 1] as const;
/** A turn longer than this is long: as long as the main thread serves what workers defer before it looks at its sockets. */
export const longTurnMs = 2;

/** `takeover`: cached answers taken from another instance or a file. `timers`: all that runs periodically or later. */
export const turnWork = ['queries', 'timers', 'scrape', 'reload', 'takeover'] as const;
type TurnWork = (typeof turnWork)[number];

export class Turns {
  /** A histogram over `turnBucketsSeconds`. */
  readonly lengths = emptyHistogram(turnBucketsSeconds);
  /** The numbers of long turns, in the order of `turnWork`. */
  readonly long = new Float64Array(turnWork.length);
  readonly #clock: Clock;
  /** Milliseconds of the present turn, in the order of `turnWork`. */
  readonly #spentMs = new Float64Array(turnWork.length);
  #work = 0;
  #workSinceMs = 0;
  #isOnlyQueries = true;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Observes every turn of this loop until it is stopped. */
  watch(loop: EventLoop): Timer {
    let endedMs = this.#clock.nowMs();
    let idleMs = loop.idleMs();
    return loop.eachTurn(() => {
      const nowMs = this.#clock.nowMs();
      const nowIdleMs = loop.idleMs();
      // The two clocks differ by some microseconds.
      this.#ended(Math.max(0, nowMs - endedMs - (nowIdleMs - idleMs)));
      endedMs = nowMs;
      idleMs = nowIdleMs;
    });
  }

  /** Does `work` now and counts its time for `name`. */
  during<Result>(name: TurnWork, work: () => Result): Result {
    const outer = this.#switchTo(turnWork.indexOf(name));
    this.#isOnlyQueries = false;
    try {
      return work();
    } finally {
      this.#switchTo(outer);
    }
  }

  /** The clock, whose timers count for `timers`. */
  timed(): Clock {
    const clock = this.#clock;
    return {
      nowMs: () => clock.nowMs(),
      wallMs: () => clock.wallMs(),
      rest: () => clock.rest(),
      after: (delayMs, run) => clock.after(delayMs, () => this.during('timers', run)),
      every: (periodMs, run) => clock.every(periodMs, () => this.during('timers', run)),
    };
  }

  #switchTo(work: number): number {
    const nowMs = this.#clock.nowMs();
    const before = this.#work;
    this.#spentMs[before] += nowMs - this.#workSinceMs;
    this.#work = work;
    this.#workSinceMs = nowMs;
    return before;
  }

  #ended(lengthMs: number): void {
    observe({ numbers: this.lengths, bounds: turnBucketsSeconds }, lengthMs / 1000);
    if (lengthMs > longTurnMs) this.long[this.#longest(lengthMs)]++;
    if (this.#isOnlyQueries) return;
    this.#spentMs.fill(0);
    this.#isOnlyQueries = true;
  }

  /** The work that took most of a turn of this length. */
  #longest(lengthMs: number): number {
    // Between two other works the loop may have waited, so the time of the queries is what is left.
    this.#spentMs[0] = 0;
    this.#spentMs[0] = lengthMs - this.#spentMs.reduce((total, ms) => total + ms);
    return this.#spentMs.indexOf(Math.max(...this.#spentMs));
  }
}
