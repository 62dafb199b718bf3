/**
 * Memory for blocks, used by the main thread alone: slabs of 256 kB, each cut into blocks of one size class. A released
 * block that was published returns to its free list when every worker has finished the batch in which it may have seen
 * it. Without free blocks and untouched slabs, a slab of another class is emptied, so changing queries never leave the
 * memory in the wrong classes. Large blocks have a bounded share and beyond it only evict each other.
 */
import { assert, blockBytesMax, largeBlocksShare, slabBytes, slabsLookedAtMax, smallBlockBytesMax } from '../limits.js';
import {
  atSizeClass,
  atState,
  atTouched,
  type BlockRef,
  type Blocks,
  firstBlockByte,
  touchedForSlab,
} from './blocks.js';
import { Epochs } from './epochs.js';

const stateFree = 0;
const stateUsed = 1;

/** Four sizes per doubling, so at most a fifth of a block is unused. */
export const sizesBytes: readonly number[] = (() => {
  const sizes: number[] = [];
  for (let size = 128; sizes.length === 0 || sizes[sizes.length - 1] < blockBytesMax; size *= 2) {
    for (let quarter = 4; quarter < 8; quarter++) {
      if (sizes.length === 0 || sizes[sizes.length - 1] < blockBytesMax) sizes.push((size / 4) * quarter);
    }
  }
  return sizes;
})();

function isLarge(sizeClass: number): boolean {
  return sizesBytes[sizeClass] > smallBlockBytesMax;
}

function slabOf(ref: BlockRef): number {
  return Math.floor((ref - firstBlockByte) / slabBytes);
}

export class Allocator {
  readonly #blocks: Blocks;
  readonly #free: BlockRef[][] = sizesBytes.map(() => []);
  readonly #slabs: number[] = [];
  readonly #slabsMax: number;
  readonly #largeSlabsMax: number;
  /** Unpublished since epoch `#retiringSince`; each was an entry's block, so their number is bounded. */
  #retiring: BlockRef[] = [];
  #retiringSince = 0;
  /** Unpublished since then. */
  #retired: BlockRef[] = [];
  #nextVictim = 0;
  #usedBytes = 0;

  constructor(
    blocks: Blocks,
    bytesMax: number = blocks.bytesMax,
    readonly epochs: Epochs = new Epochs(),
  ) {
    assert(bytesMax <= blocks.bytesMax, 'the slabs are in the memory');
    this.#blocks = blocks;
    this.#slabsMax = Math.floor(bytesMax / slabBytes);
    this.#largeSlabsMax = Math.max(1, Math.floor(this.#slabsMax * largeBlocksShare));
  }

  /** Bytes of all blocks in use, with their padding. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Allocates at least `bytes`, at most blockBytesMax; 0 without memory. May empty a slab first: `evict` is called for
   * each of its blocks and releases it; a slab with a block that stays is kept.
   */
  allocate(bytes: number, evict: (ref: BlockRef) => void): BlockRef {
    const sizeClass = sizesBytes.findIndex((size) => size >= bytes);
    if (sizeClass < 0) return 0;
    const free = this.#free[sizeClass];
    if (free.length === 0) this.#reclaim();
    if (free.length === 0 && !this.#addSlab(sizeClass)) this.#convertSlab(sizeClass, evict);
    const ref = free.pop();
    if (ref === undefined) return 0;
    assert(this.#slabs[slabOf(ref)] === sizeClass, 'a free block has the size of its slab');
    assert(this.#blocks.bytes[ref + atState] === stateFree, 'a free block is in use nowhere');
    this.#blocks.bytes[ref + atSizeClass] = sizeClass;
    this.#blocks.bytes[ref + atState] = stateUsed;
    this.#usedBytes += sizesBytes[sizeClass];
    return ref;
  }

  release(ref: BlockRef): void {
    this.#notUsed(ref);
    this.#free[this.#blocks.bytes[ref + atSizeClass]].push(ref);
  }

  /** Frees a published block once workers cannot be reading it. */
  retire(ref: BlockRef): void {
    this.#notUsed(ref);
    this.#retired.push(ref);
  }

  #notUsed(ref: BlockRef): void {
    assert(this.#blocks.bytes[ref + atState] === stateUsed, 'a block is released once');
    assert(this.#slabs[slabOf(ref)] === this.#blocks.bytes[ref + atSizeClass], 'a block has the size of its slab');
    this.#blocks.bytes[ref + atState] = stateFree;
    this.#usedBytes -= sizesBytes[this.#blocks.bytes[ref + atSizeClass]];
  }

  #reclaim(): void {
    if (this.#retiring.length > 0) {
      if (!this.epochs.passed(this.#retiringSince)) return;
      this.#freeRetiring();
    }
    if (this.#retired.length === 0) return;
    [this.#retiring, this.#retired] = [this.#retired, this.#retiring];
    this.#retiringSince = this.epochs.advance();
    if (this.epochs.passed(this.#retiringSince)) this.#freeRetiring();
  }

  /** Frees all of them, waiting a little; false when a worker stayed in its batch. */
  #reclaimAll(): boolean {
    const epoch = this.epochs.advance();
    if (!this.epochs.awaitPassed(epoch)) return false;
    this.#freeRetiring();
    [this.#retiring, this.#retired] = [this.#retired, this.#retiring];
    this.#freeRetiring();
    return true;
  }

  #freeRetiring(): void {
    for (const ref of this.#retiring) this.#free[this.#blocks.bytes[ref + atSizeClass]].push(ref);
    this.#retiring.length = 0;
  }

  #addSlab(sizeClass: number): boolean {
    if (this.#slabs.length >= this.#slabsMax || this.#isShareTaken(sizeClass)) return false;
    this.#slabs.push(sizeClass);
    this.#cut(this.#slabs.length - 1, sizeClass);
    return true;
  }

  /** Whether large blocks, which this size belongs to, have used up their share. */
  #isShareTaken(sizeClass: number): boolean {
    return isLarge(sizeClass) && this.#slabs.filter(isLarge).length >= this.#largeSlabsMax;
  }

  /** Empties the least used of the next slabs and cuts it anew. */
  #convertSlab(sizeClass: number, evict: (ref: BlockRef) => void): void {
    const { slab, next } = this.#leastTouched(this.#isShareTaken(sizeClass));
    if (slab < 0) return;
    const from = firstBlockByte + slab * slabBytes;
    const oldSize = sizesBytes[this.#slabs[slab]];
    let isHeld = false;
    for (let ref = from; ref + oldSize <= from + slabBytes; ref += oldSize) {
      if (this.#blocks.bytes[ref + atState] !== stateUsed) continue;
      evict(ref);
      if (this.#blocks.bytes[ref + atState] === stateUsed) isHeld = true;
    }
    this.#nextVictim = isHeld ? next : slab;
    // A worker that stays in its batch keeps this slab; the next call tries again.
    if (isHeld || !this.#reclaimAll()) return;
    this.#nextVictim = next;
    const list = this.#free[this.#slabs[slab]];
    const kept = list.filter((ref) => ref < from || ref >= from + slabBytes);
    list.length = 0;
    for (const ref of kept) list.push(ref);
    this.#slabs[slab] = sizeClass;
    this.#cut(slab, sizeClass);
    // Old headers must not look like blocks in use.
    const size = sizesBytes[sizeClass];
    for (let ref = from; ref + size <= from + slabBytes; ref += size) this.#blocks.bytes[ref + atState] = stateFree;
  }

  /**
   * Of the next slabs, or those with large blocks, the least used since its last look (-1: none); and the one after.
   */
  #leastTouched(onlyLarge: boolean): { slab: number; next: number } {
    const { length } = this.#slabs;
    let slab = -1;
    let next = this.#nextVictim;
    let least = Number.POSITIVE_INFINITY;
    let left = slabsLookedAtMax;
    for (let step = 0; step < length && left > 0 && least > 0; step++) {
      const one = (this.#nextVictim + step) % length;
      next = one + 1;
      if (onlyLarge && !isLarge(this.#slabs[one])) continue;
      const touched = this.#takeTouched(one);
      if (touched < least) slab = one;
      least = Math.min(least, touched);
      left--;
    }
    return { slab, next };
  }

  #takeTouched(slab: number): number {
    const { bytes, words } = this.#blocks;
    const from = firstBlockByte + slab * slabBytes;
    const size = sizesBytes[this.#slabs[slab]];
    let count = 0;
    for (let ref = from; ref + size <= from + slabBytes; ref += size) {
      const touched = (ref + atTouched) >> 2;
      if (bytes[ref + atState] !== stateUsed || (words[touched] & touchedForSlab) === 0) continue;
      words[touched] &= ~touchedForSlab;
      count++;
    }
    return count;
  }

  #cut(slab: number, sizeClass: number): void {
    const size = sizesBytes[sizeClass];
    const from = firstBlockByte + slab * slabBytes;
    // Pushed from the end, so that blocks are used from the slab's start and untouched pages stay untouched.
    for (let index = Math.floor(slabBytes / size) - 1; index >= 0; index--) {
      this.#free[sizeClass].push(from + index * size);
    }
  }
}
