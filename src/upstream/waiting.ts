/**
 * Attempts that wait for a free place on a connection or for a socket: first come, first served, and bounded. One that
 * is given up is passed over when its turn comes, so giving up costs nothing.
 */
import { upstreamQueueMax } from '../limits.js';
import type { Attempt, Carrier } from './attempt.js';

export class Waiting implements Carrier {
  readonly waitsFor = 'answer';
  #attempts: Attempt[] = [];
  /** Those before it have been taken. */
  #first = 0;
  #live = 0;

  get size(): number {
    return this.#live;
  }

  /** False when the queue is full. */
  push(attempt: Attempt): boolean {
    if (this.#live >= upstreamQueueMax) return false;
    if (this.#attempts.length >= 2 * upstreamQueueMax) this.#compact();
    this.#attempts.push(attempt);
    this.#live++;
    attempt.carrier = this;
    return true;
  }

  /** The one that has waited longest, held by nobody now; null when none waits. */
  take(): Attempt | null {
    while (this.#first < this.#attempts.length) {
      const attempt = this.#attempts[this.#first++];
      if (attempt.carrier !== this) continue;
      attempt.carrier = null;
      this.#live--;
      if (this.#live === 0) this.#clear();
      return attempt;
    }
    this.#clear();
    return null;
  }

  abandon(attempt: Attempt): void {
    attempt.carrier = null;
    this.#live--;
    if (this.#live === 0) this.#clear();
  }

  #clear(): void {
    this.#attempts = [];
    this.#first = 0;
  }

  #compact(): void {
    this.#attempts = this.#attempts.filter((attempt, index) => index >= this.#first && attempt.carrier === this);
    this.#first = 0;
  }
}
