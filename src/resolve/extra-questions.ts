/**
 * How many questions nobody has asked may go upstream: a share of the misses of clients, with a burst for the beginning
 * and a bound for each second. So an upstream never gets more than a quarter on top of what clients make of it.
 */
import { extraQuestionsBurst, extraQuestionsShare } from '../limits.js';

export class ExtraQuestions {
  #left: number;
  #second = 0;
  #inSecond = 0;
  readonly #perSecondMax: number;
  readonly #burst: number;

  constructor(perSecondMax: number, burst = extraQuestionsBurst) {
    this.#perSecondMax = perSecondMax;
    this.#burst = burst;
    this.#left = burst;
  }

  /** A client's query has missed. */
  missed(): void {
    this.earn(extraQuestionsShare);
  }

  /** Gives back, for a question that took the place of a client's. */
  earn(questions: number): void {
    this.#left = Math.min(this.#burst, this.#left + questions);
  }

  /** Takes one; false when there is none. */
  spend(nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) this.#inSecond = 0;
    this.#second = second;
    if (this.#left < 1 || this.#inSecond >= this.#perSecondMax) return false;
    this.#left--;
    this.#inSecond++;
    return true;
  }
}
