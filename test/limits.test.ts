import nodeAssert from 'node:assert/strict';
import { test } from 'node:test';
import { assert } from '../src/limits.js';

test('what must hold and does not is said, and stops what relied on it', () => {
  assert(true, 'one is one');
  nodeAssert.throws(() => assert(false, 'one is two'), new Error('broken invariant: one is two.'));
  nodeAssert.throws(() => assert(false), /bounds fit together/);
});
