import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { openFilesMax, raiseOpenFiles } from '../../src/os/open-files.js';

test('the limit of open files is what the kernel says', () => {
  const limit = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  assert.equal(openFilesMax(), limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit));
});

test('what to do names a limit that is enough', () => {
  assert.match(raiseOpenFiles(), /to 1024 or more \(ulimit -n/u);
  assert.match(raiseOpenFiles(5_000), /to 5000 or more/u);
});
