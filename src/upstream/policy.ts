/**
 * Which upstream of a `forward` is asked next: `random`, `round_robin` or `sequential` among those that may be asked.
 * Upstreams are bits of a number, the first the lowest, as a `forward` has no more than fifteen. Pure but for the
 * random number.
 */
import type { Random } from '../os/random.js';

export type Policy = 'random' | 'round_robin' | 'sequential';

interface Candidates {
  /** A bit for each upstream that may be asked. */
  readonly bits: number;
  /** How many upstreams there are. */
  readonly count: number;
  /** Where round_robin begins to look: the number of the question. */
  readonly start: number;
}

/** The index of the upstream to ask, or -1 when none may be asked. */
export function choose(policy: Policy, { bits, count, start }: Candidates, random: Random): number {
  if (bits === 0) return -1;
  if (policy === 'random') return indexOfBit(bits, random.below(bitsIn(bits)));
  const first = policy === 'sequential' ? 0 : start % count;
  for (let step = 0; step < count; step++) {
    const index = (first + step) % count;
    if ((bits & (1 << index)) !== 0) return index;
  }
  return -1;
}

function bitsIn(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count++;
  return count;
}

/** The index of the set bit that has `before` set bits below it. */
function indexOfBit(bits: number, before: number): number {
  let left = bits;
  for (let skipped = 0; skipped < before; skipped++) left &= left - 1;
  return 31 - Math.clz32(left & -left);
}
