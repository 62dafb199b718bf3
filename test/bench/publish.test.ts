import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../bench/cleanup.js';
import { withContent, writeBeside, writeJson, writePlace } from '../../bench/publish.js';
import { reportOf, samples } from './report-fixture.js';

test('the table takes the place between the markers and leaves the rest', () => {
  const text = 'before\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nafter\n';
  const once = withContent(text, 'bench', 'new $1');
  assert.equal(once, 'before\n<!-- bench:begin -->\nnew $1\n<!-- bench:end -->\nafter\n');
  assert.equal(withContent(once!, 'bench', 'new $1'), once);
  assert.equal(withContent('<!-- bench:end --><!-- bench:begin -->', 'bench', 'new'), null);
  assert.equal(withContent('no markers', 'bench', 'new'), null);
});

test('each place has its markers', () => {
  const text = '<!-- soak:begin --><!-- soak:end --><!-- bench:begin --><!-- bench:end -->';
  assert.equal(
    withContent(text, 'soak', 'new'),
    '<!-- soak:begin -->\nnew\n<!-- soak:end --><!-- bench:begin --><!-- bench:end -->',
  );
});

test('a page without markers, or none at all, stays as it is', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const path = join(folder, 'FIGURES.md');
    assert.equal(writePlace(path, 'bench', 'table'), false);
    assert.equal(existsSync(path), false);
    writeFileSync(path, 'text');
    assert.equal(writePlace(path, 'bench', 'table'), false);
    assert.equal(readFileSync(path, 'utf8'), 'text');
    writeFileSync(path, '<!-- bench:begin --><!-- bench:end -->');
    assert.equal(writePlace(path, 'bench', 'table'), true);
    assert.equal(readFileSync(path, 'utf8'), '<!-- bench:begin -->\ntable\n<!-- bench:end -->');
  });
});

test('the JSON holds every sample, in a file named by time and commit', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const report = reportOf(samples);
    const path = writeJson(join(folder, 'new'), report);
    assert.equal(path, join(folder, 'new', '2026-01-02T030405Z-abc1234.json'));
    const text = readFileSync(path, 'utf8');
    assert.deepEqual(JSON.parse(text), report);
    assert.equal(text.match(/^ *\{.*"othersShare".*\},?$/gm)?.length, 6, 'a line for each sample');
  });
});

test('the chart lies beside the JSON', async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const path = writeBeside(join(folder, 'new'), 'chart.svg', '<svg/>');
    assert.equal(path, join(folder, 'new', 'chart.svg'));
    assert.equal(readFileSync(path, 'utf8'), '<svg/>');
  });
});
