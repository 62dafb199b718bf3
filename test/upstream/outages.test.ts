import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outages } from '../../src/upstream/outages.js';

test('the first forward and the last are told apart from the others, address by address', () => {
  const outages = new Outages();
  assert.deepEqual([outages.began('a'), outages.began('a'), outages.began('b')], [true, false, true]);
  assert.deepEqual([outages.ended('a'), outages.ended('b'), outages.ended('a')], [false, true, true]);
  assert.equal(outages.began('a'), true);
});
