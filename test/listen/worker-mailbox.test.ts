import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrderNumbers } from '../../src/listen/worker-mailbox.js';

test('both sides see which orders were issued and which are taken', () => {
  const control = new OrderNumbers();
  const thread = new OrderNumbers(control.memory);
  assert.deepEqual([control.issued, control.taken], [0, 0]);
  control.issue(3);
  assert.equal(thread.issued, 3);
  thread.take(3);
  assert.equal(control.taken, 3);
});

test('a thread that waits for orders goes on when there are others, or after a while', () => {
  const numbers = new OrderNumbers();
  numbers.issue(1);
  const startedMs = performance.now();
  numbers.await(0, 10_000);
  assert.ok(performance.now() - startedMs < 5_000, 'others are there already');
  numbers.await(1, 5);
  assert.ok(performance.now() - startedMs >= 4);
});
