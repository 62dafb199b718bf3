/**
 * Repeatable randomness for simulations: the same seed gives the same run. The generator is mulberry32, which is
 * good enough to shuffle faults and far too predictable for anything else.
 */
import type { Random } from '../../src/os/random.js';

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

/** The seeds of a simulation: 1 to `count`, or the one that SEED in the environment names. */
export function simulationSeeds(count: number): number[] {
  const named = process.env['SEED'];
  return named === undefined ? Array.from({ length: count }, (_, index) => index + 1) : [Number(named)];
}

/** Runs a simulation; what it throws says how to repeat it. */
export async function withSeed(seed: number, run: (random: Random) => Promise<void>): Promise<void> {
  try {
    await run(seededRandom(seed));
  } catch (error) {
    throw new Error(`seed ${seed} (repeat with SEED=${seed}): ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

/** True in `share` of the calls; draws nothing for 0, so that an unused fault does not change the run. */
export function chance(random: Random, share: number): boolean {
  return share > 0 && random.below(1_000_000) < share * 1_000_000;
}
