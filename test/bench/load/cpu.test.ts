import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../../bench/cleanup.js';
import { coreBusyMicroseconds, cpuBetween, cpuOf } from '../../../bench/load/cpu.js';

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

function writeThreads(proc: string, pid: number, nanoseconds: Readonly<Record<number, number>>): void {
  for (const [id, used] of Object.entries(nanoseconds)) {
    const folder = join(proc, String(pid), 'task', id);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'schedstat'), `${used} 7 3\n`);
  }
}

test('a process, its children and their children are added up; strangers are not', async () => {
  await inTemporaryFolder('zerohop-test-', async (proc) => {
    writeProcess(proc, 10, 1, 'server', { user: 100, system: 200, childrenUser: 3, childrenSystem: 4 });
    writeProcess(proc, 11, 10, 'a) S 1 (b', { user: 10, system: 20 });
    writeProcess(proc, 12, 11, 'grand child', { user: 1, system: 2 });
    writeProcess(proc, 13, 1, 'stranger', { user: 5000, system: 5000 });
    mkdirSync(join(proc, 'sys'));
    mkdirSync(join(proc, '14')); // ended between the listing and the reading
    assert.deepEqual(cpuOf(10, proc), { userMicroseconds: 1_140_000, systemMicroseconds: 2_260_000, threads: null });
    assert.deepEqual(cpuOf(12, proc), { userMicroseconds: 10_000, systemMicroseconds: 20_000, threads: null });
    assert.throws(() => cpuOf(15, proc), /no process 15/);
  });
});

test('threads are counted to the nanosecond, those of children too', async () => {
  await inTemporaryFolder('zerohop-test-', async (proc) => {
    writeProcess(proc, 10, 1, 'server', { user: 1, system: 1 });
    writeProcess(proc, 11, 10, 'child', { user: 0, system: 0 });
    writeThreads(proc, 10, { 10: 15_000_500, 20: 2000 });
    writeThreads(proc, 11, { 11: 1500 });
    assert.deepEqual(
      cpuOf(10, proc).threads,
      new Map([
        [10, 15_000.5],
        [20, 2],
        [11, 1.5],
      ]),
    );
  });
});

test('user and system share the total of the threads; where one has ended, the ticks count', () => {
  const at = (user: number, system: number, threads: [number, number][] | null) => ({
    userMicroseconds: user,
    systemMicroseconds: system,
    threads: threads === null ? null : new Map(threads),
  });
  const before = at(0, 0, [[1, 500]]);
  const grown: [number, number][] = [
    [1, 30_500],
    [2, 9000],
  ];
  assert.deepEqual(cpuBetween(before, at(10_000, 30_000, grown)), {
    userMicroseconds: 9750,
    systemMicroseconds: 29_250,
    totalMicroseconds: 39_000,
  });
  const byTicks = { userMicroseconds: 10_000, systemMicroseconds: 30_000, totalMicroseconds: 40_000 };
  assert.deepEqual(cpuBetween(before, at(10_000, 30_000, [[2, 9000]])), byTicks);
  assert.deepEqual(cpuBetween(before, at(10_000, 30_000, null)), byTicks);
  // A child that is in neither reading.
  assert.equal(cpuBetween(before, at(100_000, 30_000, grown)).totalMicroseconds, 130_000);
  assert.equal(cpuBetween(before, at(0, 0, [[1, 500]])).userMicroseconds, 0);
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
  const used = cpuBetween(before, cpuOf(process.pid)).totalMicroseconds;
  const { user, system } = process.cpuUsage(started);
  assert.ok(sum > 0);
  // Ticks are hundredths of a second, and each of the four readings may be one off.
  assert.ok(Math.abs(used - (user + system)) <= 40_000, `${used} µs against ${user + system} µs`);
});
