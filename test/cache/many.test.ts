/** A cache of the size that large capacities give it: a quarter of a million names, then a fifth as many more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Blocks, cacheMemory } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { cacheBytesPerEntry, headerBytes } from '../../src/limits.js';
import { hashKey } from '../dns/hash-key.js';
import { answerFor } from './answers.js';

const capacity = 262_144;
const bytes = capacity * cacheBytesPerEntry;

function newWorld() {
  let lost = 0;
  const count = (): void => void lost++;
  const told = { evictedForMemory: count, crowded: count };
  const cache = new Cache(new Blocks(cacheMemory(bytes), hashKey(7)), undefined, undefined, told);
  const answer = answerFor('svc-000000.ns-1.svc.cluster.local', { lifetimeMs: 3_600_000 });
  const message = Uint8Array.from(answer.message);
  /** The same answer for another name: encoding each would take most of the time. */
  const named = (number: number) => {
    for (let at = headerBytes + 10, rest = number; at > headerBytes + 4; at--, rest = Math.floor(rest / 10)) {
      message[at] = 48 + (rest % 10);
    }
    return { ...answer, message };
  };
  const store = cache.newStore({ successEntriesMax: capacity, denialEntriesMax: 1 });
  return { cache, store, named, lost: () => lost };
}

test('a store of a quarter of a million entries is filled to its capacity, and then evicts one for one', () => {
  const { cache, store, named, lost } = newWorld();
  const { blocks } = cache;
  for (let number = 0; number < capacity; number++) assert.notEqual(cache.keep(store, named(number), 0), 0);
  assert.deepEqual([store.success.size, store.evictedSuccess], [capacity, 0]);
  assert.ok(cache.usedBytes <= 160 * capacity, 'an address takes 160 bytes');
  const hot = Array.from({ length: 1_000 }, (_, number) => cache.existing(named(number * 100)));
  for (const ref of hot) blocks.touch(ref, 1, 1_000);
  const more = capacity + Math.floor(capacity / 5);
  for (let number = capacity; number < more; number++) assert.notEqual(cache.keep(store, named(number), 1), 0);
  assert.deepEqual([store.success.size, store.evictedSuccess], [capacity, more - capacity]);
  assert.equal(lost(), 0, 'neither for memory nor for a full chain');
  assert.ok(hot.every((ref) => cache.holds(ref)));
  let longest = 0;
  for (const ref of [...cache.refs()].flat()) longest = Math.max(longest, blocks.chainBlocks(ref));
  assert.ok(longest <= 12, `a chain has ${longest} entries`);
  const found = Array.from({ length: more / 64 }, (_, index) => cache.existing(named(index * 64)) !== 0);
  assert.ok(found.slice(-capacity / 512).every(Boolean), 'the youngest are there');
  assert.ok(!found.slice(0, capacity / 10 / 64).every(Boolean), 'some of the oldest are not');
});
