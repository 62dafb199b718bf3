import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readPieces } from '../../src/os/reading.js';

test('a file is read up to a bound, and one that cannot be read is undefined', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-reading-'));
  const path = join(folder, 'file');
  const bytes = Buffer.from(Array.from({ length: 700_001 }, (_, index) => index & 255));
  writeFileSync(path, bytes);
  assert.deepEqual(Buffer.concat((await readPieces(path, 1_000_000))!), bytes);
  assert.deepEqual(Buffer.concat((await readPieces(path, 300_000))!), bytes.subarray(0, 300_000));
  assert.ok((await readPieces(path, 1_000_000))!.every(({ length }) => length <= 256 * 1024));
  writeFileSync(path, '');
  assert.equal((await readPieces(path, 10))?.length, 0);
  assert.equal(await readPieces(join(folder, 'none'), 10), undefined);
  assert.equal(await readPieces(folder, 10), undefined);
  rmSync(folder, { recursive: true });
});
