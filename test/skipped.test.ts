import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import skipped, { type ReportedEvent } from './skipped.js';

async function said(...events: ReportedEvent[]): Promise<string> {
  let text = '';
  for await (const part of skipped(
    (async function* () {
      yield* events;
    })(),
  ))
    text += part;
  return text;
}

test('without a skipped test nothing is said', async () => {
  assert.equal(await said({ type: 'test:pass', data: {} }, { type: 'test:start', data: { skip: 'needs dig' } }), '');
});

test('each reason is counted, the most frequent first', async () => {
  const pass = (skip: string | boolean): ReportedEvent => ({ type: 'test:pass', data: { skip } });
  assert.equal(
    await said(pass('needs root, dig'), pass('needs root'), pass(false), pass('runs on Linux only'), pass(true)),
    `
4 tests or groups of tests were skipped:
     2  needs root
     1  (no reason given)
     1  needs dig
     1  runs on Linux only
`,
  );
});

test('node:test gives the reasons of tests and of groups to it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-skipped-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'some.test.mjs');
  writeFileSync(
    file,
    `import { describe, test } from 'node:test';
     test('one', { skip: 'needs dig' }, () => {});
     test('two', () => {});
     describe('three', { skip: 'needs root, dig' }, () => test('four', () => {}));`,
  );
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const reporter = fileURLToPath(new URL('./skipped.js', import.meta.url));
  const { stdout } = spawnSync(process.execPath, ['--test', `--test-reporter=${reporter}`, file], {
    encoding: 'utf8',
    env: environment,
  });
  assert.match(stdout, /^\n2 tests or groups of tests were skipped:\n {5}2 {2}needs dig\n {5}1 {2}needs root\n$/u);
});
