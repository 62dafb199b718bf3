import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Metric, Registry } from 'prom-client';
import {
  addNumbers,
  countOf,
  emptyHistogram,
  groupByLabels,
  histogram,
  inParts,
  joinLabels,
  labelText,
  observe,
  remembered,
  sample,
  sampleLine,
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
      fc.property(counts, fc.nat(3), (buckets, first) => {
        const numbers = Float64Array.from([...Array(first).fill(99), ...buckets, 12.5, 99]);
        const bounds = [1, 2, 3];
        const family = histogram('h', '', bounds, () => [{ labels: 'zone="."', numbers, first }]);
        const lines = [...family.samples(null)];
        const cumulative = lines.filter(({ suffix }) => suffix === '_bucket').map(({ value }) => value);
        assert.deepEqual(
          cumulative,
          cumulative.toSorted((a, b) => a - b),
        );
        const total = buckets.reduce((sum, count) => sum + count, 0);
        assert.equal(cumulative.at(-1), total);
        assert.equal(countOf({ numbers, first, bounds }), total);
        assert.deepEqual(lines[3], { suffix: '_bucket', labels: 'le="+Inf",zone="."', value: total });
        assert.deepEqual(lines.slice(-2), [
          { suffix: '_sum', labels: 'zone="."', value: 12.5 },
          { suffix: '_count', labels: 'zone="."', value: total },
        ]);
      }),
    );
  });

  it('writes a line as prom-client does, whatever is in labels and numbers', async () => {
    const registry = new Registry();
    let values: object[] = [];
    const get = () => ({ name: 'n', help: '', type: 'gauge', values });
    registry.registerMetric({ name: 'n', get } as unknown as Metric);
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[\\"\n,={}a]{0,8}$/));
    const number = fc.oneof(fc.double({ noNaN: true }), fc.integer());
    const labels = fc.dictionary(fc.stringMatching(/^[a-z_]{1,5}$/), text, { noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(labels, number, async (pairs, value) => {
        values = [{ labels: pairs, value }];
        const theirs = (await registry.getSingleMetricAsString('n')).split('\n').slice(2).join('\n');
        assert.equal(sampleLine('n', sample(labelText(pairs), value)), `${theirs}\n`);
      }),
    );
    assert.equal(sampleLine('n', sample('', Number.NaN)), 'n NaN\n');
  });

  it('joins labels with a comma, if there are any on both sides', () => {
    assert.equal(joinLabels('a="1"', 'b="2"'), 'a="1",b="2"');
    assert.equal(joinLabels('', 'b="2"'), 'b="2"');
    assert.equal(joinLabels('a="1"', ''), 'a="1"');
    assert.equal(joinLabels('', ''), '');
  });

  it('makes the samples of an item only when the reader gets there', () => {
    const made: number[] = [];
    const samples = inParts([1, 2, 3], (item) => {
      made.push(item);
      return [sample('', item), sample('', -item)];
    });
    for (const { value } of samples) if (value === -1) break;
    assert.deepEqual(made, [1]);
  });

  it('makes what it remembers once for each object', () => {
    let made = 0;
    const numbered = remembered((_: object) => ++made);
    const [one, two] = [{}, {}];
    assert.deepEqual([numbered(one), numbered(two), numbered(one)], [1, 2, 1]);
  });

  it('groups by labels in the order of first appearance', () => {
    const groups = groupByLabels(['a1', 'b1', 'a2'], (item) => labelText({ letter: item[0] }));
    assert.deepEqual(groups, [
      { labels: 'letter="a"', members: ['a1', 'a2'] },
      { labels: 'letter="b"', members: ['b1'] },
    ]);
  });

  it('keeps label sets apart whose values would be the same when joined', () => {
    const groups = groupByLabels([{ a: 'x","b":"y' }, { a: 'x', b: 'y' }], (pairs) => labelText(pairs as never));
    assert.equal(groups.length, 2);
  });

  it('adds as far as both reach', () => {
    const sums = new Float64Array([1, 2, 3]);
    addNumbers(sums, new Float64Array([10, 20]));
    addNumbers(sums, new Float64Array([100, 100, 100, 100]));
    assert.deepEqual([...sums], [111, 122, 103]);
  });
});
