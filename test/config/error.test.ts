import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, formatDiagnostic } from '../../src/config/error.js';

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
