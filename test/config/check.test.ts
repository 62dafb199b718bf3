import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check } from '../../src/config/check.js';
import { parseConfig } from '../../src/config/load.js';
import { testOptions } from './options.js';

function run(files: Readonly<Record<string, string>>, names = Object.keys(files)) {
  const lines: string[] = [];
  const exitCode = check(names, testOptions(files), (line) => lines.push(line));
  return { lines, exitCode };
}
const good = '. {\nforward . 10.0.0.1\n}\n';

test('a good file is ok in one line', () => {
  assert.deepEqual(run({ '/a': good }), { lines: ['/a: ok, 1 server block, 0 warnings'], exitCode: 0 });
});
test('warnings come first and do not fail', () => {
  const { lines, exitCode } = run({ '/a': '. {\nforward . 10.0.0.1\nbufsize 4096\n}\nb. {\nforward . 10.0.0.1\n}\n' });
  assert.equal(exitCode, 0);
  assert.match(lines[0], /^\/a:3: warning: bufsize: /u);
  assert.equal(lines[1], '/a: ok, 2 server blocks, 1 warning');
});
test('an error fails, after the warnings that may explain it, and the next file is still checked', () => {
  const { lines, exitCode } = run({ '/a': '. {\nforward . {$GONE}\n}\n', '/b': good });
  assert.equal(exitCode, 2);
  assert.match(lines[0], /^\/a:2: warning: the variable \{\$GONE\} is not set/u);
  assert.match(lines[1], /^\/a:2: error: forward: an upstream is empty/u);
  assert.equal(lines[2], '/b: ok, 1 server block, 0 warnings');
});
test('a file that is not there fails', () => {
  const { lines, exitCode } = run({}, ['/none']);
  assert.equal(exitCode, 2);
  assert.deepEqual(lines, [
    '/none: error: the Corefile cannot be read (no such file: /none); give -conf a file that this user may read.',
  ]);
});
test('without a file the built-in configuration is printed, and it is a Corefile', () => {
  const { lines, exitCode } = run({}, []);
  assert.equal(exitCode, 0);
  assert.equal(parseConfig(lines.join('\n'), 'printed', testOptions()).blocks.length, 4);
});
