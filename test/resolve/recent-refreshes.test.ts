import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refreshAgainMs, refreshesRemembered } from '../../src/limits.js';
import { RecentRefreshes } from '../../src/resolve/recent-refreshes.js';

test('a block is asked for once in a while, whatever the others do', () => {
  const recent = new RecentRefreshes();
  assert.equal(recent.isNew(1_048_576, 5_000), true);
  assert.equal(recent.isNew(1_048_576, 5_001), false);
  assert.equal(recent.isNew(1_048_576 + 128, 5_001), true);
  assert.equal(recent.isNew(1_048_576, 5_000 + refreshAgainMs - 1), false);
  assert.equal(recent.isNew(1_048_576, 5_000 + refreshAgainMs), true);
});

test('two blocks of one place are both asked for', () => {
  const recent = new RecentRefreshes();
  const other = 1_048_576 + 128 * refreshesRemembered;
  for (const block of [1_048_576, other, 1_048_576]) assert.equal(recent.isNew(block, 1), true);
});
