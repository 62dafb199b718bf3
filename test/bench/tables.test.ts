import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rate } from '../../bench/load/workloads.js';
import { figures, type Report, type WorkloadFigures, workersFigures } from '../../bench/report.js';
import { costsTable, longTable, shortTables } from '../../bench/tables.js';
import { cached, moves, reportOf, sample, samples } from './report-fixture.js';

test('the long table shows what was lost and what was wrong', () => {
  const lines = longTable(reportOf(samples)).split('\n');
  assert.ok(lines[0].includes('zerohop ÷ server'));
  assert.equal(
    lines[2],
    '| cached answer, saturated | zerohop | **5.00** (4.00–6.00) | 1.25 | 100,000 |  | 0 | 0 |  |',
  );
  assert.equal(
    lines[3],
    '|  | unbound | **8.00** (8.00–10.00) | 2.00 | 100,000 |  | 6 (0.20 %) | 30 (1.0 %) | **0.50** (0.50–0.75) |',
  );
  assertEven(lines);
});

test('the short tables have a column per server, and nothing of what was not measured', () => {
  const text = shortTables(reportOf(samples));
  assert.ok(text.includes('| work | zerohop | unbound |'));
  assert.ok(text.includes('| **5.0** (1.3 + 3.8) | **8.0** (2.0 + 6.0) (lost 6, wrong 30) |'));
  assert.doesNotMatch(text, /Latency|Memory|memory|Workers|not idle|with changes/);
  for (const part of ['`npm run bench`', '2026-01-02', 'abc1234', '3 interleaved rounds of 5 s', 'dnsperf 2.10.0']) {
    assert.ok(text.includes(part), part);
  }
});

test('a server that did not do some work leaves its cell empty', () => {
  const other = figures({ name: 'echo', title: 'echo', rate: 1000 }, new Map([['zerohop', [sample(30)]]]));
  const report: Report = { ...reportOf(samples), workloads: [figures(cached, samples), other] };
  const lines = shortTables(report).split('\n');
  assert.ok(lines.includes('| echo, 1,000 q/s | **30.0** (7.5 + 22.5) |  |'));
});

test('latency, memory and threads get a table each when they were measured', () => {
  const timed = sample(4, { percentilesMs: { p50: 0.05, p99: 0.2, p999: 1.25, max: 3 } });
  const threads = [1, 2].map((workers) => workersFigures(workers, [{ ...timed, hitRatio: 0.9251 }]));
  const memory = [
    { entries: 0, anonymousBytes: 25_000_000 },
    { entries: 100_000, anonymousBytes: null },
  ];
  const report: Report = {
    ...reportOf(new Map([['zerohop', [timed]]])),
    memory: [{ name: 'dnsmasq', steps: memory }],
    workers: threads,
  };
  const text = shortTables(report);
  assert.ok(text.includes('| cached answer, saturated | 0.050, 0.200, 1.250, 3.0 |'));
  assert.ok(text.includes('| server | after start | 100,000 answers cached |\n|---|--:|--:|\n| dnsmasq | 25.0 |  |'));
  assert.ok(text.includes('| 2 | **4.00** (4.00–4.00) | 100,000 | 0.9251 | 0 | 500,000 answers/s |'));
  for (const block of text.split('\n\n')) if (block.startsWith('|')) assertEven(block.split('\n'));
});

test('a report of an earlier version has no longest answers and no moves, and is shown without', () => {
  const {
    moves: _,
    workloads,
    ...earlier
  } = reportOf(new Map([['zerohop', [sample(4, { percentilesMs: { p50: 0.05, p99: 0.2, p999: 1.25, max: 3 } })]]]));
  const without = workloads.map((workload) => ({
    ...workload,
    servers: workload.servers.map(({ longestMs: _longest, ...server }) => server),
  }));
  const text = shortTables({ ...earlier, workloads: without });
  assert.ok(text.includes('**Latency p50, p99, p99.9, ms**'));
  assert.ok(text.includes('| cached answer, saturated | 0.050, 0.200, 1.250 |'));
  assert.doesNotMatch(text, /longest|Moves/);
});

test('moves have a table with the hits beside them', () => {
  const text = shortTables({ ...reportOf(samples), moves: [moves] });
  assert.ok(text.includes('**Moves of a process with 100,000 answers cached, hits at 5,000 q/s**'));
  assert.ok(
    text.includes('| reload | **200** (200–200) | 100 | 0.100, 0.300, 1.000, 3.0 | 0.100, 0.300, 1.000, 2.0 | 7 |'),
  );
  assert.ok(text.includes('| takeover | **1000** (900–1100) | 500 | 0.100, 1.200, 1.000, 20.0 |'));
  for (const block of text.split('\n\n')) if (block.startsWith('|')) assertEven(block.split('\n'));
});

test('of the costs, what is measured best is shown', () => {
  const its = new Map([['zerohop', [sample(40)]]]);
  const steps = [{ entries: 10_000, anonymousBytes: 25_400_000 }];
  const at = (name: string, rate: Rate) => figures({ name, title: name, rate }, its);
  const text = (workloads: readonly WorkloadFigures[]): string =>
    costsTable({ ...reportOf(its), workloads, memory: [{ name: 'zerohop', steps }] });
  const earlier = text([at('uncached', 'saturated'), at('busy', 20_000)]);
  assert.ok(earlier.includes('| 1,000 answers a second from the upstream, over TCP | 4.0 % of a core |'));
  assert.ok(earlier.includes('(`busy`) | 80 % of a core |') && !earlier.includes('a scrape in 15 s'));
  const slow = figures({ name: 'uncached', title: 'miss', rate: 1000 }, new Map([['zerohop', [sample(90)]]]));
  const now = text([at('uncached', 'saturated'), slow, at('busy', 20_000), at('mixed', 20_000)]);
  assert.ok(now.includes('| 1,000 answers a second from the upstream, over TCP | 9.0 % of a core |'));
  assert.ok(now.includes('a scrape in 15 s | 86 % of a core |') && !now.includes('`busy`'));
});

test('the table of costs has shares of a core, and a column for each cache whose memory was measured', () => {
  const timed = sample(4, { percentilesMs: { p50: 0.05, p99: 0.2, p999: 1.25, max: 3 } });
  const its = new Map(['zerohop', 'dnsmasq', 'node-cache'].map((name) => [name, [timed]]));
  const steps = [{ entries: 10_000, anonymousBytes: 25_400_000 }];
  const report: Report = {
    ...reportOf(its),
    workloads: [figures({ name: 'cached', title: 'cached answer', rate: 20_000 }, its)],
    memory: ['zerohop', 'dnsmasq', 'node-cache'].map((name) => ({ name, steps })),
  };
  const text = costsTable(report);
  assert.ok(text.includes('|  | zerohop | node-cache |\n|---|--:|--:|\n'));
  assert.ok(text.includes('| 20,000 cached answers a second | 8.0 % of a core | 8.0 % of a core |'));
  assert.ok(text.includes('| p99 latency of these | 0.20 ms | 0.20 ms |'));
  assert.ok(text.includes('| memory with 10,000 answers cached | 25 MB | 25 MB |'));
  assert.ok(text.includes('| memory with 100,000 answers cached |  |  |'));
  assertEven(text.split('\n\n')[0].split('\n'));
});

test('a neighbour on the core, and changes that are in no commit, are told', () => {
  const disturbed = new Map([['zerohop', [sample(4, { othersShare: 0.2 })]]]);
  const text = shortTables({ ...reportOf(disturbed), commit: { name: 'abc1234', dirty: true } });
  assert.match(text, /up to 20 % of the server's core went to other processes/);
  assert.match(text, /abc1234 with changes/);
});

test('what had to be measured again is told', () => {
  const text = shortTables({ ...reportOf(samples), repeated: ['unbound, cached: no answer', 'zerohop: ended with 1'] });
  assert.ok(text.endsWith('Measured once more after a failure: unbound, cached: no answer; zerohop: ended with 1.'));
});

test('one round is one round', () => {
  const text = shortTables({ ...reportOf(samples), rounds: 1 });
  assert.ok(text.includes('of 1 interleaved round of 5 s'));
});

function assertEven(lines: readonly string[]): void {
  assert.equal(new Set(lines.map((line) => line.split('|').length)).size, 1, 'every line has as many cells');
}
