/**
 * How often a question may be put again to an upstream that already has it: a share of all questions, saved up to a
 * burst. A lost packet or a dead connection is mended with it; an upstream that is slow because it has too much to
 * do does not get twice as much.
 */
import { askAgainBurst, askAgainShare } from '../limits.js';

export class AgainBudget {
  #saved = askAgainBurst;

  /** A question was asked for the first time. */
  asked(): void {
    this.#saved = Math.min(askAgainBurst, this.#saved + askAgainShare);
  }

  /** Whether one may be put again; it is then paid for. */
  spend(): boolean {
    if (this.#saved < 1) return false;
    this.#saved--;
    return true;
  }
}
