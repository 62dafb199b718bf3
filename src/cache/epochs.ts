/**
 * When memory that threads read without locks may be used again. A reader says when it begins and when it is done
 * with a batch; the writer, having taken blocks out of sight, asks whether every reader has been outside of a batch
 * since. One that waits for packets is outside. Nobody waits for a lock; only the writer, which is the control lane,
 * ever waits at all.
 *
 *   words: | epoch | … | reader 0: the epoch in which its batch began, or 0 outside | … | reader 1 | …
 */
import { readersPausesMax, workersMax } from '../limits.js';

/** Readers' words are a cache line apart, so that they do not slow each other. */
const wordsApart = 16;
const pauseMs = 0.05;

export class Epochs {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #neverWoken = new Int32Array(new SharedArrayBuffer(4));

  /** Without memory of another thread's `Epochs` it makes its own. */
  constructor(memory = new SharedArrayBuffer((workersMax + 1) * wordsApart * 4)) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
    Atomics.compareExchange(this.#words, 0, 0, 1);
  }

  /** Reader `reader`, below workersMax, is going to look at blocks. */
  enter(reader: number): void {
    Atomics.store(this.#words, (reader + 1) * wordsApart, Atomics.load(this.#words, 0));
  }

  /** It keeps no reference to any block. Also said for a reader that has died. */
  leave(reader: number): void {
    Atomics.store(this.#words, (reader + 1) * wordsApart, 0);
  }

  /** Ends the epoch in which the writer has just taken blocks out of sight, and returns it. */
  advance(): number {
    const epoch = this.#words[0];
    // 0 means outside. The numbers may run over: no batch lasts for 2^31 epochs.
    Atomics.store(this.#words, 0, epoch === -1 ? 1 : (epoch + 1) | 0);
    return epoch;
  }

  /** Whether every reader has been outside of a batch since this epoch was ended. */
  passed(epoch: number): boolean {
    for (let reader = 1; reader <= workersMax; reader++) {
      const since = Atomics.load(this.#words, reader * wordsApart);
      if (since !== 0 && ((since - epoch) | 0) <= 0) return false;
    }
    return true;
  }

  /** Waits until that is so, for a few batches' time at most. A batch takes some 30 µs. */
  awaitPassed(epoch: number): boolean {
    for (let pauses = 0; !this.passed(epoch); pauses++) {
      if (pauses === readersPausesMax) return false;
      Atomics.wait(this.#neverWoken, 0, 0, pauseMs);
    }
    return true;
  }
}
