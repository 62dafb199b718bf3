import assert from 'node:assert/strict';
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { makeFolders, readPieces, readTrusted, replaceText, replaceWhole } from '../../src/os/files.js';
import { seededRandom } from '../simulation/random.js';

const root = mkdtempSync(join(tmpdir(), 'zerohop-replacement-'));
after(() => rmSync(root, { recursive: true }));
let folder: string;
let path: string;
let number = 0;
beforeEach(() => {
  folder = join(root, String(++number));
  mkdirSync(folder);
  path = join(folder, 'file');
});
const text = (): string | undefined => readTrusted(path, 100) && Buffer.from(readTrusted(path, 100)!).toString();

test('comes into place when it is whole, and not when it is abandoned', () => {
  const random = seededRandom(1);
  assert.equal(text(), undefined);
  const first = replaceWhole(path, random);
  first.write(Buffer.from('one '));
  assert.equal(text(), undefined);
  first.write(Buffer.from('two'));
  first.commit();
  first.abandon();
  assert.equal(text(), 'one two');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const second = replaceWhole(path, random);
  second.write(Buffer.from('three'));
  second.abandon();
  second.abandon();
  assert.equal(text(), 'one two');
  assert.deepEqual(readdirSync(folder), ['file']);
});

test('two that write at once each put a whole file in place', () => {
  const [one, other] = [seededRandom(1), seededRandom(2)].map((random) => replaceWhole(path, random));
  one.write(Buffer.from('one'));
  other.write(Buffer.from('other'));
  one.commit();
  assert.equal(text(), 'one');
  other.commit();
  assert.equal(text(), 'other');
});

test('a name beside it that somebody has taken is not written to', () => {
  const victim = join(folder, 'victim');
  writeFileSync(victim, 'precious');
  replaceWhole(path, seededRandom(7)).write(Buffer.from('a'));
  const [taken] = readdirSync(folder).filter((name) => name.endsWith('.new'));
  assert.match(taken, /^file\.[0-9a-f]{16}\.new$/u);
  assert.throws(() => replaceWhole(path, seededRandom(7)), { code: 'EEXIST' });
  rmSync(join(folder, taken));
  symlinkSync(victim, join(folder, taken));
  assert.throws(() => replaceText(path, 'b', seededRandom(7)), { code: 'EEXIST' });
  assert.equal(readFileSync(victim, 'utf8'), 'precious');
  assert.ok(lstatSync(join(folder, taken)).isSymbolicLink());
});

test('a text is there as a whole, readable by all, and who has the old one open keeps it', () => {
  replaceText(path, 'one', seededRandom(1));
  const old = openSync(path, 'r');
  replaceText(path, 'two', seededRandom(2));
  const bytes = Buffer.alloc(8);
  assert.equal(readSync(old, bytes), 3);
  closeSync(old);
  assert.equal(bytes.toString('latin1', 0, 3), 'one');
  assert.equal(text(), 'two');
  assert.equal(statSync(path).mode & 0o777, 0o644 & ~process.umask());
  assert.deepEqual(readdirSync(folder), ['file'], 'nothing is left beside it');
});

test('where it cannot be put it throws, and nothing is left', () => {
  const nowhere = join(folder, 'nowhere', 'file');
  assert.throws(() => replaceText(nowhere, 'x', seededRandom(1)), { code: 'ENOENT' });
  mkdirSync(path);
  assert.throws(() => replaceText(path, 'x', seededRandom(1)), /EISDIR|ENOTDIR/u);
  const whole = replaceWhole(path, seededRandom(1));
  assert.throws(() => whole.commit(), /EISDIR|ENOTDIR/u);
  whole.abandon();
  assert.deepEqual(readdirSync(folder), ['file']);
});

test('what was left long ago is removed, and nothing else', () => {
  const names = ['file.0.new', 'file.0123456789abcdef.new', 'file.x.new', 'file.0.old', 'other.0.new'];
  for (const name of names) {
    writeFileSync(join(folder, name), '');
    utimesSync(join(folder, name), 1, 1);
  }
  writeFileSync(join(folder, 'file.1.new'), 'being written');
  replaceText(path, 'x', seededRandom(1));
  assert.deepEqual(readdirSync(folder).sort(), ['file', 'file.0.old', 'file.1.new', 'file.x.new', 'other.0.new']);
});

test('a file of more bytes, a folder and a link are not read', () => {
  writeFileSync(path, 'four', { mode: 0o600 });
  assert.equal(readTrusted(path, 4)?.length, 4);
  assert.throws(() => readTrusted(path, 3), /larger than 3 bytes/u);
  assert.throws(() => readTrusted(folder, 100), /not a regular file/u);
  const link = join(folder, 'link');
  symlinkSync(path, link);
  assert.throws(() => readTrusted(link, 100), /symbolic link/u);
});

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

test('folders are made with all that they are in, once, and a refusal is an error, also where it is ENOENT', () => {
  const path = join(root, 'one', 'two', 'three');
  makeFolders(path, 0o700);
  makeFolders(path, 0o700);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  assert.throws(() => makeFolders('/proc/zerohop/two', 0o700), { code: 'ENOENT' });
});
