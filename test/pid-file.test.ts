import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { writePidFile } from '../src/pid-file.js';

const root = mkdtempSync(path.join(tmpdir(), 'zerohop-pid-'));
after(() => rmSync(root, { recursive: true }));

function logging() {
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  return { lines, log: { debug: say, info: say, warn: say, error: say } };
}

test('the file holds the process id and a line end, and is taken away', () => {
  const file = path.join(root, 'pid');
  const { lines, log } = logging();
  const remove = writePidFile(file, log);
  assert.equal(readFileSync(file, 'utf8'), `${process.pid}\n`);
  remove();
  assert.equal(existsSync(file), false);
  remove();
  assert.deepEqual(lines, []);
});
test('one that somebody else has written since stays', () => {
  const file = path.join(root, 'taken');
  const remove = writePidFile(file, logging().log);
  writeFileSync(file, '1\n');
  remove();
  assert.equal(readFileSync(file, 'utf8'), '1\n');
});
test('one that cannot be written is a line in the log; none is none', () => {
  const { lines, log } = logging();
  writePidFile(path.join(root, 'none', 'pid'), log)();
  assert.match(lines.join('\n'), /^-pidfile: ENOENT: [^\n]*$/u);
  writePidFile(null, log)();
  assert.equal(lines.length, 1);
});
