import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atRate, loadOf, type Rate, rateText, secondsOf, workloads } from '../../../bench/load/workloads.js';

test('every workload has a name of its own, and no question is lost for want of room in a socket', () => {
  const names = workloads.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  // The kernel counts about 1 kB for a small packet and frees its room in quarters of the buffer.
  const packetsMax = (212_992 * 0.75) / 1024;
  for (const workload of workloads) assert.ok(loadOf(workload, 'saturated').outstanding <= packetsMax, workload.name);
});

test('each row of the tables has a name and rate of its own', () => {
  const rows = workloads.flatMap(({ runs }) => runs.map(({ name, rate }) => `${name} ${rate}`));
  assert.equal(new Set(rows).size, rows.length);
});

test('a process is measured cold before it is warmed up, and everything that is measured warm is warmed up', () => {
  for (const { name, questions, transport, warmUp, runs } of workloads) {
    const cold = runs.filter(({ isCold }) => isCold);
    assert.deepEqual(runs.slice(0, cold.length), cold, name);
    const last = warmUp.at(-1);
    assert.deepEqual([last?.questions, last?.transport], [questions, transport], name);
    if (runs.every(({ beside }) => beside === null)) continue;
    const others = warmUp.map((each) => `${each.questions} ${each.transport}`);
    assert.ok(others.includes('once udp') && others.includes('positive tcp'), name);
  }
});

test('at another rate each warm run is left once', () => {
  const rowsAt5 = (name: string): string[] =>
    atRate(workloads.find((each) => each.name === name)!, 5).runs.map((each) => `${each.name} ${each.rate}`);
  assert.deepEqual(rowsAt5('uncached'), ['uncached 5']);
  assert.deepEqual(rowsAt5('busy'), ['busy 5', 'mixed 5']);
});

test('a load has its rate, a slow one lasts longer, and a scrape in 15 s falls into its run', () => {
  const [workload] = workloads;
  assert.equal(loadOf(workload, 1000).queriesPerSecond, 1000);
  assert.equal(loadOf(workload, 'saturated').queriesPerSecond, null);
  // A server that pauses for 50 ms must not stop the clock.
  assert.ok(loadOf(workload, 20_000).outstanding >= 0.05 * 20_000);
  const seconds = (rate: Rate, each: number, secondsMin = 0): number => secondsOf({ rate, secondsMin }, each);
  assert.deepEqual([seconds(1000, 2), seconds(20_000, 2), seconds('saturated', 2)], [6, 2, 2]);
  assert.deepEqual([seconds(20_000, 1, 15), seconds(20_000, 300, 15), seconds(20_000, 0.1, 15)], [15, 300, 1.5]);
  assert.deepEqual([rateText(20_000), rateText('saturated')], ['20,000 q/s', 'saturated']);
  const mixed = workloads.flatMap(({ runs }) => runs).find(({ name }) => name === 'mixed')!;
  assert.ok(secondsOf(mixed, 1) >= mixed.beside!.scrapeEverySeconds);
});
