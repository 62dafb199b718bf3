import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readWhole, replaceWhole } from '../../src/outside/replacement.js';

const folder = mkdtempSync(join(tmpdir(), 'zerohop-replacement-'));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'file');
const text = (): string | undefined => readWhole(path) && Buffer.from(readWhole(path) as Uint8Array).toString();

test('comes into place when it is whole, and not when it is abandoned', () => {
  assert.equal(text(), undefined);
  const first = replaceWhole(path);
  first.write(Buffer.from('one '));
  assert.equal(text(), undefined);
  first.write(Buffer.from('two'));
  first.commit();
  first.abandon();
  assert.equal(text(), 'one two');
  const second = replaceWhole(path);
  second.write(Buffer.from('three'));
  second.abandon();
  second.abandon();
  assert.equal(text(), 'one two');
  assert.deepEqual(readdirSync(folder), ['file']);
});

test('other errors than absence are thrown', () => {
  assert.throws(() => replaceWhole(join(folder, 'nowhere', 'file')), { code: 'ENOENT' });
  assert.throws(() => readWhole(folder), { code: 'EISDIR' });
});
