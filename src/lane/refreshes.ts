/**
 * Answers in use are asked for anew before they end. Until the kernel takes a process that hangs for dead, questions for
 * an ended answer go to a socket that nobody reads; so no answer in use may ever have less time left than that takes. What
 * is in use is seen by the marks, and hits pay nothing.
 *
 *   published ──given by the kernel──> in use ──a second before its end──> asked upstream ──> the new one is published
 *
 * An upstream that has taken long for the last one is asked that much earlier.
 *
 * `prefetch` of `cache` is done here as well, for the answers that the kernel gives.
 */
import type { Blocks } from '../cache/blocks.js';
import { type Counters, zonePlaces } from '../counters.js';
import {
  extraQuestionsShare,
  laneRefreshesBurst,
  laneRefreshesPerSecondMax,
  laneRefreshIdleMs,
  laneSlots,
} from '../limits.js';
import type { Clock } from '../os/clock.js';
import { ExtraQuestions } from '../resolve/extra-questions.js';
import type { ServedZone } from '../resolve/zones.js';
import { inTurns } from '../scheduling/slices.js';
import type { Publisher, Use } from './publisher.js';
import type { Slots } from './slots.js';

export interface LaneRefreshesDeps {
  readonly clock: Clock;
  readonly cache: { readonly blocks: Blocks };
  /** The main thread's. */
  readonly counters: Counters;
  readonly slots: Slots;
  readonly publisher: Publisher;
  /** Asks upstream for the cache alone; false: it is being asked, or there is no room. Keeps the question. */
  ask(zone: ServedZone, question: Uint8Array, key: number): boolean;
}

/** Half a millisecond. */
const askedPerSlice = 16;

export class LaneRefreshes {
  /** Answers asked for anew because they were in use, and those for which the budget had nothing left. */
  asked = 0;
  denied = 0;
  readonly #deps: LaneRefreshesDeps;
  readonly #budget = new ExtraQuestions(laneRefreshesPerSecondMax, laneRefreshesBurst);
  readonly #waiting: number[] = [];
  #isAsking = false;
  #isOver = false;

  constructor(deps: LaneRefreshesDeps) {
    this.#deps = deps;
  }

  /** The kernel has given this answer lately. One that came by a refresh has taken the place of a client's question. */
  given(use: Use, nowMs: number): void {
    if (use.givenAtMs === Number.NEGATIVE_INFINITY) this.#budget.earn(use.isRefreshed ? 1 : extraQuestionsShare);
    use.givenAtMs = nowMs;
  }

  /** Asks in the next turns for what is due. */
  look(nowMs: number): void {
    const { publisher, slots } = this.#deps;
    const { dueAtMs } = publisher;
    for (let slot = 0; slot < laneSlots; slot++) {
      if (nowMs < dueAtMs[slot]) continue;
      const use = slots.isPublished(slot) ? publisher.of(slot)!.use : null;
      if (use === null || nowMs >= use.expiresAtMs) dueAtMs[slot] = Number.POSITIVE_INFINITY;
      else if (this.#reason(slot, nowMs) !== null) {
        this.#waiting.push(slot);
        // A prefetch may fail.
        dueAtMs[slot] = nowMs < use.refreshAtMs ? use.refreshAtMs : Number.POSITIVE_INFINITY;
      }
    }
    void this.#askInTurns();
  }

  /** Asks nothing more. */
  end(): void {
    this.#isOver = true;
  }

  async #askInTurns(): Promise<void> {
    if (this.#isAsking || this.#waiting.length === 0) return;
    this.#isAsking = true;
    try {
      await inTurns(this.#deps.clock, this.#askWaiting(), () => this.#isOver);
    } finally {
      this.#isAsking = false;
    }
  }

  *#askWaiting(): Generator<void, void> {
    while (this.#waiting.length > 0) {
      for (const slot of this.#waiting.splice(0, askedPerSlice)) this.#ask(slot);
      yield;
    }
  }

  #ask(slot: number): void {
    const { clock, slots, publisher, counters, ask } = this.#deps;
    const nowMs = clock.nowMs();
    const published = slots.isPublished(slot) ? publisher.of(slot) : null;
    // Another slot of the same answer may have had its turn.
    const reason = published === null ? null : this.#reason(slot, nowMs);
    const asking = reason === null ? null : publisher.askingFor(slot);
    if (published === null || asking === null) return;
    if (reason === 'in use' && !this.#budget.spend(nowMs)) {
      published.use.refresh = 'denied';
      this.denied++;
      return;
    }
    // Before the answer can be there.
    published.use.refresh = reason === 'prefetch' ? 'prefetched' : 'asked';
    published.use.askedAtMs = nowMs;
    const isAsked = ask(asking.zone, asking.question, asking.key);
    if (reason === 'prefetch') {
      if (isAsked) counters.zones[counters.zoneBase(published.ordinal) + zonePlaces.prefetches]++;
    } else if (isAsked) this.asked++;
    else this.#budget.earn(1);
  }

  /** Why the answer in this slot, which is published, is to be asked for anew now; null: it is not. */
  #reason(slot: number, nowMs: number): 'prefetch' | 'in use' | null {
    const { ref, use } = this.#deps.publisher.of(slot)!;
    const { refreshAtMs, prefetchAtMs, prefetchHits, givenAtMs, refresh } = use;
    if (refresh === 'asked' || refresh === 'denied') return null;
    const isForPrefetch = ref !== 0 && refresh === 'none' && nowMs >= prefetchAtMs && givenAtMs >= prefetchAtMs;
    if (isForPrefetch && this.#deps.cache.blocks.hits(ref) >= prefetchHits) return 'prefetch';
    return nowMs >= refreshAtMs && nowMs - givenAtMs <= laneRefreshIdleMs ? 'in use' : null;
  }
}
