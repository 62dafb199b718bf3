/**
 * Memory for blocks: slabs of 256 kB, each cut into blocks of one size. Used by the control lane alone. A block that
 * is let go returns to its size's free list, if it was published not before every answering thread has passed the
 * end of a batch; when a size has none left and no slab is untouched, a slab of another size is taken back whole, so
 * a change in what clients ask never leaves the memory in the wrong sizes. Large blocks have a part of the memory at
 * most, and take slabs from each other beyond it: a client that asks for large answers throws out large answers.
 */
import {
  blockBytesMax,
  cacheBytesMax,
  largeBlocksShare,
  slabBytes,
  slabsLookedAtMax,
  smallBlockBytesMax,
} from '../limits.js';
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

/** Block sizes: four to a doubling, so at most a fifth of a block is unused. */
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

export class Allocator {
  readonly #blocks: Blocks;
  readonly #free: BlockRef[][] = sizesBytes.map(() => []);
  /** Size class of each slab in use. */
  readonly #slabs: number[] = [];
  readonly #slabsMax: number;
  readonly #largeSlabsMax: number;
  /** Out of sight since the epoch `#retiringSince`; each is an entry's block, so there are at most as many. */
  #retiring: BlockRef[] = [];
  #retiringSince = 0;
  /** Out of sight since then. */
  #retired: BlockRef[] = [];
  #nextVictim = 0;
  #usedBytes = 0;

  constructor(
    blocks: Blocks,
    bytesMax: number = cacheBytesMax,
    readonly epochs: Epochs = new Epochs(),
  ) {
    this.#blocks = blocks;
    this.#slabsMax = Math.floor(bytesMax / slabBytes);
    this.#largeSlabsMax = Math.max(1, Math.floor(this.#slabsMax * largeBlocksShare));
  }

  /** Bytes of all blocks in use, their unused ends included. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * A block of at least `bytes`, which is at most blockBytesMax. When memory is short a slab is emptied first:
   * `evict` is called for each block in use there and releases it; a slab with a block that it cannot release stays.
   * Returns 0 when nothing could be had.
   */
  allocate(bytes: number, evict: (ref: BlockRef) => void): BlockRef {
    const sizeClass = sizesBytes.findIndex((size) => size >= bytes);
    if (sizeClass < 0) return 0;
    const free = this.#free[sizeClass];
    if (free.length === 0) this.#reclaim();
    if (free.length === 0 && !this.#addSlab(sizeClass)) this.#convertSlab(sizeClass, evict);
    const ref = free.pop();
    if (ref === undefined) return 0;
    this.#blocks.bytes[ref + atSizeClass] = sizeClass;
    this.#blocks.bytes[ref + atState] = stateUsed;
    this.#usedBytes += sizesBytes[sizeClass];
    return ref;
  }

  /** Takes back a block that nobody else has seen. */
  release(ref: BlockRef): void {
    this.#notUsed(ref);
    this.#free[this.#blocks.bytes[ref + atSizeClass]].push(ref);
  }

  /** Takes back a block that was published and is no more: threads may still be reading it. */
  retire(ref: BlockRef): void {
    this.#notUsed(ref);
    this.#retired.push(ref);
  }

  #notUsed(ref: BlockRef): void {
    this.#blocks.bytes[ref + atState] = stateFree;
    this.#usedBytes -= sizesBytes[this.#blocks.bytes[ref + atSizeClass]];
  }

  /** Frees what no thread can be reading any more. */
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

  /** The same for all of them, waiting for the threads a little; false when one has been in its batch all the time. */
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

  /** Whether blocks of this size get no slab but one that large blocks have already. */
  #isShareTaken(sizeClass: number): boolean {
    return isLarge(sizeClass) && this.#slabs.filter(isLarge).length >= this.#largeSlabsMax;
  }

  /** Takes the slab of those next in turn that is used least, and cuts it anew. */
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
    // A thread that does not get on keeps this slab: the next call tries it again.
    if (isHeld || !this.#reclaimAll()) return;
    this.#nextVictim = next;
    const list = this.#free[this.#slabs[slab]];
    const kept = list.filter((ref) => ref < from || ref >= from + slabBytes);
    list.length = 0;
    for (const ref of kept) list.push(ref);
    this.#slabs[slab] = sizeClass;
    this.#cut(slab, sizeClass);
    // What the old blocks left here must not be taken for a block in use.
    const size = sizesBytes[sizeClass];
    for (let ref = from; ref + size <= from + slabBytes; ref += size) this.#blocks.bytes[ref + atState] = stateFree;
  }

  /**
   * Of the next slabs in turn, or of those with large blocks, the one of whose blocks the fewest were used since it was
   * last looked at; and the slab after all that were looked at. -1: there is none.
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

  /** How many of a slab's blocks were used since this was last asked. */
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
