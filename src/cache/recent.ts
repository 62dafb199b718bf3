/**
 * The answers that a thread has had lately, in memory of its own: one ring of blocks, in which a new one overwrites the
 * oldest, and the index that finds them. For answers that are not in the shared cache yet.
 */
import type { HashKey } from '../dns/hash.js';
import { recentAnswersBytes, recentAnswersMax } from '../limits.js';
import { type BlockRef, Blocks, blockBytesOf, cacheMemory, firstBlockByte, type Keep } from './blocks.js';

export class RecentAnswers {
  readonly blocks: Blocks;
  readonly #endByte: number;
  #nextByte = firstBlockByte;
  /** The blocks in the ring from the oldest on, and whether they are published. */
  readonly #refs = new Int32Array(recentAnswersMax);
  readonly #published = new Uint8Array(recentAnswersMax);
  #oldest = 0;
  #count = 0;

  constructor(hashKey: HashKey, bytes = recentAnswersBytes) {
    this.blocks = new Blocks(cacheMemory(bytes), hashKey);
    this.#endByte = firstBlockByte + bytes;
  }

  get size(): number {
    return this.#count;
  }

  /** Writes the answer, to be found by its question; 0 when it is too long for the ring. */
  keep(answer: Keep, nowMs: number): BlockRef {
    const ref = this.#write(answer, nowMs, 1);
    if (ref !== 0) this.blocks.publish(ref);
    return ref;
  }

  /** Writes the answer for now: it is not found, and gone after the next ones. */
  lend(answer: Keep, nowMs: number): BlockRef {
    return this.#write(answer, nowMs, 0);
  }

  #write(answer: Keep, nowMs: number, isPublished: 0 | 1): BlockRef {
    // Marks are doubles.
    const bytes = (blockBytesOf(answer) + 7) & ~7;
    if (bytes > this.#endByte - firstBlockByte) return 0;
    if (this.#nextByte + bytes > this.#endByte) {
      this.#forgetUpTo(this.#endByte);
      this.#nextByte = firstBlockByte;
    }
    const ref = this.#nextByte;
    this.#forgetUpTo(ref + bytes);
    if (this.#count === recentAnswersMax) this.#forgetOldest();
    this.#nextByte = ref + bytes;
    this.blocks.write(ref, answer, nowMs, this.blocks.hashOf(answer));
    const place = (this.#oldest + this.#count++) % recentAnswersMax;
    this.#refs[place] = ref;
    this.#published[place] = isPublished;
    return ref;
  }

  /** Forgets the oldest ones as long as they lie between the next byte and this one. */
  #forgetUpTo(endByte: number): void {
    while (this.#count > 0) {
      const ref = this.#refs[this.#oldest];
      if (ref < this.#nextByte || ref >= endByte) return;
      this.#forgetOldest();
    }
  }

  #forgetOldest(): void {
    if (this.#published[this.#oldest] === 1) this.blocks.unpublish(this.#refs[this.#oldest]);
    this.#oldest = (this.#oldest + 1) % recentAnswersMax;
    this.#count--;
  }

  /** Forgets all: they were made under settings that no longer hold. */
  clear(): void {
    while (this.#count > 0) this.#forgetOldest();
    this.#nextByte = firstBlockByte;
  }
}
