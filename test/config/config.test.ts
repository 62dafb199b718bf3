import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, eachOf, Findings, formatDiagnostic } from '../../src/config/config.js';

test('a place is file and line; a whole file has no line', () => {
  assert.equal(formatDiagnostic({ at: { file: '/a', line: 3 }, message: 'no.' }), '/a:3: no.');
  assert.equal(formatDiagnostic({ at: { file: '/a', line: 0 }, message: 'no.' }), '/a: no.');
});
test('an error has its place, its sentence, and both in its message', () => {
  const error = new ConfigError({ file: '/a', line: 3 }, 'cache: no.');
  assert.equal(error.message, '/a:3: cache: no.');
  assert.equal(error.sentence, 'cache: no.');
  assert.deepEqual(error.warnings, []);
});
test('an error may have others with it, which its summary counts; a file can be checked, what is made cannot', () => {
  const at = (line: number) => ({ file: '/a', line });
  const others = [{ at: at(4), message: 'b.' }];
  assert.equal(new ConfigError(at(3), 'a.').summary, '/a:3: a.');
  assert.equal(new ConfigError(at(3), 'a.', { others }).summary, '/a:3: a. And 1 more error.');
  const two = { others: [...others, ...others] };
  assert.equal(
    new ConfigError(at(3), 'a.', { ...two, source: '/m' }).summary,
    '/a:3: a. And 2 more errors; see zerohop check /m.',
  );
  assert.equal(new ConfigError(at(3), 'a.', { ...two, source: '(built-in)' }).summary, '/a:3: a. And 2 more errors.');
});
test('findings: reading goes on behind errors, which are thrown together, by file and line, each once', () => {
  const findings = new Findings();
  const fail = (file: string, line: number) => (): never => {
    throw new ConfigError({ file, line }, `${line}.`);
  };
  assert.equal(
    findings.attempt(() => 'value', 'instead'),
    'value',
  );
  for (const [file, line] of [
    ['/b', 1],
    ['/a', 7],
    ['/a', 2],
    ['/a', 7],
  ] as const) {
    assert.equal(findings.attempt(fail(file, line), 'instead'), 'instead');
  }
  findings.warnings.push({ at: { file: '/a', line: 1 }, message: 'w.' });
  assert.throws(
    () => findings.refuse('/a', { files: ['/f'] }),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.errors.map(formatDiagnostic), ['/a:2: 2.', '/a:7: 7.', '/b:1: 1.']);
      assert.deepEqual(
        [error.message, error.source, error.files, error.warnings.length],
        ['/a:2: 2.', '/a', ['/f'], 1],
      );
      return true;
    },
  );
  new Findings().refuse('/a');
  assert.throws(() => new Findings().attempt(() => assert.fail('a bug'), null), /a bug/u);
});
test('each of several is read, also behind one that is refused', () => {
  assert.deepEqual(
    eachOf([1, 2], (number) => number + 1),
    [2, 3],
  );
  const read: number[] = [];
  const reading = (): number[] =>
    eachOf([1, 2, 3], (line) => {
      read.push(line);
      if (line !== 2) throw new ConfigError({ file: '/a', line }, 'no.');
      return line;
    });
  assert.throws(reading, (error) => error instanceof ConfigError && error.errors.length === 2);
  assert.deepEqual(read, [1, 2, 3]);
});
