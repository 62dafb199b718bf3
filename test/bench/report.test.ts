import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figures, movesOf, workersFigures } from '../../bench/report.js';
import { cached, moves, sample, samples } from './report-fixture.js';

test('figures are medians, ratios pair the rounds, and losses are added up', () => {
  const [zerohop, unbound] = figures(cached, samples).servers;
  assert.deepEqual(zerohop.microsecondsPerAnswer, { median: 5, min: 4, max: 6 });
  assert.equal(zerohop.ratio, null);
  assert.deepEqual(unbound.ratio, { median: 0.5, min: 0.5, max: 0.75 });
  assert.deepEqual([unbound.answers, unbound.lost, unbound.wrong], [3000, 6, 30]);
  assert.equal(unbound.userMicrosecondsPerAnswer, 2);
});

test('user and system are the median in the proportion of all rounds', () => {
  const uneven = [
    sample(4, { userMicrosecondsPerAnswer: 4, systemMicrosecondsPerAnswer: 0 }),
    sample(6, { userMicrosecondsPerAnswer: 0, systemMicrosecondsPerAnswer: 6, answers: 2000 }),
  ];
  const [server] = figures(cached, new Map([['zerohop', uneven]])).servers;
  assert.deepEqual([server.userMicrosecondsPerAnswer, server.systemMicrosecondsPerAnswer], [1.25, 3.75]);
});

test('a percentile is the median of the rounds, so that one bad round does not make it', () => {
  const at = (p99: number) => sample(4, { percentilesMs: { p50: 0.1, p99, p999: 2, max: 3 } });
  const [server] = figures(cached, new Map([['zerohop', [at(0.3), at(90), at(0.4)]]])).servers;
  assert.deepEqual(server.percentilesMs, { p50: 0.1, p99: 0.4, p999: 2, max: 3 });
  const { percentilesMs, longestMs } = figures(cached, samples).servers[0];
  assert.deepEqual([percentilesMs, longestMs], [null, null]);
});

test('the longest is that of all rounds', () => {
  const of = (max: number) => sample(4, { percentilesMs: { p50: 0.1, p99: 0.3, p999: 2, max } });
  const [server] = figures(cached, new Map([['zerohop', [of(3), of(40), of(5)]]])).servers;
  assert.deepEqual([server.longestMs, server.percentilesMs?.max], [40, 5]);
});

test('moves of a kind are put together', () => {
  const [reload, takeover, ...none] = movesOf([moves]);
  assert.deepEqual(none, []);
  assert.deepEqual([reload.name, reload.tookMs.median, reload.moving.percentilesMs?.p99], ['reload', 200, 0.3]);
  assert.deepEqual(takeover.tookMs, { median: 1000, min: 900, max: 1100 });
  assert.equal(takeover.cpuMs, 500);
  assert.deepEqual([takeover.moving.percentilesMs?.p99, takeover.moving.longestMs], [1.2, 20]);
  assert.deepEqual([takeover.quiet.percentilesMs?.p99, takeover.quiet.longestMs], [0.3, 2]);
});

test('what more cores would answer is reckoned from the CPU per answer', () => {
  const its = [4, 5, 6].map((cost) => ({ ...sample(cost), hitRatio: cost / 10 }));
  const { projectedAnswersPerSecond, hitRatio, lost } = workersFigures(2, its);
  assert.deepEqual([projectedAnswersPerSecond, hitRatio, lost], [400_000, { median: 0.5, min: 0.4, max: 0.6 }, 0]);
});
