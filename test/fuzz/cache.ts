/**
 * The shared cache raced by two threads: this one keeps, replaces and evicts in too little memory, the other looks up,
 * copies and compares. No answer that it finds mixes two.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Blocks, cacheMemory } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { Epochs } from '../../src/cache/epochs.js';
import { slabBytes } from '../../src/limits.js';
import { answerFor, queryFor } from '../cache/answers.js';
import type { ReaderReport, ReaderStart } from '../cache/readers-thread.js';
import { hashKey } from '../dns/hash-key.js';
import { seededRandom } from '../simulation/random.js';

const names = 400;
const keptPerRound = 100;

/** As many rounds as `goOn` allows; gives how many answers the reader has compared. */
export async function fuzzCache(seed: number, goOn: (round: number) => boolean): Promise<number> {
  const random = seededRandom(seed);
  const epochs = new Epochs();
  const blocks = new Blocks(cacheMemory(), hashKey(random.below(2 ** 32)));
  const cache = new Cache(blocks, 2 * slabBytes, epochs, { evictedForMemory() {} });
  const store = cache.newStore({ successEntriesMax: 200, denialEntriesMax: 10 });
  const packets = Array.from({ length: names }, (_, number) => new Uint8Array(queryFor(`n${number}.test`)));
  const stop = new SharedArrayBuffer(4);
  const start: ReaderStart = {
    ...{ index: 0, memory: blocks.memory, hashKey: blocks.hashKey, epochs: epochs.memory, stop, packets },
  };
  const reader = new Worker(new URL('../cache/readers-thread.js', import.meta.url), { workerData: start });
  const report = once(reader, 'message') as Promise<[ReaderReport]>;
  await once(reader, 'online');
  for (let round = 0; goOn(round); round++) {
    for (let count = 0; count < keptPerRound; count++) {
      const number = random.below(names);
      const records = random.below(40) === 0 ? 1 + random.below(2_000) : 1 + random.below(60);
      const data = `10.9.${number >> 8}.${number & 0xff}`;
      cache.keep(store, answerFor(`n${number}.test`, { records, data }), round);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  Atomics.store(new Int32Array(stop), 0, 1);
  const [{ found, mixed }] = await report;
  assert.deepEqual(mixed, []);
  return found;
}
