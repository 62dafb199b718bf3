import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import {
  loopDelayBucketsSeconds,
  newProcessNumbers,
  newSetupErrors,
  watchLoopDelay,
} from '../../src/observe/process-numbers.js';
import type { Clock } from '../../src/os/clock.js';
import { ManualClock } from '../simulation/clock.js';

test('numbers of this process are those of the kernel', () => {
  const numbers = newProcessNumbers();
  assert.ok(numbers.cpuSeconds() > 0);
  assert.ok(numbers.residentBytes() > 10e6 && numbers.residentBytes() < 10e9);
  assert.ok(numbers.heapUsedBytes() < numbers.residentBytes());
  assert.ok(numbers.virtualBytes()! >= numbers.residentBytes());
  assert.ok(numbers.openFilesMax()! > numbers.openFiles()!);
});

test('open files are counted without the one that counts', () => {
  const before = newProcessNumbers().openFiles()!;
  const file = openSync('/dev/null', 'r');
  assert.equal(newProcessNumbers().openFiles(), before + 1);
  closeSync(file);
  assert.equal(newProcessNumbers().openFiles(), before);
});

test('processor time only grows', () => {
  const before = newProcessNumbers().cpuSeconds();
  let sum = 0;
  for (let index = 0; index < 5e6; index++) sum += index % 7;
  assert.ok(sum > 0);
  assert.ok(newProcessNumbers().cpuSeconds() > before);
});

test('what runs in time is not late; what is held up is, each time anew', async () => {
  const manual = new ManualClock();
  let extraMs = 0;
  const clock: Clock = {
    nowMs: () => manual.nowMs() + extraMs,
    wallMs: () => 0,
    rest() {},
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

test('every kind starts at 0 and is counted by itself; what was read stays as it was', () => {
  const errors = newSetupErrors();
  const before = errors.totals();
  assert.deepEqual(before, { configmap: 0, iptables: 0, iptables_lock: 0, interface_add: 0, interface_check: 0 });
  errors.count('configmap');
  errors.count('configmap');
  errors.count('iptables_lock');
  assert.deepEqual(errors.totals(), { ...before, configmap: 2, iptables_lock: 1 });
  assert.equal(before.configmap, 0);
});
