import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  addNumbers,
  countOf,
  emptyHistogram,
  groupByLabels,
  histogramSamples,
  observe,
} from '../../src/observe/exposition.js';

describe('exposition', () => {
  it('counts a value in the first bucket that it does not exceed, and in the sum', () => {
    const bounds = [1, 2, 3];
    const numbers = emptyHistogram(bounds);
    for (const value of [0, 1, 1.5, 3, 3.5]) observe({ numbers, bounds }, value);
    assert.deepEqual([...numbers], [2, 1, 1, 1, 9]);
    const later = Float64Array.from([99, ...numbers, 99]);
    observe({ numbers: later, first: 1, bounds }, 2);
    assert.deepEqual([...later], [99, 2, 2, 1, 1, 11, 99]);
  });

  it('writes a histogram whose buckets never fall and end in the count', () => {
    const counts = fc.array(fc.nat(1000), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(counts, fc.nat(3), (buckets, before) => {
        const numbers = Float64Array.from([...Array(before).fill(99), ...buckets, 12.5, 99]);
        const histogram = { numbers, first: before, bounds: [1, 2, 3] };
        const lines = histogramSamples('h', { zone: '.' }, histogram);
        const cumulative = lines.filter(({ metricName }) => metricName === 'h_bucket').map(({ value }) => value);
        assert.deepEqual(
          cumulative,
          cumulative.toSorted((a, b) => a - b),
        );
        const total = buckets.reduce((sum, count) => sum + count, 0);
        assert.equal(cumulative.at(-1), total);
        assert.equal(countOf(histogram), total);
        assert.deepEqual(lines.slice(-2), [
          { metricName: 'h_sum', labels: {}, sharedLabels: { zone: '.' }, value: 12.5 },
          { metricName: 'h_count', labels: {}, sharedLabels: { zone: '.' }, value: total },
        ]);
      }),
    );
  });

  it('groups by labels in the order of first appearance', () => {
    const groups = groupByLabels(['a1', 'b1', 'a2'], (item) => ({ letter: item[0] }));
    assert.deepEqual(groups, [
      { labels: { letter: 'a' }, members: ['a1', 'a2'] },
      { labels: { letter: 'b' }, members: ['b1'] },
    ]);
  });

  it('keeps label sets apart whose values would be the same when joined', () => {
    const groups = groupByLabels([{ a: 'x","b":"y' }, { a: 'x', b: 'y' }], (labels) => ({ ...labels }) as never);
    assert.equal(groups.length, 2);
  });

  it('adds as far as both reach', () => {
    const sums = new Float64Array([1, 2, 3]);
    addNumbers(sums, new Float64Array([10, 20]));
    addNumbers(sums, new Float64Array([100, 100, 100, 100]));
    assert.deepEqual([...sums], [111, 122, 103]);
  });
});
