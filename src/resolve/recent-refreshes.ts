/**
 * Which refreshes a thread has asked the control lane for a moment ago: a name that everybody asks for is due with
 * every hit until its new answer is there, and one request for that is enough. Forgetful: two blocks may share a
 * place, and then more is asked for than need be.
 */
import type { BlockRef } from '../cache/blocks.js';
import { refreshAgainMs, refreshesRemembered } from '../limits.js';

export class RecentRefreshes {
  readonly #blocks = new Int32Array(refreshesRemembered);
  readonly #askedAtMs = new Float64Array(refreshesRemembered);

  /** Whether the refresh of this block has not been asked for just now; from now on it has been. */
  isNew(block: BlockRef, nowMs: number): boolean {
    // Blocks are at least 128 bytes; the places of neighbours differ.
    const place = (block >> 7) % refreshesRemembered;
    if (this.#blocks[place] === block && nowMs - this.#askedAtMs[place] < refreshAgainMs) return false;
    this.#blocks[place] = block;
    this.#askedAtMs[place] = nowMs;
    return true;
  }
}
