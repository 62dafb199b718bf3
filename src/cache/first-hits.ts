/**
 * Blocks that were hit for the first time, from all threads that answer to the one that wants to know: a circle in shared
 * memory. What comes too fast is lost, and the reader hears that something is.
 *
 *   words: | added | block … |
 */
import { firstHitsMax } from '../limits.js';
import type { BlockRef } from './blocks.js';

export class FirstHits {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  #read = 0;

  /** Shares the memory of another thread, or allocates it. */
  constructor(memory = new SharedArrayBuffer((firstHitsMax + 1) * 4)) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
  }

  add(ref: BlockRef): void {
    const number = Atomics.add(this.#words, 0, 1);
    Atomics.store(this.#words, 1 + (number & (firstHitsMax - 1)), ref);
  }

  /**
   * Calls `take` with each block since the last time, which may be gone meanwhile, or come twice; false when one was lost,
   * because too many came or another thread is just adding it.
   */
  takeAll(take: (ref: BlockRef) => void): boolean {
    const added = Atomics.load(this.#words, 0);
    const count = (added - this.#read) | 0;
    let isAll = count >= 0 && count <= firstHitsMax;
    for (let number = isAll ? this.#read : (added - firstHitsMax) | 0; number !== added; number = (number + 1) | 0) {
      const ref = Atomics.exchange(this.#words, 1 + (number & (firstHitsMax - 1)), 0);
      if (ref === 0) isAll = false;
      else take(ref);
    }
    this.#read = added;
    return isAll;
  }
}
