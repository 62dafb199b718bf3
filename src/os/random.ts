/**
 * Randomness, injected so that a simulation repeats itself from a seed. What leaves this file for the wire (query
 * ids, source ports, hash seeds) is unpredictable: it comes from the kernel's generator.
 */
import { randomFillSync } from 'node:crypto';

export interface Random {
  /** An unpredictable whole number from 0 up to and without `below`, which is at most 2^32. */
  below(below: number): number;
}

const poolWords = 256;

/** The kernel's generator, read in blocks because one system call a query id would cost more than the id. */
export function systemRandom(): Random {
  const pool = new Uint32Array(poolWords);
  let next = poolWords;
  function word(): number {
    if (next === poolWords) {
      randomFillSync(pool);
      next = 0;
    }
    return pool[next++];
  }
  return {
    // The bias of scaling 32 bits to a range is below range/2^32 and tells a guesser nothing.
    below: (below) => Math.floor((word() / 2 ** 32) * below),
  };
}
