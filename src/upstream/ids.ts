/**
 * The query ids of one connection: drawn at random (RFC 5452 9.2), never one that is in flight, and never one whose
 * request was given up so recently that the late answer may still come and be taken for another's.
 */
import { idQuarantineMs, quarantinedIdsMax } from '../limits.js';
import type { Random } from '../os/random.js';

const idsCount = 65_536;

export class Ids {
  readonly #random: Random;
  /** Id to the time until which it rests, in the order of these times. */
  readonly #resting = new Map<number, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** An id that neither rests nor is in use. */
  take(isInUse: (id: number) => boolean, nowMs: number): number {
    this.#wake(nowMs);
    for (;;) {
      const id = this.#random.below(idsCount);
      if (!isInUse(id) && !this.#resting.has(id)) return id;
    }
  }

  /** The request with this id was given up after it had been sent. */
  rest(id: number, nowMs: number): void {
    this.#resting.set(id, nowMs + idQuarantineMs);
  }

  /** Whether so many rest that the connection had better be replaced. */
  isExhausted(nowMs: number): boolean {
    if (this.#resting.size < quarantinedIdsMax) return false;
    this.#wake(nowMs);
    return this.#resting.size >= quarantinedIdsMax;
  }

  #wake(nowMs: number): void {
    for (const [id, untilMs] of this.#resting) {
      if (untilMs > nowMs) return;
      this.#resting.delete(id);
    }
  }
}
