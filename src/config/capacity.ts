/** How much memory the cache has: it follows the capacities that the Corefile gives to all stores together. */
import { cacheBytesLeast, cacheBytesMax, cacheBytesPerEntry, slabBytes } from '../limits.js';
import type { BlockConfig } from './config.js';

/** Entries of all stores together. */
export function cacheEntriesOf(blocks: readonly Pick<BlockConfig, 'cache'>[]): number {
  return blocks.reduce((sum, { cache }) => {
    return cache === null ? sum : sum + cache.success.entriesMax + cache.denial.entriesMax;
  }, 0);
}

/** Bytes of the cache for these server blocks, a whole number of slabs. */
export function cacheBytesOf(blocks: readonly Pick<BlockConfig, 'cache'>[]): number {
  const slabs = Math.ceil((cacheEntriesOf(blocks) * cacheBytesPerEntry) / slabBytes);
  return Math.min(Math.max(slabs * slabBytes, cacheBytesLeast), cacheBytesMax);
}
