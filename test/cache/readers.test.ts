/** Two real threads read while the writer keeps, replaces, evicts and uses memory again: no answer mixes two blocks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Blocks, cacheMemory, type Keep } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { Epochs } from '../../src/cache/epochs.js';
import { slabBytes } from '../../src/limits.js';
import type { Random } from '../../src/os/random.js';
import { hashKey } from '../dns/hash-key.js';
import { seededRandom } from '../simulation/random.js';
import { answerFor, queryFor } from './answers.js';
import type { ReaderReport, ReaderStart } from './readers-thread.js';

const names = 600;
const millisecondsOfWriting = 1_500;
/** Where others keep the cores busy it takes longer: the writer waits for readers that do not run. */
const keptLeast = 1_000;
const millisecondsMost = 20_000;

test('readers never see two blocks as one', async () => {
  const random = seededRandom(20);
  const epochs = new Epochs();
  const blocks = new Blocks(cacheMemory(), hashKey(11));
  // So little memory that slabs change their size all the time, and fewer entries than names.
  let evictedForMemory = 0;
  const cache = new Cache(blocks, 3 * slabBytes, epochs, { evictedForMemory: () => void evictedForMemory++ });
  const store = cache.newStore({ successEntriesMax: 300, denialEntriesMax: 10 });
  const packets = Array.from({ length: names }, (_, number) => new Uint8Array(queryFor(`n${number}.test`)));
  const stop = new SharedArrayBuffer(4);
  const shared = { memory: blocks.memory, hashKey: blocks.hashKey, epochs: epochs.memory, stop, packets };
  const program = new URL('./readers-thread.js', import.meta.url);
  const running = [0, 1, 2].map((index) => {
    const start: ReaderStart = { index, ...shared };
    const thread = new Worker(program, { workerData: start });
    return new Promise<ReaderReport>((resolve, reject) => {
      thread.once('message', resolve);
      thread.once('error', reject);
    });
  });

  const answers = packets.map((_, number) => answersOf(number, random));
  let kept = 0;
  const keepOne = (): boolean => {
    const ofName = answers[random.below(names)];
    return cache.keep(store, ofName[random.below(ofName.length)], kept) !== 0;
  };
  const startedMs = performance.now();
  const lastedMs = (): number => performance.now() - startedMs;
  while (lastedMs() < millisecondsOfWriting || (kept < keptLeast && lastedMs() < millisecondsMost)) {
    for (let count = 0; count < 100; count++) if (keepOne()) kept++;
    // The readers' first messages, and their errors, arrive in between.
    await new Promise((resolve) => setImmediate(resolve));
  }
  Atomics.store(new Int32Array(stop), 0, 1);
  const reports = await Promise.all(running);
  for (const { mixed } of reports) assert.deepEqual(mixed, []);
  assert.ok(kept >= keptLeast, `kept ${kept}`);
  const found = reports.map((report) => report.found);
  assert.ok(Math.min(...found) > 1_000, `found ${found}`);
  assert.ok(evictedForMemory > 50, `evicted for memory ${evictedForMemory}`);
  // A reader that sleeps in its batch keeps a slab from being cut; without readers nothing does.
  for (let count = 0; count < 500; count++) assert.ok(keepOne(), `answer ${count} found no memory`);
});

/** Answers of 100 bytes to 30 kB to one name, so that a slab is cut this way and that; the large ones are few. */
function answersOf(number: number, random: Random): Keep[] {
  const data = `10.9.${number >> 8}.${number & 0xff}`;
  const large = number % 20 === 0 ? [200 + random.below(1_800)] : [];
  return [1 + random.below(60), 1 + random.below(4), ...large].map((records) => {
    const answer = answerFor(`n${number}.test`, { records, data });
    return { ...answer, message: answer.message.slice(), ttlOffsets: answer.ttlOffsets.slice() };
  });
}
