/**
 * Repeatable randomness for simulations: the same seed gives the same run. The generator is mulberry32, which is
 * good enough to shuffle faults and far too predictable for anything else.
 */
import type { Random } from '../../src/outside/random.js';

/** A `Random` whose numbers depend on `seed` alone; seeds are taken modulo 2^32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    below(below) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
    },
  };
}

/** True in `share` of the calls; draws nothing for 0, so that an unused fault does not change the run. */
export function chance(random: Random, share: number): boolean {
  return share > 0 && random.below(1_000_000) < share * 1_000_000;
}
