/** Randomness of the kernel: query ids, ports and hash seeds are unpredictable. Injected, so simulations repeat. */
import { randomFillSync } from 'node:crypto';

export interface Random {
  /** An integer from 0 to `below` - 1; `below` is at most 2^32. */
  below(below: number): number;
}

const poolWords = 256;

/** Reads blocks, because a system call per query id would cost more than the id. */
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
    // Scaling 32 bits has a bias below range/2^32, which does not help a guesser.
    below: (below) => Math.floor((word() / 2 ** 32) * below),
  };
}
