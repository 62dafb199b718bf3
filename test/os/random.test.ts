import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemRandom } from '../../src/os/random.js';

const draws = (below: number, count: number) => {
  const random = systemRandom();
  return Array.from({ length: count }, () => random.below(below));
};

describe('systemRandom', () => {
  it('gives whole numbers from 0 up to and without the bound, also the largest', () => {
    for (const below of [1, 2, 3, 65_536, 2 ** 31 + 1, 2 ** 32]) {
      assert.ok(draws(below, 1_000).every((number) => Number.isInteger(number) && number >= 0 && number < below));
    }
    assert.deepEqual(new Set(draws(1, 100)), new Set([0]));
    assert.ok(
      draws(2 ** 32, 1_000).some((number) => number > 2 ** 31),
      'the highest bit is drawn, too',
    );
  });

  it('reaches every number, about equally often, over many refills of its pool', () => {
    const times = new Map<number, number>();
    for (const number of draws(16, 16_000)) times.set(number, (times.get(number) ?? 0) + 1);
    assert.equal(times.size, 16);
    // Chance strays by 31 from 1000 here; eight times as much happens once in 10^14 runs.
    for (const count of times.values()) assert.ok(Math.abs(count - 1_000) < 250, `${count} of 1000`);
  });

  it('repeats neither itself nor another of its kind', () => {
    const numbers = [...draws(2 ** 32, 2_000), ...draws(2 ** 32, 2_000)];
    // Two of 4000 words are the same once in 540 runs; four pairs once in 10^12.
    assert.ok(new Set(numbers).size > numbers.length - 4);
  });
});
