/** The command as it is run, tiny: real servers, one workload, one round; and what it says when it cannot. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inTemporaryFolder } from '../../bench/cleanup.js';
import { twoCores } from '../../bench/machine.js';
import type { Report } from '../../bench/report.js';
import { needs, run, start } from '../real/commands.js';

const bench = [process.execPath, join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bench', 'run.js')];
const oneCore = twoCores() === null ? 'needs two cores' : false;

test('one round of cached answers gives a table and JSON, and no answer is wrong', {
  skip: needs('dnsperf', 'unbound', 'knotd', 'taskset') || oneCore,
}, async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const words = [
      '--only',
      'cached',
      '--rounds',
      '1',
      '--seconds',
      '0.2',
      '--servers',
      'unbound,echo',
      '--results',
      folder,
    ];
    const { status, stdout, stderr } = await run([...bench, ...words], 60_000);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /\| cached answer over UDP, saturated \| zerohop \| \*\*\d/);
    assert.match(stderr, /1\/1 unbound +cached, saturated +\d/);
    const [file, drawn] = readdirSync(folder).sort();
    const report = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Report;
    assert.match(readFileSync(join(folder, drawn), 'utf8'), /^<svg [\s\S]*zerohop[\s\S]*<\/svg>\n$/);
    assert.deepEqual(
      report.workloads.map(({ rate }) => rate),
      ['saturated', 20_000, 1000],
    );
    const [zerohop, unbound, echo] = report.workloads[0].servers;
    assert.equal(echo.wrong, 0);
    assert.ok(report.workloads[2].servers.every(({ percentilesMs }) => percentilesMs!.p50 > 0));
    assert.deepEqual([zerohop.name, zerohop.wrong, unbound.name, unbound.wrong], ['zerohop', 0, 'unbound', 0]);
    assert.ok(zerohop.answers > 100 && unbound.answers > 100);
    assert.ok(zerohop.microsecondsPerAnswer.median > 0 && unbound.ratio!.median > 0);
  });
});

test('missing programs are one sentence', async () => {
  const program = start([...bench, '--servers', 'unbound'], { PATH: '' });
  const { status, stderr } = await program.finished;
  assert.deepEqual(
    [status, stderr],
    [1, 'The bench needs dnsperf and knotd and taskset and unbound: apt-get install dnsperf knot util-linux unbound\n'],
  );
});

test('bad usage is one sentence and exit code 2', async () => {
  const { status, stdout, stderr } = await run([...bench, '--only', 'everything']);
  assert.deepEqual([status, stdout], [2, '']);
  assert.match(stderr, /^--only takes one of cached, .* \(npm run bench -- --help\)\n$/);
});
