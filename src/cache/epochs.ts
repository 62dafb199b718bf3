/**
 * Decides when memory that workers read without locks may be reused. Readers mark the beginning and end of a batch; the
 * writer asks whether every reader has been outside a batch since it unpublished blocks. A worker that waits for
 * packets is outside. Only the writer, the main thread, ever waits.
 *
 *   words: | … | epoch | … | reader 0: the epoch in which its batch began, or 0 outside | … | reader 1 | …
 */
import { readersPausesMax, workersMax } from '../limits.js';

/** A cache line apart, so that readers do not slow each other, and one from what lies beside the memory. */
const wordsApart = 16;
const epochWord = wordsApart;
const pauseMs = 0.05;

export class Epochs {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #neverWoken = new Int32Array(new SharedArrayBuffer(4));

  /** Shares the memory of another thread's `Epochs`, or allocates it. */
  constructor(memory = new SharedArrayBuffer((workersMax + 3) * wordsApart * 4)) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
    Atomics.compareExchange(this.#words, epochWord, 0, 1);
  }

  /** Reader `reader`, below workersMax, begins to read blocks. */
  enter(reader: number): void {
    Atomics.store(this.#words, markOf(reader), Atomics.load(this.#words, epochWord));
  }

  /** The reader holds no block; also called for a dead worker. */
  leave(reader: number): void {
    Atomics.store(this.#words, markOf(reader), 0);
  }

  /** Ends the epoch in which the writer has unpublished blocks; its number. */
  advance(): number {
    const epoch = this.#words[epochWord];
    // 0 means outside. Numbers may overflow: no batch lasts 2^31 epochs.
    Atomics.store(this.#words, epochWord, epoch === -1 ? 1 : (epoch + 1) | 0);
    return epoch;
  }

  /** Whether every reader has been outside a batch since this epoch ended. */
  passed(epoch: number): boolean {
    for (let reader = 0; reader < workersMax; reader++) {
      const since = Atomics.load(this.#words, markOf(reader));
      if (since !== 0 && ((since - epoch) | 0) <= 0) return false;
    }
    return true;
  }

  /** Waits for that, a few batches' time at most; a batch takes about 30 µs. */
  awaitPassed(epoch: number): boolean {
    for (let pauses = 0; !this.passed(epoch); pauses++) {
      if (pauses === readersPausesMax) return false;
      Atomics.wait(this.#neverWoken, 0, 0, pauseMs);
    }
    return true;
  }
}

function markOf(reader: number): number {
  return epochWord + (reader + 1) * wordsApart;
}
