/**
 * Questions under way whose clients wait only so long, as a stale answer is at hand. One sweep looks after all of them;
 * what becomes of a client that has lost its patience is for who is told.
 */
import { sweepPeriodMs } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import { toEach } from '../scheduling/each.js';
import type { Pending } from './pending.js';

export class StaleTimer {
  readonly #clock: Clock;
  readonly #lost: (pending: Pending) => void;
  /** No more of them than questions under way. */
  readonly #watched = new Set<Pending>();
  #sweeper: Timer | null = null;

  /** `lost` is called once for a question that is watched, when its clients have waited long enough. */
  constructor(clock: Clock, lost: (pending: Pending) => void) {
    this.#clock = clock;
    this.#lost = lost;
  }

  /** Watches the question, where its clients do not wait until the upstream has failed. */
  watch(pending: Pending): void {
    const { keep } = pending.route;
    if (keep === null || keep.patienceMs === Number.POSITIVE_INFINITY) return;
    this.#watched.add(pending);
    this.#sweeper ??= this.#clock.every(sweepPeriodMs, () => this.#sweep());
  }

  /** The question has its answer. */
  end(pending: Pending): void {
    this.#watched.delete(pending);
  }

  #sweep(): void {
    const nowMs = this.#clock.nowMs();
    try {
      toEach(this.#watched, (pending) => {
        if (nowMs < pending.startedAtMs + pending.route.keep!.patienceMs) return;
        this.#watched.delete(pending);
        this.#lost(pending);
      });
    } finally {
      if (this.#watched.size === 0) this.#sweeper?.stop();
      if (this.#watched.size === 0) this.#sweeper = null;
    }
  }
}
