import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turn } from '../../src/upstream/turn.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('work waits for the end of the turn, after what promises still do, and runs in order', async () => {
  const turn = new Turn();
  const done: string[] = [];
  turn.add({ turnEnded: () => done.push('first') });
  turn.add({ turnEnded: () => done.push('second') });
  await Promise.resolve();
  assert.deepEqual(done, []);
  await nextTurn();
  assert.deepEqual(done, ['first', 'second']);
});

test('work added at the end of a turn has the next one', async () => {
  const turn = new Turn();
  const done: number[] = [];
  const again = { turnEnded: (): void => void (done.push(done.length) < 3 && turn.add(again)) };
  turn.add(again);
  await nextTurn();
  assert.deepEqual(done, [0]);
  await nextTurn();
  await nextTurn();
  await nextTurn();
  assert.deepEqual(done, [0, 1, 2]);
});
