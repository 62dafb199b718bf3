/** Randomness for threads that do without node:crypto, which would take them a megabyte: the kernel's, by getrandom(2). */
import type { SystemCalls } from './system-calls.js';

/** `Random` of random.ts, which imports this file. */
interface Pooled {
  below(below: number): number;
}

/** 256 bytes, which the kernel gives whole. */
const kernelPoolWords = 64;

export function kernelRandom(calls: Pick<SystemCalls, 'random'>): Pooled {
  return pooledRandom(new Uint32Array(kernelPoolWords), (pool) => calls.random(pool));
}

/** `fill` makes the pool unpredictable; in blocks, because a system call per query id would cost more than the id. */
export function pooledRandom(pool: Uint32Array, fill: (pool: Uint32Array) => unknown): Pooled {
  let next = pool.length;
  function word(): number {
    if (next === pool.length) {
      fill(pool);
      next = 0;
    }
    return pool[next++];
  }
  return {
    // Scaling 32 bits has a bias below range/2^32, which does not help a guesser.
    below: (below) => Math.floor((word() / 2 ** 32) * below),
  };
}
