import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../bench/cleanup.js';
import type { Sample } from '../../bench/load/measure.js';
import { figures, type Report, table, withTable, writeJson, writeReadme } from '../../bench/report.js';

function sample(microsecondsPerAnswer: number, rest: Partial<Sample> = {}): Sample {
  return {
    microsecondsPerAnswer,
    userMicrosecondsPerAnswer: microsecondsPerAnswer / 4,
    systemMicrosecondsPerAnswer: (microsecondsPerAnswer * 3) / 4,
    answersPerSecond: 100_000,
    sent: 1000,
    answers: 1000,
    lost: 0,
    wrong: 0,
    latencyMs: { average: 1, min: 0.1, max: 5, deviation: 0.2 },
    serverShare: 0.9,
    othersShare: 0.01,
    ...rest,
  };
}

const cached = { name: 'cached', title: 'cached answer' };
const samples = new Map([
  ['zerohop', [sample(4), sample(5), sample(6)]],
  ['unbound', [sample(8, { lost: 6 }), sample(10), sample(8, { wrong: 30 })]],
]);

function reportOf(its: ReadonlyMap<string, readonly Sample[]>): Report {
  return {
    command: 'npm run bench',
    at: '2026-01-02T03:04:05.678Z',
    commit: { name: 'abc1234', dirty: false },
    machine: { cpu: 'A CPU', cores: 2, kernel: '6.1', node: 'v20.1.0', loadBefore: 0.1 },
    versions: { dnsperf: '2.10.0' },
    cores: { server: 0, load: 1 },
    rounds: 3,
    seconds: 5,
    workloads: [figures(cached, its)],
  };
}

test('figures are medians, ratios pair the rounds, and losses are added up', () => {
  const [zerohop, unbound] = figures(cached, samples).servers;
  assert.deepEqual(zerohop.microsecondsPerAnswer, { median: 5, min: 4, max: 6 });
  assert.equal(zerohop.ratio, null);
  assert.deepEqual(unbound.ratio, { median: 0.5, min: 0.5, max: 0.75 });
  assert.deepEqual([unbound.answers, unbound.lost, unbound.wrong], [3000, 6, 30]);
  assert.equal(unbound.userMicrosecondsPerAnswer, 2);
});

test('the table shows what was lost, what was wrong, and where it comes from', () => {
  const lines = table(reportOf(samples)).split('\n');
  assert.equal(lines[0].includes('zerohop ÷ server'), true);
  assert.equal(lines[2], '| cached answer | zerohop | **5.00** (4.00–6.00) | 1.25 | 100,000 | 0 | 0 |  |');
  assert.equal(
    lines[3],
    '|  | unbound | **8.00** (8.00–10.00) | 2.00 | 100,000 | 6 (0.20 %) | 30 (1.0 %) | **0.50** (0.50–0.75) |',
  );
  const cells = lines.slice(0, 4).map((line) => line.split('|').length);
  assert.deepEqual(new Set(cells).size, 1, 'every line has as many cells');
  const text = lines.join('\n');
  for (const part of ['`npm run bench`', '2026-01-02', 'abc1234', '3 interleaved rounds of 5 s', 'dnsperf 2.10.0']) {
    assert.ok(text.includes(part), part);
  }
  assert.doesNotMatch(text, /not idle|with changes/);
});

test('a neighbour on the core, and changes that are in no commit, are told', () => {
  const disturbed = new Map([['zerohop', [sample(4, { othersShare: 0.2 })]]]);
  const report = { ...reportOf(disturbed), commit: { name: 'abc1234', dirty: true } };
  assert.match(table(report), /up to 20 % of the server's core went to other processes/);
  assert.match(table(report), /abc1234 with changes/);
});

test('the table takes the place between the markers and leaves the rest', () => {
  const text = 'before\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nafter\n';
  const once = withTable(text, 'new $1');
  assert.equal(once, 'before\n<!-- bench:begin -->\nnew $1\n<!-- bench:end -->\nafter\n');
  assert.equal(withTable(once!, 'new $1'), once);
  assert.equal(withTable('<!-- bench:end --><!-- bench:begin -->', 'new'), null);
  assert.equal(withTable('no markers', 'new'), null);
});

test('a README without markers, or none at all, stays as it is', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const path = join(folder, 'README.md');
    assert.equal(writeReadme(path, 'table'), false);
    assert.equal(existsSync(path), false);
    writeFileSync(path, 'text');
    assert.equal(writeReadme(path, 'table'), false);
    assert.equal(readFileSync(path, 'utf8'), 'text');
    writeFileSync(path, '<!-- bench:begin --><!-- bench:end -->');
    assert.equal(writeReadme(path, 'table'), true);
    assert.equal(readFileSync(path, 'utf8'), '<!-- bench:begin -->\ntable\n<!-- bench:end -->');
  });
});

test('the JSON holds every sample, in a file named by time and commit', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const report = reportOf(samples);
    const path = writeJson(join(folder, 'new'), report);
    assert.equal(path, join(folder, 'new', '2026-01-02T030405Z-abc1234.json'));
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), report);
  });
});
