import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { isTerminal, wantsColor } from '../../src/os/terminal.js';

test('a file is no terminal', () => {
  const file = openSync('/dev/null', 'r');
  assert.equal(isTerminal(file), false);
  closeSync(file);
});

test('no colors for a file, but with FORCE_COLOR, and never with NO_COLOR', () => {
  const file = openSync('/dev/null', 'r');
  const wants = (environment: Record<string, string>): boolean => wantsColor(file, environment);
  assert.equal(wants({}), false);
  assert.equal(wants({ FORCE_COLOR: '1' }), true);
  assert.equal(wants({ FORCE_COLOR: '0' }), false);
  assert.equal(wants({ FORCE_COLOR: '' }), false);
  assert.equal(wants({ FORCE_COLOR: '1', NO_COLOR: '1' }), false);
  assert.equal(wants({ FORCE_COLOR: '1', NO_COLOR: '' }), true);
  closeSync(file);
});
