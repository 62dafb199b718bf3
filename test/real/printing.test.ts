/** What the built program prints, to a reader that goes away and to a disk that is full. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { builtEntry } from '../corpus/repository.js';
import { needs } from './commands.js';

const skip = needs('bash', 'grep');

const folder = mkdtempSync(join(tmpdir(), 'zerohop-printing-'));
const good = join(folder, 'good');
const broken = join(folder, 'broken');
writeFileSync(good, '. {\nforward . 10.0.0.1\n}\n');
writeFileSync(broken, '. {\nforwrad . 10.0.0.1\n}\n');
test.after(() => rmSync(folder, { recursive: true }));

const commands: readonly (readonly [args: string, exitCode: number])[] = [
  ['--help', 0],
  ['--version', 0],
  ['-plugins', 0],
  ['check', 0],
  [`check ${good}`, 0],
  [`check ${broken}`, 2],
  ['demo', 0],
];

for (const [args, exitCode] of commands) {
  test(`zerohop ${args.replaceAll(`${folder}/`, '')}: a reader that goes away ends it with ${exitCode} and not a word`, {
    skip,
  }, async () => {
    assert.deepEqual(await shell(`${program} ${args} | true`), { exitCode, complained: '' });
  });
}

test('a Corefile is checked as it comes out of a pipe, and so is the report on it', { skip }, async () => {
  const { exitCode, complained } = await shell(
    `${program} check | ${program} check -o json /dev/stdin | grep -q '"ok": true'`,
  );
  assert.deepEqual({ exitCode, complained }, { exitCode: 0, complained: '' });
});

test('what cannot be written is one sentence and exit 1', { skip }, async () => {
  const { exitCode, complained } = await shell(`${program} check >/dev/full`);
  assert.equal(exitCode, 1);
  assert.match(complained, /^zerohop: cannot write to stdout: ENOSPC[^\n]*\n$/u);
});

test('a sentence that nobody reads changes no exit code', { skip }, async () => {
  assert.deepEqual(await shell(`${program} -confg x 2> >(true)`), { exitCode: 2, complained: '' });
});

const program = `"${process.execPath}" "${builtEntry}"`;

/** Runs a line of bash in which the first of a pipe that fails counts. */
function shell(line: string): Promise<{ exitCode: number | null; complained: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', `set -o pipefail; ${line}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 20_000,
    });
    let complained = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complained += text;
    });
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ exitCode, complained }));
  });
}
