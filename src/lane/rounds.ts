/**
 * What is done for the lane once a second: the answers that the kernel has given are counted and keep their entries in the
 * cache, entries that were hit are published, and where slots are rare, those that nobody asks for make room.
 */
import type { BlockRef } from '../cache/blocks.js';
import type { Cache } from '../cache/cache.js';
import type { FirstHits } from '../cache/first-hits.js';
import type { Counters } from '../counters.js';
import { laneIdleRoundsMax, laneSlots, laneSlotsKeptFree } from '../limits.js';
import type { Clock } from '../os/clock.js';
import { inTurns } from '../scheduling/slices.js';
import { readSlot } from './entry.js';
import { countGiven } from './hits.js';
import { variantBits } from './layout.js';
import type { Publisher } from './publisher.js';
import type { LaneRefreshes } from './refreshes.js';
import type { Slots } from './slots.js';

export interface LaneRoundsDeps {
  readonly clock: Clock;
  readonly cache: Cache;
  readonly firstHits: FirstHits;
  /** The main thread's. */
  readonly counters: Counters;
  readonly slots: Slots;
  readonly publisher: Publisher;
  readonly refreshes: Pick<LaneRefreshes, 'given'>;
  /** How often the kernel has answered a question that is asked often: name and type in wire format, in lower case. */
  given(question: Uint8Array, answers: number): void;
}

/** Of all answers of a round; at most so many questions have this share, and `given` is called for no more. */
const oftenShare = 1 / 256;

/** A fifth of a millisecond. */
const publishedPerSlice = 40;

export class LaneRounds {
  /** Answers that the kernel has given, and of these, stale ones, and denials by policy. */
  answers = 0;
  stale = 0;
  denied = 0;
  readonly #deps: LaneRoundsDeps;
  /** Entries that may be worth publishing. */
  readonly #waiting: BlockRef[] = [];
  #mustLookAtAll = false;
  #isPublishing = false;
  #isOver = false;

  constructor(deps: LaneRoundsDeps) {
    this.#deps = deps;
  }

  /** Publishes these in the next turns, if they are still cached. */
  want(refs: readonly BlockRef[]): void {
    for (const ref of refs) this.#waiting.push(ref);
  }

  /** Publishes whatever in the cache has been hit. */
  wantAll(): void {
    this.#mustLookAtAll = true;
  }

  round(nowMs: number): void {
    const { slots, publisher, firstHits } = this.#deps;
    slots.wake(nowMs, (slot) => {
      this.#countSlot(slot);
      publisher.over(slot);
    });
    this.count(nowMs);
    this.#makeRoom(nowMs);
    if (!firstHits.takeAll((ref) => this.#waiting.push(ref))) this.#mustLookAtAll = true;
    void this.#publishInTurns();
  }

  /** Counts what the kernel has answered since the last time. */
  count(nowMs: number): void {
    const { publisher, cache, slots, refreshes } = this.#deps;
    const before = this.answers;
    const given: { readonly slot: number; readonly answers: number }[] = [];
    for (let slot = 0; slot < laneSlots; slot++) {
      const published = publisher.of(slot);
      if (published === null) continue;
      const answers = this.#countSlot(slot);
      published.idleRounds = answers > 0 ? 0 : published.idleRounds + 1;
      if (answers === 0) continue;
      given.push({ slot, answers });
      refreshes.given(published.use, nowMs);
      if (published.ref !== 0 && slots.isPublished(slot)) cache.blocks.addHits(published.ref, answers, nowMs);
    }
    this.#tellOften(given, this.answers - before);
  }

  #tellOften(given: readonly { readonly slot: number; readonly answers: number }[], all: number): void {
    for (const { slot, answers } of given) {
      if (answers < all * oftenShare) continue;
      const { question } = readSlot(this.#deps.slots.bytes(slot));
      this.#deps.given(question.subarray(0, question.length - 2), answers);
    }
  }

  /** Publishes nothing more. */
  end(): void {
    this.#isOver = true;
  }

  #countSlot(slot: number): number {
    const { publisher, slots, counters } = this.#deps;
    const published = publisher.of(slot);
    let all = 0;
    slots.uncounted(slot, (variant, answers) => {
      all += answers;
      if ((variant & variantBits.isStale) !== 0) this.stale += answers;
      if (published !== null) countGiven(counters, published, variant, answers);
    });
    this.answers += all;
    if (published?.kind === null) this.denied += all;
    return all;
  }

  #makeRoom(nowMs: number): void {
    const { slots, publisher, cache } = this.#deps;
    for (let slot = 0; slot < laneSlots && slots.free < laneSlotsKeptFree; slot++) {
      const published = publisher.of(slot);
      if (published === null || !slots.isPublished(slot) || published.idleRounds < laneIdleRoundsMax) continue;
      publisher.takeOutSlot(slot, nowMs);
      if (published.ref !== 0) cache.blocks.forgetFirstHit(published.ref);
    }
  }

  async #publishInTurns(): Promise<void> {
    if (this.#isPublishing) return;
    this.#isPublishing = true;
    try {
      await inTurns(this.#deps.clock, this.#publishWaiting(), () => this.#isOver);
    } finally {
      this.#isPublishing = false;
    }
  }

  *#publishWaiting(): Generator<void, void> {
    if (this.#mustLookAtAll) yield* this.#lookAtAll();
    while (this.#waiting.length > 0) {
      for (const ref of this.#waiting.splice(0, publishedPerSlice)) this.#publish(ref);
      yield;
    }
  }

  *#lookAtAll(): Generator<void, void> {
    const { cache, publisher } = this.#deps;
    this.#mustLookAtAll = false;
    for (const slice of cache.refs()) {
      yield;
      if (this.#waiting.length >= laneSlots) return;
      for (const ref of slice) {
        if (cache.holds(ref) && cache.blocks.wasHit(ref) && !publisher.has(ref)) this.#waiting.push(ref);
      }
    }
  }

  #publish(ref: BlockRef): void {
    const { cache, publisher, clock } = this.#deps;
    if (!cache.holds(ref) || publisher.has(ref)) return;
    // Without room it is tried again after another hit.
    if (publisher.publish(ref, clock.nowMs()) === 'no room') cache.blocks.forgetFirstHit(ref);
  }
}
