import assert from 'node:assert/strict';
import { test } from 'node:test';
import { benches } from '../../../bench/micro/benches.js';
import { measureMicro } from '../../../bench/micro/measure.js';
import { microBenches } from '../../../bench/micro/run.js';

const tiny = { rounds: 2, milliseconds: 0.2 };

test('the hot functions run, each the way it is meant to', () => {
  for (const bench of benches) {
    const { nanosecondsPerCall, sum } = measureMicro(bench, tiny);
    assert.ok(sum > 0, `${bench.name} answers every time`);
    assert.ok(nanosecondsPerCall.min > 0 && nanosecondsPerCall.max < 1e6, bench.name);
  }
});

test('a call that takes longer costs more', () => {
  const work = (steps: number) => () => () => {
    let sum = 1;
    for (let left = steps; left > 0; left--) sum = Math.imul(sum, 31) + left;
    return sum;
  };
  const cost = (steps: number) =>
    measureMicro({ name: 'work', make: work(steps) }, { rounds: 5, milliseconds: 1 }).nanosecondsPerCall.median;
  assert.ok(cost(20_000) > 10 * cost(200));
});

test('they are printed a line each', () => {
  let text = '';
  microBenches({ rounds: 1, seconds: 0.002 }, (more) => {
    text += more;
  });
  const lines = text.trimEnd().split('\n');
  assert.equal(lines.length, 1 + benches.length);
  for (const [index, { name }] of benches.entries()) assert.match(lines[index + 1], new RegExp(`^${name} +\\d+ \\(`));
});
