import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheBytesOf, cacheEntriesOf } from '../../src/config/capacity.js';
import { cacheBytesLeast, cacheBytesMax, cacheEntriesMax, slabBytes } from '../../src/limits.js';
import { configOf } from './options.js';

const blocks = (...caches: readonly string[]) =>
  configOf(caches.map((cache, index) => `z${index}.test {\n${cache}\nforward . 10.0.0.1\n}`).join('\n')).blocks;

test('the entries of all stores count, and blocks without a cache do not', () => {
  assert.equal(cacheEntriesOf(blocks('cache', '', 'cache {\nsuccess 20000\ndenial 0\n}')), 2 * 9_984 + 20_000 + 1_024);
  assert.equal(cacheEntriesOf(blocks('')), 0);
});

test('memory follows the entries between its bounds, in whole slabs', () => {
  assert.equal(cacheBytesOf(blocks('')), cacheBytesLeast);
  assert.equal(cacheBytesOf(blocks('cache {\nsuccess 121088\n}')), cacheBytesLeast);
  assert.equal(cacheBytesOf(blocks('cache {\nsuccess 121089\n}')), cacheBytesLeast + slabBytes);
  const million = cacheBytesOf(blocks('cache {\nsuccess 1000000\n}'));
  assert.ok(million >= 1_009_984 * 512 && million < 1_009_984 * 512 + slabBytes && million < cacheBytesMax);
  const most = `cache {\nsuccess ${cacheEntriesMax}\ndenial ${cacheEntriesMax}\n}`;
  assert.equal(cacheBytesOf(blocks(most, most)), cacheBytesMax);
});
