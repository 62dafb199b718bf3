import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pagePointMs, pagePointsMax, pageUpstreamsMax } from '../../src/limits.js';
import { History, historyColumns, rounded, valuesOf } from '../../src/page/history.js';
import type { Point } from '../../src/page/totals.js';

function pointOf(hits: number): Point {
  const sources = { hit: hits, lane: 0, stale: 0, policy: 0, miss: 0, failed: 0 };
  return { sources, hitRatio: 1, p50Ms: 0.125, p99Ms: Number.NaN, rcodes: [hits, 0, 0, 0, 0] };
}

const none = new Map<string, number>();

describe('the history', () => {
  it('has the last hour, the oldest point first', () => {
    const history = new History();
    for (let index = 0; index < pagePointsMax + 5; index++) history.add(index * pagePointMs, pointOf(index), none);
    const { times, values, columns } = history.shown();
    const hits = values[columns.indexOf('hit')];
    assert.deepEqual([times.length, hits.length], [pagePointsMax, pagePointsMax]);
    assert.deepEqual([times[0], hits[0]], [50, 5]);
    assert.deepEqual([times.at(-1), hits.at(-1)], [(pagePointsMax + 4) * 10, pagePointsMax + 4]);
    assert.deepEqual(values[columns.indexOf('p99Ms')].at(-1), null, 'nothing was measured');
  });

  it('takes as much memory as it says, whatever is added', () => {
    const history = new History();
    assert.equal(history.bytes, 23_040 + 46_080);
    for (let index = 0; index < 2 * pagePointsMax; index++) {
      history.add(index, pointOf(1), new Map([[`10.0.0.${index % 250}:53`, 1]]));
    }
    assert.equal(history.bytes, 23_040 + 46_080);
    assert.equal(Object.keys(history.shown().upstreams).length, pageUpstreamsMax);
  });

  it('has the round-trip times of each upstream beside the points, with gaps where there was none', () => {
    const history = new History();
    history.add(10_000, pointOf(1), new Map([['10.0.0.1:53', 2]]));
    history.add(20_000, pointOf(1), new Map([['10.0.0.2:53', 3]]));
    history.add(30_000, pointOf(1), new Map([['10.0.0.1:53', 4]]));
    assert.deepEqual(history.shown().upstreams, { '10.0.0.2:53': [null, 3, null], '10.0.0.1:53': [2, null, 4] });
  });

  it('gives the row of an upstream that is gone to a new one, and none while all are there', () => {
    const history = new History();
    const all = new Map(Array.from({ length: pageUpstreamsMax + 1 }, (_, index) => [`10.0.0.${index}:53`, 1]));
    history.add(10_000, pointOf(1), all);
    assert.equal(history.shown().upstreams['10.0.0.32:53'], undefined);
    history.add(20_000, pointOf(1), new Map([['10.0.0.32:53', 7]]));
    assert.deepEqual(history.shown().upstreams['10.0.0.32:53'], [null, 7]);
    assert.equal(history.shown().upstreams['10.0.0.0:53'], undefined);
  });

  it('names a column for every number of a point', () => {
    assert.equal(valuesOf(pointOf(1)).length, historyColumns.length);
    assert.deepEqual([rounded(1234.5), rounded(0.12345), rounded(Number.NaN)], [1230, 0.123, null]);
  });
});
