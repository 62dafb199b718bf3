import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choose, type Policy } from '../../src/upstream/policy.js';
import { seededRandom } from '../simulation/random.js';

const random = seededRandom(5);

test('nobody is chosen when nobody may be asked', () => {
  for (const policy of ['random', 'round_robin', 'sequential'] satisfies Policy[]) {
    assert.equal(choose(policy, { bits: 0, count: 3, start: 1 }, random), -1);
  }
});

test('sequential is the first that may be asked', () => {
  assert.equal(choose('sequential', { bits: 0b1111, count: 4, start: 3 }, random), 0);
  assert.equal(choose('sequential', { bits: 0b1100, count: 4, start: 0 }, random), 2);
});

test('round_robin goes on by one for each question and skips those that may not be asked', () => {
  const turns = (bits: number): number[] =>
    [0, 1, 2, 3, 4, 5].map((start) => choose('round_robin', { bits, count: 3, start }, random));
  assert.deepEqual(turns(0b111), [0, 1, 2, 0, 1, 2]);
  assert.deepEqual(turns(0b101), [0, 2, 2, 0, 2, 2]);
});

test('random asks all that may be asked, each about as often, and nobody else', () => {
  const bits = 0b100_0000_0001_0110;
  const times = new Map<number, number>();
  for (let draw = 0; draw < 4000; draw++) {
    const index = choose('random', { bits, count: 15, start: 0 }, random);
    times.set(index, (times.get(index) ?? 0) + 1);
  }
  assert.deepEqual(
    [...times.keys()].sort((a, b) => a - b),
    [1, 2, 4, 14],
  );
  for (const count of times.values()) assert(count > 850 && count < 1150, `${count}`);
});
