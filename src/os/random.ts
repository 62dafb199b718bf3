/** Randomness of the kernel: query ids, ports and hash seeds are unpredictable. Injected, so simulations repeat. */
import { randomFillSync } from 'node:crypto';
import { pooledRandom } from './kernel-random.js';

export interface Random {
  /** An integer from 0 to `below` - 1; `below` is at most 2^32. */
  below(below: number): number;
}

const poolWords = 256;

export function systemRandom(): Random {
  return pooledRandom(new Uint32Array(poolWords), randomFillSync);
}
