import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rate } from '../../bench/load/workloads.js';
import { figures, type Report, workersFigures } from '../../bench/report.js';
import { verdicts } from '../../bench/targets.js';
import { reportOf, sample } from './report-fixture.js';

/** A report in which each server has this cost at the work. */
function costs(name: string, rate: Rate, of: Readonly<Record<string, number>>): Report {
  const samples = new Map(Object.entries(of).map(([server, cost]) => [server, [sample(cost)]]));
  return { ...reportOf(new Map()), workloads: [figures({ name, title: name, rate }, samples)] };
}

test('of several peers the cheapest counts', () => {
  const report = costs('cached', 'saturated', { zerohop: 4.5, dnsdist: 6, unbound: 5, dnsmasq: 9 });
  assert.deepEqual(verdicts(report), [
    {
      promise: 'CPU, cached, saturated: at most 0.85 × the best of dnsdist, unbound, dnsmasq',
      measured: '0.90 × unbound',
      isMet: false,
    },
  ]);
});

test('exactly as promised is met, and who was not measured is not judged', () => {
  const [verdict, ...more] = verdicts(costs('cached', 20_000, { zerohop: 12, dnsdist: 12, unbound: 3 }));
  assert.deepEqual([verdict.measured, verdict.isMet, more], ['1.00 × dnsdist', true, []]);
  assert.deepEqual(
    verdicts(costs('uncached', 'saturated', { zerohop: 9, unbound: 20, 'node-cache': 40 })).map(
      ({ measured, isMet }) => `${measured} ${isMet}`,
    ),
    ['0.45 × unbound true', '0.23 × node-cache true'],
  );
  assert.deepEqual(verdicts(costs('cached', 'saturated', { zerohop: 4 })), []);
});

test('latency is compared with every peer, and ten microseconds are no difference', () => {
  const at = (p99: number) => [sample(4, { percentilesMs: { p50: 0.1, p99, p999: 1, max: 3 } })];
  const servers = new Map([
    ['zerohop', at(0.305)],
    ['dnsdist', at(0.3)],
    ['unbound', at(0.4)],
  ]);
  const judged = (its: typeof servers): boolean[] =>
    verdicts({ ...reportOf(new Map()), workloads: [figures({ name: 'cached', title: 'c', rate: 1000 }, its)] })
      .filter(({ promise }) => promise.startsWith('p'))
      .map(({ isMet }) => isMet);
  assert.deepEqual(judged(servers), [true, true, true]);
  assert.deepEqual(judged(new Map([...servers, ['zerohop', at(0.35)]])), [true, false, true]);
});

test('memory and hit ratios are judged by our own figures', () => {
  const steps = [
    { entries: 0, anonymousBytes: 30_000_000 },
    { entries: 10_000, anonymousBytes: 40_000_001 },
    { entries: 100_000, anonymousBytes: null },
  ];
  const workers = [0.9, 0.92].map((hitRatio, index) => workersFigures(index + 1, [{ ...sample(4), hitRatio }]));
  const report: Report = { ...reportOf(new Map()), workloads: [], memory: [{ name: 'zerohop', steps }], workers };
  assert.deepEqual(
    verdicts(report).map(({ measured, isMet }) => `${measured} ${isMet}`),
    ['30.0 MB true', '40.0 MB false', '1: 0.9000, 2: 0.9200 false'],
  );
});
