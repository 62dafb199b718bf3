/**
 * A thread's own dice for the order of addresses: xorshift with 32 bits of state, a nanosecond a draw. It spreads load
 * and hides nothing; what must be unpredictable comes from os/random.ts, which also gives the seed.
 */

/** What a seed of nothing but zeros becomes: the generator would stay at 0 for ever. */
const neverZero = 0x9e37_79b9;

export class Prng {
  #state: number;

  /** Seeds that lie close together give dice that have nothing in common. */
  constructor(seed: number) {
    const mixed = Math.imul(seed ^ (seed >>> 16), neverZero);
    this.#state = (mixed ^ (mixed >>> 15)) | 0 || neverZero;
  }

  /** A whole number from 0 up to and without `below`, which is at most 2^16. */
  below(below: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  }
}
