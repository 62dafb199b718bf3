import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tableOf } from '../../../bench/lane/run.js';

const sample = (microsecondsPerAnswer: number, p50: number, lost = 0) => ({
  microsecondsPerAnswer,
  serverMicrosecondsPerAnswer: microsecondsPerAnswer / 2,
  answersPerSecond: 1_000,
  lost,
  percentilesMs: p50 === 0 ? null : { p50, p99: p50 * 10 },
});

test('the table has medians of the rounds, a row for each load and who answers, and what was lost in all', () => {
  const rounds = [1, 3, 2].map((each) => [
    sample(each, 0),
    sample(each, 0.01),
    sample(each * 10, 0.02, each),
    ...[4, 5, 6].map((time) => sample(each * time, 0.003)),
  ]);
  const lines = tableOf(new Map([['zerohop', rounds]])).split('\n');
  assert.equal(lines.length, 8);
  assert.equal(lines[2], '| dnsperf, saturated | zerohop | 2.00 | 1.00 | 1000 |  |  | 0 |');
  assert.equal(lines[4], '| dnsperf, 1,000 q/s | zerohop | 20.00 | 10.00 | 1000 | 20 | 200 | 6 |');
  assert.equal(lines[5], '| stub, saturated | zerohop | 8.00 | 4.00 | 1000 | 3 | 30 | 0 |');
});
