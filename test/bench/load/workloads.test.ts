import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadOf, rateText, secondsAt, workloads } from '../../../bench/load/workloads.js';

test('every workload has a name of its own, and no question is lost for want of room in a socket', () => {
  const names = workloads.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  // The kernel counts about 1 kB for a small packet and frees its room in quarters of the buffer.
  const packetsMax = (212_992 * 0.75) / 1024;
  for (const workload of workloads) assert.ok(loadOf(workload, 'saturated').outstanding <= packetsMax, workload.name);
});

test('nothing that may be asked but once is measured twice', () => {
  for (const { name, questions, rates } of workloads) assert.ok(questions !== 'distinct' || rates.length === 1, name);
});

test('a load has its rate, and a slow one lasts longer', () => {
  const [workload] = workloads;
  assert.equal(loadOf(workload, 1000).queriesPerSecond, 1000);
  assert.equal(loadOf(workload, 'saturated').queriesPerSecond, null);
  // A server that pauses for 50 ms must not stop the clock.
  assert.ok(loadOf(workload, 20_000).outstanding >= 0.05 * 20_000);
  assert.deepEqual([secondsAt(1000, 2), secondsAt(20_000, 2), secondsAt('saturated', 2)], [6, 2, 2]);
  assert.deepEqual([rateText(20_000), rateText('saturated')], ['20,000 q/s', 'saturated']);
});
