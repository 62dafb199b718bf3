import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workloads } from '../../../bench/load/workloads.js';

test('every workload has a name of its own, and no question is lost for want of room in a socket', () => {
  const names = workloads.map(({ name }) => name);
  assert.deepEqual(names, ['cached', 'nxdomain', 'aaaa', 'uncached']);
  // The kernel counts about 1 kB for a small packet and frees its room in quarters of the buffer.
  const packetsMax = (212_992 * 0.75) / 1024;
  for (const { name, load } of workloads) assert.ok(load.outstanding <= packetsMax, name);
});
