import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Blocks, cacheMemory } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { FirstHits } from '../../src/cache/first-hits.js';
import { firstHitsMax } from '../../src/limits.js';
import { hashKey } from '../dns/hash-key.js';
import { answerFor } from './answers.js';

function newCache() {
  const cache = new Cache(new Blocks(cacheMemory(), hashKey(42)));
  return { cache, store: cache.newStore({ successEntriesMax: 10, denialEntriesMax: 10 }) };
}

function taken(hits: FirstHits): { readonly refs: number[]; readonly isAll: boolean } {
  const refs: number[] = [];
  const isAll = hits.takeAll((ref) => void refs.push(ref));
  return { refs, isAll };
}

test('blocks come in order and once, from every thread that shares the memory', () => {
  const reader = new FirstHits();
  const [one, other] = [new FirstHits(reader.memory), new FirstHits(reader.memory)];
  one.add(64);
  other.add(128);
  one.add(64);
  assert.deepEqual(taken(reader), { refs: [64, 128, 64], isAll: true });
  assert.deepEqual(taken(reader), { refs: [], isAll: true });
});

test('what comes too fast is lost, and the reader hears of it; afterwards all is well again', () => {
  const hits = new FirstHits();
  for (let ref = 1; ref <= firstHitsMax + 5; ref++) hits.add(ref);
  const { refs, isAll } = taken(hits);
  assert.equal(isAll, false);
  assert.equal(refs.length, firstHitsMax);
  assert.equal(refs.at(-1), firstHitsMax + 5);
  hits.add(7);
  assert.deepEqual(taken(hits), { refs: [7], isAll: true });
});

test('a block that another thread is just adding counts as lost', () => {
  const hits = new FirstHits();
  hits.add(64);
  // The number is taken, the block is not there yet.
  new Int32Array(hits.memory)[0]++;
  assert.deepEqual(taken(hits), { refs: [64], isAll: false });
});

test('the numbers may begin again at their lowest', () => {
  const hits = new FirstHits();
  const words = new Int32Array(hits.memory);
  words[0] = 2 ** 31 - 2;
  taken(hits);
  for (const ref of [1, 2, 3, 4]) hits.add(ref);
  assert.deepEqual(taken(hits), { refs: [1, 2, 3, 4], isAll: true });
});

test('a block is told of at its first hit, and again after it was let go', () => {
  const { cache, store } = newCache();
  const { blocks } = cache;
  const hits = new FirstHits();
  blocks.firstHits = hits;
  const ref = cache.keep(store, answerFor('a.test'), 0);
  assert.equal(blocks.wasHit(ref), false);
  blocks.touch(ref, 1, 0, 0);
  blocks.touch(ref, 2, 0, 0);
  assert.deepEqual(taken(hits).refs, [ref]);
  assert.equal(blocks.wasHit(ref), true);
  blocks.forgetFirstHit(ref);
  assert.equal(blocks.wasHit(ref), false);
  blocks.touch(ref, 3, 0, 0);
  assert.deepEqual(taken(hits).refs, [ref]);
});

test('hits that nobody here has seen count for refreshes, and keep the entry', () => {
  const { cache, store } = newCache();
  const { blocks } = cache;
  const ref = cache.keep(store, answerFor('a.test'), 0);
  blocks.addHits(ref, 9, 500);
  assert.equal(blocks.wasHit(ref), true);
  assert.equal(blocks.touch(ref, 900, 1_000), 10);
});
