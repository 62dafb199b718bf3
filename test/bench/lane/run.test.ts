import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tableOf } from '../../../bench/lane/run.js';

const sample = (microsecondsPerAnswer: number, p50: number, lost = 0) => ({
  microsecondsPerAnswer,
  serverMicrosecondsPerAnswer: microsecondsPerAnswer / 2,
  answersPerSecond: 1_000,
  lost,
  percentilesMs: { p50, p99: p50 * 10, p999: p50 * 20, max: p50 * 30 },
});

test('the table has medians of the rounds, a row for each rate and who answers, and what was lost in all', () => {
  const rounds = [1, 3, 2].map((each) => [sample(each, 0), sample(each, 0.01), sample(each * 10, 0.02, each)]);
  const lines = tableOf(new Map([['zerohop', rounds]])).split('\n');
  assert.equal(lines.length, 5);
  assert.equal(lines[2], '| saturated | zerohop | 2.00 | 1.00 | 1000 |  |  | 0 |');
  assert.equal(lines[4], '| 1,000 q/s | zerohop | 20.00 | 10.00 | 1000 | 20 | 200 | 6 |');
});
