import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { median, ratios, spread } from '../../../bench/load/statistics.js';

test('the median is the middle, and leaves its argument as it is', () => {
  const values = [10, 9, 100];
  assert.equal(median(values), 10);
  assert.deepEqual(values, [10, 9, 100]);
  assert.equal(median([4]), 4);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

test('half of the values are on each side of the median', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1 }), (values) => {
      const middle = median(values);
      const { min, max } = spread(values);
      assert.ok(values.filter((value) => value < middle).length <= values.length / 2);
      assert.ok(values.filter((value) => value > middle).length <= values.length / 2);
      assert.ok(min <= middle && middle <= max);
    }),
  );
});

test('a ratio is of one round, so what slows down a whole round does not count', () => {
  assert.deepEqual(ratios([5, 50, 5], [10, 100, 10]), { median: 0.5, min: 0.5, max: 0.5 });
  assert.deepEqual(ratios([1, 2, 3], [2, 2, 2]), { median: 1, min: 0.5, max: 1.5 });
  assert.throws(() => ratios([1], [1, 2]), /1 rounds against 2/);
});
