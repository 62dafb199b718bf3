import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rate } from '../../bench/load/workloads.js';
import { figures, type Report, workersFigures } from '../../bench/report.js';
import { verdicts } from '../../bench/targets.js';
import { moves, reportOf, sample } from './report-fixture.js';

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

test('the mix of a node is judged against dnsdist, its longest hit by the clock too', () => {
  const at = (max: number) => [
    sample(4, { answers: 21_500, answersPerSecond: 2_150, percentilesMs: { p50: 0.1, p99: 0.2, p999: 1, max } }),
  ];
  const its = (longest: number) =>
    new Map([
      ['zerohop', at(longest)],
      ['dnsdist', at(5.5)],
      ['unbound', at(1)],
    ]);
  const judged = (longest: number): string[] => {
    const workloads = [figures({ name: 'mixed', title: 'm', rate: 20_000 }, its(longest))];
    const latencies = verdicts({ ...reportOf(new Map()), workloads }).filter(
      ({ promise }) => !promise.startsWith('CPU'),
    );
    return latencies.map(({ promise, measured, isMet }) => `${promise.split(',')[0]} ${measured} ${isMet}`);
  };
  assert.deepEqual(judged(5.2), [
    'p50 0.100 ms; dnsdist 0.100 true',
    'p99 0.200 ms; dnsdist 0.200 true',
    'p99.9 1.000 ms; dnsdist 1.000 true',
    'longest 5.200 ms; dnsdist 5.500 true',
    'longest 5.2 ms in 10 s false',
  ]);
  assert.deepEqual(judged(6).slice(3), ['longest 6.000 ms; dnsdist 5.500 false', 'longest 6.0 ms in 10 s false']);
  assert.equal(judged(5).at(-1), 'longest 5.0 ms in 10 s true');
});

test('cold misses are compared with warm ones of the same process at the same rate', () => {
  const work = (name: string, rate: Rate, its: readonly number[]) =>
    figures({ name, title: name, rate }, new Map([['zerohop', its.map((cost) => sample(cost))]]));
  const judged = (cold: readonly number[]) =>
    verdicts({
      ...reportOf(new Map()),
      workloads: [
        work('cold', 2000, cold),
        work('uncached', 'saturated', [1, 1, 1]),
        work('uncached', 2000, [10, 20, 30]),
      ],
    }).map(({ measured, isMet }) => `${measured} ${isMet}`);
  assert.deepEqual(judged([12, 24, 60]), ['1.20 × warm true']);
  assert.deepEqual(judged([12, 25, 60]), ['1.25 × warm false']);
});

test('a move is judged by its time and by the hits beside it', () => {
  assert.deepEqual(
    verdicts({ ...reportOf(new Map()), moves: [moves] }).map(({ promise, measured, isMet }) => [
      promise,
      measured,
      isMet,
    ]),
    [
      ['reload of 100,000 names: less than 1000 ms', '200 ms at most', true],
      ['reload of 100,000 names: p99 of hits as in the second before', '0.300 ms; before 0.300', true],
      ['takeover of 100,000 names: less than 1000 ms', '1100 ms at most', false],
      ['takeover of 100,000 names: p99 of hits as in the second before', '1.200 ms; before 0.300', false],
    ],
  );
});

test('memory is judged by the version of Node.js', () => {
  const steps = [{ entries: 100_000, anonymousBytes: 65_000_000 }];
  const judged = (node: string): string[] => {
    const report = reportOf(new Map());
    return verdicts({ ...report, machine: { ...report.machine, node }, memory: [{ name: 'zerohop', steps }] }).map(
      ({ promise, isMet }) => `${promise} ${isMet}`,
    );
  };
  assert.deepEqual(judged('v20.20.2'), ['anonymous memory with 100,000 answers: at most 60 MB false']);
  assert.deepEqual(judged('v24.1.0'), ['anonymous memory with 100,000 answers: at most 70 MB true']);
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
