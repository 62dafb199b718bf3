import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loopDelayBucketsSeconds, watchLoopDelay } from '../../src/observe/loop-delay.js';
import type { Clock } from '../../src/os/clock.js';
import { ManualClock } from '../simulation/clock.js';

test('what runs in time is not late; what is held up is, each time anew', async () => {
  const manual = new ManualClock();
  let extraMs = 0;
  const clock: Clock = {
    nowMs: () => manual.nowMs() + extraMs,
    wallMs: () => 0,
    after: (delayMs, run) => manual.after(delayMs, run),
    every: (periodMs, run) => manual.every(periodMs, run),
  };
  const { durations, stop } = watchLoopDelay(clock);
  const late = () => [...durations.slice(0, -1)].flatMap((count, index) => (count === 0 ? [] : [[index, count]]));
  await manual.pass(3000);
  assert.deepEqual(late(), [[0, 3]]);
  extraMs = 30;
  await manual.pass(1000);
  assert.deepEqual(late(), [
    [0, 3],
    [loopDelayBucketsSeconds.indexOf(0.05), 1],
  ]);
  await manual.pass(1000);
  extraMs = 5000;
  await manual.pass(1000);
  assert.equal(durations[loopDelayBucketsSeconds.length], 1);
  assert.ok(Math.abs(durations[durations.length - 1] - 5) < 1e-9);
  stop();
  await manual.pass(5000);
  assert.equal(
    durations.slice(0, -1).reduce((sum, count) => sum + count),
    6,
  );
});
