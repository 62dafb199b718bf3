/**
 * How often a question may be put again to an upstream while somebody still owes its answer: a share of the questions
 * of the last ten seconds. A lost packet or a dead connection is mended with it; an upstream that is slow because it
 * has too much to do does not get twice as much. Where so little is asked that the share is next to nothing, what one
 * dead connection can hold is allowed.
 */
import { askAgainLeast, askAgainShare, askAgainWindowMs } from '../limits.js';

/** The window moves by steps. Repetitions are counted one step longer than questions, so the share holds between steps. */
const steps = 20;
const stepMs = askAgainWindowMs / steps;
const places = steps + 1;

export class AgainBudget {
  readonly #asked = new Uint32Array(places);
  readonly #again = new Uint32Array(places);
  #askedInWindow = 0;
  #againInWindow = 0;
  #step = 0;

  /** A question was asked for the first time. */
  asked(nowMs: number): void {
    this.#moveTo(nowMs);
    this.#asked[this.#step % places]++;
    this.#askedInWindow++;
  }

  /** Whether one may be put again; it is then paid for. */
  spend(nowMs: number): boolean {
    this.#moveTo(nowMs);
    // The oldest step is half outside of the window.
    const asked = this.#askedInWindow - this.#asked[(this.#step + 1) % places];
    if (this.#againInWindow + 1 > Math.max(askAgainLeast, asked * askAgainShare)) return false;
    this.#again[this.#step % places]++;
    this.#againInWindow++;
    return true;
  }

  /** Forgets what is older than the window. */
  #moveTo(nowMs: number): void {
    const step = Math.floor(nowMs / stepMs);
    if (step - this.#step > places) this.#step = step - places;
    while (this.#step < step) {
      this.#step++;
      const place = this.#step % places;
      this.#askedInWindow -= this.#asked[place];
      this.#againInWindow -= this.#again[place];
      this.#asked[place] = 0;
      this.#again[place] = 0;
    }
  }
}
