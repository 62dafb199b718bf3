import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { replaceText } from '../../src/os/files.js';
import { writePidFile } from '../../src/process/pid-file.js';
import { seededRandom } from '../simulation/random.js';

const root = mkdtempSync(path.join(tmpdir(), 'zerohop-pid-'));
after(() => rmSync(root, { recursive: true }));

function logging() {
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  return { lines, world: { log: { debug: say, info: say, warn: say, error: say }, random: seededRandom(1) } };
}

test('the file holds the process id and a line end, and is taken away', () => {
  const file = path.join(root, 'pid');
  const { lines, world } = logging();
  const remove = writePidFile(file, world);
  assert.equal(readFileSync(file, 'utf8'), `${process.pid}\n`);
  remove();
  assert.equal(existsSync(file), false);
  remove();
  assert.deepEqual(lines, []);
});
test('one that somebody else has written since stays', () => {
  const file = path.join(root, 'taken');
  const remove = writePidFile(file, logging().world);
  writeFileSync(file, '1\n');
  remove();
  assert.equal(readFileSync(file, 'utf8'), '1\n');
});
test('one of another process with the same id, as in another container, stays', () => {
  const file = path.join(root, 'same');
  const remove = writePidFile(file, logging().world);
  replaceText(file, `${process.pid}\n`, seededRandom(2));
  remove();
  assert.equal(existsSync(file), true);
});
test('one that cannot be written is a line in the log; none is none', () => {
  const { lines, world } = logging();
  writePidFile(path.join(root, 'none', 'pid'), world)();
  assert.match(lines.join('\n'), /^-pidfile: ENOENT: [^\n]*$/u);
  writePidFile(null, world)();
  assert.equal(lines.length, 1);
});
