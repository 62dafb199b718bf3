import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { replaceFile } from '../../src/config/replace-file.js';

const root = mkdtempSync(path.join(tmpdir(), 'zerohop-replace-'));
after(() => rmSync(root, { recursive: true }));

test('a new file is there as a whole, and who has the old one open keeps it', () => {
  const file = path.join(root, 'Corefile');
  replaceFile(file, 'one');
  const old = openSync(file, 'r');
  replaceFile(file, 'two');
  const bytes = Buffer.alloc(8);
  assert.equal(readSync(old, bytes), 3);
  closeSync(old);
  assert.equal(bytes.toString('latin1', 0, 3), 'one');
  assert.equal(readFileSync(file, 'utf8'), 'two');
  assert.deepEqual(readdirSync(root), ['Corefile'], 'nothing is left beside it');
});
test('where it cannot be put it throws, and nothing is left', () => {
  assert.throws(() => replaceFile(path.join(root, 'none', 'Corefile'), 'x'), /ENOENT/u);
  const folder = path.join(root, 'folder');
  mkdirSync(path.join(folder, 'Corefile'), { recursive: true });
  assert.throws(() => replaceFile(path.join(folder, 'Corefile'), 'x'), /EISDIR|ENOTDIR/u);
  assert.deepEqual(readdirSync(folder), ['Corefile']);
});
