/** Randomness for threads that do without node:crypto, which would take them a megabyte: the kernel's, by getrandom(2). */
import type { Random } from './random.js';
import type { SystemCalls } from './system-calls.js';

/** 256 bytes, which the kernel gives whole. */
const kernelPoolWords = 64;

/** Unpredictable; reads blocks, because a system call per query id would cost more than the id. */
export function kernelRandom(calls: Pick<SystemCalls, 'random'>): Random {
  const pool = new Uint32Array(kernelPoolWords);
  let next = kernelPoolWords;
  return {
    below(below) {
      if (next === kernelPoolWords) {
        calls.random(pool);
        next = 0;
      }
      return Math.floor((pool[next++] / 2 ** 32) * below);
    },
  };
}
