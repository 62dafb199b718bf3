import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../../bench/cleanup.js';
import { coreBusyMicroseconds, cpuBetween, cpuOf, totalMicroseconds } from '../../../bench/load/cpu.js';

interface Ticks {
  readonly user: number;
  readonly system: number;
  readonly childrenUser?: number;
  readonly childrenSystem?: number;
}

function writeProcess(proc: string, pid: number, parent: number, name: string, ticks: Ticks): void {
  const { user, system, childrenUser = 0, childrenSystem = 0 } = ticks;
  mkdirSync(join(proc, String(pid)));
  const times = `${user} ${system} ${childrenUser} ${childrenSystem}`;
  const text = `${pid} (${name}) S ${parent} 7 7 0 -1 4194560 1 2 3 4 ${times} 20 0 11 0 12345 0 0\n`;
  writeFileSync(join(proc, String(pid), 'stat'), text);
}

test('a process, its children and their children are added up; strangers are not', async () => {
  await inTemporaryFolder('zerohop-test-', async (proc) => {
    writeProcess(proc, 10, 1, 'server', { user: 100, system: 200, childrenUser: 3, childrenSystem: 4 });
    writeProcess(proc, 11, 10, 'a) S 1 (b', { user: 10, system: 20 });
    writeProcess(proc, 12, 11, 'grand child', { user: 1, system: 2 });
    writeProcess(proc, 13, 1, 'stranger', { user: 5000, system: 5000 });
    mkdirSync(join(proc, 'sys'));
    mkdirSync(join(proc, '14')); // ended between the listing and the reading
    assert.deepEqual(cpuOf(10, proc), { userMicroseconds: 1_140_000, systemMicroseconds: 2_260_000 });
    assert.deepEqual(cpuOf(12, proc), { userMicroseconds: 10_000, systemMicroseconds: 20_000 });
    assert.throws(() => cpuOf(15, proc), /no process 15/);
  });
});

test('only what the core did counts as busy, whoever had it', async () => {
  await inTemporaryFolder('zerohop-test-', async (proc) => {
    const lines = ['cpu  9 9 9 9 9 9 9 9 0 0', 'cpu0 1 2 3 1000 2000 4 5 6 0 0', 'cpu1 0 0 0 7 0 0 0 0 0 0', 'ctxt 5'];
    writeFileSync(join(proc, 'stat'), lines.join('\n'));
    assert.equal(coreBusyMicroseconds(0, proc), 210_000);
    assert.equal(coreBusyMicroseconds(1, proc), 0);
    assert.throws(() => coreBusyMicroseconds(2, proc), /no core 2/);
  });
});

test('what this process uses is seen, as Node.js itself sees it', () => {
  const before = cpuOf(process.pid);
  const started = process.cpuUsage();
  let sum = 0;
  while (process.cpuUsage(started).user < 60_000) sum += Math.sqrt(sum + 1);
  const used = totalMicroseconds(cpuBetween(before, cpuOf(process.pid)));
  const { user, system } = process.cpuUsage(started);
  assert.ok(sum > 0);
  // Ticks are hundredths of a second, and each of the four readings may be one off.
  assert.ok(Math.abs(used - (user + system)) <= 40_000, `${used} µs against ${user + system} µs`);
});
