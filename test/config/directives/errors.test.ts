import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pattern } from '../../../src/config/pattern.js';
import { blockOf } from '../options.js';

const errors = (...lines: string[]) => blockOf('forward . 10.0.0.1', ...lines).errors;

test('absent, bare, and with the only file there is', () => {
  assert.equal(errors(), null);
  assert.deepEqual(errors('errors'), { stacktrace: false, consolidate: [] });
  assert.deepEqual(errors('errors stdout'), { stacktrace: false, consolidate: [] });
});
test('stacktrace and consolidate', () => {
  const lines = [
    'consolidate 5m ".* i/o timeout$" warning',
    'consolidate 30 ^x show_first',
    'consolidate 1s y info show_first',
  ];
  assert.deepEqual(errors('errors {', 'stacktrace', ...lines, '}'), {
    stacktrace: true,
    consolidate: [
      { periodMs: 300_000, pattern: new Pattern('.* i/o timeout$'), level: 'warning', showFirst: false },
      { periodMs: 30_000, pattern: new Pattern('^x'), level: 'error', showFirst: true },
      { periodMs: 1_000, pattern: new Pattern('y'), level: 'info', showFirst: true },
    ],
  });
});
test('consolidate is particular about its words', () => {
  assert.throws(() => errors('errors {', 'consolidate 5m', '}'), /expects DURATION "REGEXP"/u);
  assert.throws(() => errors('errors {', 'consolidate 0 x', '}'), /longer than 0/u);
  assert.throws(() => errors('errors {', 'consolidate 5m x loud', '}'), /the level must be/u);
  assert.throws(() => errors('errors {', 'consolidate 5m x info first', '}'), /"first" is unexpected|remove "first"/u);
});
