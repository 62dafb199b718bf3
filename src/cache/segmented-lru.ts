/**
 * Which entries of a store stay: a segmented LRU, two lru-caches in a row. A new entry is on probation; one that has been
 * hit by the time its turn to leave comes is protected. So a scan, many names asked once, evicts only what was asked once
 * (docs/decisions/scans-and-hot-names.md). Workers note hits in the blocks; they count when room is made.
 *
 *   new ──> probation ── not hit ──> evicted
 *             ^   └─ hit ──> protected ─┐
 *             └── protected is full ────┘
 *
 * A large store has several of these, each for a part of the hashes: V8 writes a Map of a million entries anew in 90 ms,
 * one of 16,384 in less than one (docs/decisions/scale.md).
 */
import { assert, entriesSparedMax, orderEntriesMax, protectedPercentMax } from '../limits.js';
import { atHash, atTouched, type BlockRef, type Blocks, touchedForOrder } from './blocks.js';
import { GrowingLru } from './growing-lru.js';

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
  readonly #ofParts: SegmentedLruOptions;
  /** A power of two of them. */
  #parts: readonly Segments[];
  #size = 0;

  constructor(options: SegmentedLruOptions) {
    this.#options = options;
    const parts = 2 ** Math.ceil(Math.log2(Math.max(1, options.entriesMax / orderEntriesMax)));
    const entriesMax = options.entriesMax / parts;
    const left = (ref: BlockRef): void => {
      this.#size--;
      options.left(ref);
    };
    this.#ofParts = { ...options, entriesMax, left };
    this.#parts = Array.from({ length: parts }, () => new Segments(this.#ofParts));
  }

  get size(): number {
    return this.#size;
  }

  get entriesMax(): number {
    return this.#options.entriesMax;
  }

  has(ref: BlockRef): boolean {
    return this.#partOf(ref).has(ref);
  }

  /** The entries part by part, each in the order in which they would leave if none were hit again. */
  *oldestFirst(): Generator<readonly BlockRef[], void> {
    for (const part of this.#parts) yield part.oldestFirst();
  }

  /** Adds an entry, evicting another of its part if the store is full: a part has as many as when the store became so. */
  add(ref: BlockRef): void {
    const part = this.#partOf(ref);
    if (this.#size >= this.#options.entriesMax) part.makeRoom();
    part.add(ref);
    this.#size++;
  }

  /** Adds an entry in the place of `old`, which the caller deletes next; a name that has been hit stays protected. */
  succeed(old: BlockRef, ref: BlockRef): void {
    if (!this.has(old)) return this.add(ref);
    this.#partOf(ref).succeed(old, ref);
    this.#size++;
  }

  /** False if it is not here. */
  delete(ref: BlockRef): boolean {
    return this.#partOf(ref).delete(ref);
  }

  /** Moves an entry of this store to another one. A protected one counts as hit, so it is protected there. */
  move(ref: BlockRef, to: SegmentedLru): void {
    this.#partOf(ref).takeOut(ref);
    this.#size--;
    to.add(ref);
  }

  /** Exchanges all entries with another store of the same capacity, in no time. */
  exchange(other: SegmentedLru): void {
    assert(this.entriesMax === other.entriesMax, 'stores that exchange their entries have one capacity');
    [this.#parts, other.#parts] = [other.#parts, this.#parts];
    [this.#size, other.#size] = [other.#size, this.#size];
    for (const one of [this, other]) for (const part of one.#parts) part.options = one.#ofParts;
  }

  /** By the high bits of the question's hash, since a chain has the low ones. A newer answer has the hash of the older one. */
  #partOf(ref: BlockRef): Segments {
    return this.#parts[(this.#options.words[(ref + atHash) >> 2] >>> 16) & (this.#parts.length - 1)];
  }
}

class Segments {
  readonly #protectedMax: number;
  readonly #probation: GrowingLru<BlockRef>;
  readonly #protected: GrowingLru<BlockRef>;

  /** Those of the store that has it. */
  constructor(public options: SegmentedLruOptions) {
    this.#protectedMax = Math.floor((options.entriesMax * protectedPercentMax) / 100);
    // Room is made here, never there.
    this.#probation = new GrowingLru(options.entriesMax);
    this.#protected = new GrowingLru(this.#protectedMax);
  }

  has(ref: BlockRef): boolean {
    return this.#probation.has(ref) || this.#protected.has(ref);
  }

  oldestFirst(): BlockRef[] {
    const refs: BlockRef[] = [];
    for (const segment of [this.#probation, this.#protected]) segment.oldestFirst((ref) => void refs.push(ref));
    return refs;
  }

  add(ref: BlockRef): void {
    this.#probation.add(ref);
  }

  succeed(old: BlockRef, ref: BlockRef): void {
    if (this.#protected.has(old) || this.#isTouched(old)) this.#protect(ref);
    else this.#probation.add(ref);
  }

  delete(ref: BlockRef): boolean {
    const isHere = this.#probation.delete(ref) || this.#protected.delete(ref);
    if (isHere) this.options.left(ref);
    return isHere;
  }

  takeOut(ref: BlockRef): void {
    if (this.#protected.delete(ref)) this.options.words[(ref + atTouched) >> 2] |= touchedForOrder;
    else assert(this.#probation.delete(ref), 'an entry is taken from the store that has it');
  }

  /** Looks at a few entries only, however many were hit. */
  makeRoom(): void {
    for (let left = entriesSparedMax; ; left--) {
      const oldest = this.#probation.pop() ?? this.#protected.pop();
      if (oldest === undefined) return;
      if (left === 0 || !this.#isTouched(oldest)) {
        this.options.evicted();
        return this.options.left(oldest);
      }
      this.options.words[(oldest + atTouched) >> 2] &= ~touchedForOrder;
      this.#protect(oldest);
    }
  }

  /** Moves an entry to the young end of the protected ones; the oldest of these may go on probation again. */
  #protect(ref: BlockRef): void {
    this.#probation.delete(ref);
    this.#protected.add(ref);
    if (this.#protected.size <= this.#protectedMax) return;
    const demoted = this.#protected.pop() as BlockRef;
    this.#probation.add(demoted);
  }

  #isTouched(ref: BlockRef): boolean {
    return (this.options.words[(ref + atTouched) >> 2] & touchedForOrder) !== 0;
  }
}
