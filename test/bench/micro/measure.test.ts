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
    assert.ok(nanosecondsPerCall.min > 0 && Number.isFinite(nanosecondsPerCall.max), bench.name);
  }
});

test('what is told is the time of one call, whatever the size of the batches', () => {
  for (const [nanoseconds, milliseconds] of [
    [200n, 1],
    [20_000n, 1],
    [7n, 0.01],
  ] as const) {
    let clock = 0n;
    const make = () => () => {
      clock += nanoseconds;
      return 1;
    };
    const { nanosecondsPerCall } = measureMicro({ name: 'work', make }, { rounds: 5, milliseconds }, () => clock);
    const told = Number(nanoseconds);
    assert.deepEqual(nanosecondsPerCall, { min: told, median: told, max: told });
  }
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
