/**
 * The control lane's end of the rings: what answering threads have handed over is served as it comes while that goes
 * quickly. When more comes than one turn of the event loop has time for, the rest waits, and is served client by client
 * in the next turns, so that a flood's packets do not stand in front of everybody else's. What serving is, is not known here.
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
  /** Tells clients apart. */
  readonly hashKey: HashKey;
  nowMs(): number;
  /** What is to be served of the reader's entry in hand; null when nobody waits for it any more. */
  read(ring: RingReader): Item | null;
  /** The item of the entry in hand, to be served after the reader has gone on. */
  keep(item: Item): Item;
  serve(item: Item): void;
  /** There is no room for it to wait. */
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

  /** Takes and serves for a while; false when there is more, and it is to be called in the next turn of the event loop. */
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
