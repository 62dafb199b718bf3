/**
 * The main thread's end of the rings. Packets that workers deferred are served as they come while there is time in this
 * turn of the event loop; the rest is queued per client and served in turns, so a flood delays its sender only.
 *
 *   rings ─┬─ nobody waits, and there is time ──────────> serve
 *          └─ else ─> one queue per client ─ in turns ──> serve
 *                         └─ no room ───────────────────> refuse
 */
import type { HashKey } from '../dns/hash.js';
import { handedOverMax, handOverTurnMs, ringMovedAtOnceMax } from '../limits.js';
import { FairQueue } from '../scheduling/fair-queue.js';
import { clientNumber, type RingReader } from './ring.js';

interface DeferredDeps<Item> {
  readonly hashKey: HashKey;
  nowMs(): number;
  /** What the reader's current entry asks for; null when its listener is closed. */
  read(ring: RingReader): Item | null;
  /** A copy of the item, which outlives the reader's entry. */
  keep(item: Item): Item;
  serve(item: Item): void;
  refuse(item: Item): void;
}

/** Items served between two looks at the clock. */
const servedPerLook = 8;

export class DeferredQueue<Item> {
  readonly #deps: DeferredDeps<Item>;
  readonly #turns = new FairQueue<number, Item>(handedOverMax);

  constructor(deps: DeferredDeps<Item>) {
    this.#deps = deps;
  }

  /** Serves for one turn; false when more is left and `take` must be called in the next turn of the event loop. */
  take(rings: readonly RingReader[]): boolean {
    const { nowMs, read, serve } = this.#deps;
    const turns = this.#turns;
    const untilMs = nowMs() + handOverTurnMs;
    let served = 0;
    let moved = 0;
    const hasTime = (): boolean => ++served % servedPerLook !== 0 || nowMs() < untilMs;
    let isInTime = true;
    for (const ring of rings) {
      ring.awake();
      while (moved < ringMovedAtOnceMax && ring.next()) {
        const item = read(ring);
        if (item === null) continue;
        if (turns.size === 0 && isInTime) {
          serve(item);
          isInTime = hasTime();
        } else {
          moved++;
          this.#queue(ring, item);
        }
      }
    }
    while (isInTime && turns.size > 0) {
      serve(turns.take() as Item);
      isInTime = hasTime();
    }
    return turns.size === 0 && moved < ringMovedAtOnceMax;
  }

  #queue(ring: RingReader, item: Item): void {
    const { keep, refuse, hashKey } = this.#deps;
    const lost = this.#turns.push(clientNumber(ring.peerWords, ring.peerAt, hashKey), keep(item));
    if (lost !== null) refuse(lost);
  }
}
