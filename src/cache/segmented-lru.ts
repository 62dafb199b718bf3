/**
 * Which entries of a store stay: a segmented LRU, two lru-caches in a row. A new entry is on probation; one that has been
 * hit by the time its turn to leave comes is protected. So a scan, many names asked once, evicts only what was asked once
 * (docs/decisions/scans-and-hot-names.md). Workers note hits in the blocks; they count when room is made.
 *
 *   new ──> probation ── not hit ──> evicted
 *             ^   └─ hit ──> protected ─┐
 *             └── protected is full ────┘
 */
import { LRUCache } from 'lru-cache';
import { entriesSparedMax, protectedPercentMax } from '../limits.js';
import { atTouched, type BlockRef, type Blocks, touchedForOrder } from './blocks.js';

interface SegmentedLruOptions {
  readonly entriesMax: number;
  readonly words: Blocks['words'];
  /** An entry has left, for whatever reason. */
  left(ref: BlockRef): void;
  /** The entry that leaves now does so for lack of room. */
  evicted(): void;
}

export class SegmentedLru {
  readonly #options: SegmentedLruOptions;
  readonly #protectedMax: number;
  readonly #probation: LRUCache<BlockRef, BlockRef>;
  readonly #protected: LRUCache<BlockRef, BlockRef>;

  constructor(options: SegmentedLruOptions) {
    this.#options = options;
    this.#protectedMax = Math.floor((options.entriesMax * protectedPercentMax) / 100);
    // Room is made here, never there. `max` would allocate for all entries at once: 2.8 MB for 100,000.
    const unbounded = { maxSize: Number.MAX_SAFE_INTEGER };
    this.#probation = new LRUCache(unbounded);
    this.#protected = new LRUCache(unbounded);
  }

  get size(): number {
    return this.#probation.size + this.#protected.size;
  }

  has(ref: BlockRef): boolean {
    return this.#probation.has(ref) || this.#protected.has(ref);
  }

  /** The entries in the order in which they would leave if none were hit again. */
  *oldestFirst(): Generator<BlockRef, void> {
    yield* this.#probation.rkeys();
    yield* this.#protected.rkeys();
  }

  /** Adds an entry, evicting another if there is no room. */
  add(ref: BlockRef): void {
    this.#makeRoom();
    this.#probation.set(ref, ref, oneEntry);
  }

  /** Adds an entry in the place of `old`, which the caller deletes next; a name that has been hit stays protected. */
  succeed(old: BlockRef, ref: BlockRef): void {
    if (!this.has(old)) return this.add(ref);
    if (this.#protected.has(old) || this.#isTouched(old)) this.#protect(ref);
    else this.#probation.set(ref, ref, oneEntry);
  }

  /** False if it is not here. */
  delete(ref: BlockRef): boolean {
    const isHere = this.#probation.delete(ref) || this.#protected.delete(ref);
    if (isHere) this.#options.left(ref);
    return isHere;
  }

  clear(): void {
    for (const ref of [...this.oldestFirst()]) this.delete(ref);
  }

  /** Takes all entries out for another store; nothing has left. Protected ones count as hit, so they are protected there. */
  takeAll(): BlockRef[] {
    const refs = [...this.oldestFirst()];
    for (const ref of this.#protected.keys()) this.#options.words[(ref + atTouched) >> 2] |= touchedForOrder;
    this.#probation.clear();
    this.#protected.clear();
    return refs;
  }

  /** Looks at a few entries only, however many were hit. */
  #makeRoom(): void {
    if (this.size < this.#options.entriesMax) return;
    for (let left = entriesSparedMax; ; left--) {
      const oldest = (this.#probation.pop() ?? this.#protected.pop()) as BlockRef;
      if (left === 0 || !this.#isTouched(oldest)) {
        this.#options.evicted();
        return this.#options.left(oldest);
      }
      this.#options.words[(oldest + atTouched) >> 2] &= ~touchedForOrder;
      this.#protect(oldest);
    }
  }

  /** Moves an entry to the young end of the protected ones; the oldest of these may go on probation again. */
  #protect(ref: BlockRef): void {
    this.#probation.delete(ref);
    this.#protected.set(ref, ref, oneEntry);
    if (this.#protected.size <= this.#protectedMax) return;
    const demoted = this.#protected.pop() as BlockRef;
    this.#probation.set(demoted, demoted, oneEntry);
  }

  #isTouched(ref: BlockRef): boolean {
    return (this.#options.words[(ref + atTouched) >> 2] & touchedForOrder) !== 0;
  }
}

/** An entry's size in an lru-cache bounded by size. */
const oneEntry = { size: 1 } as const;
