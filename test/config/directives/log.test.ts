import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../src/config/load.js';
import { checkLogFormat } from '../../../src/observe/log-format.js';
import { blockOf, testOptions, warningsOf } from '../options.js';

const log = (...lines: string[]) => blockOf('forward . 10.0.0.1', ...lines).log;

test('bare: every query in the common format', () => {
  assert.deepEqual(log(), []);
  assert.deepEqual(log('log'), [{ names: ['.'], format: '{common}', classes: ['all'] }]);
});
test('names, format, classes', () => {
  assert.deepEqual(log('log A.test b.test "{remote} {combined}" {', 'class denial error', 'class error', '}'), [
    { names: ['a.test.', 'b.test.'], format: '{remote} {combined}', classes: ['denial', 'error'] },
  ]);
  assert.equal(log('log . {common}')[0].format, '{common}');
});
test('several log directives add up', () => assert.equal(log('log a.test', 'log b.test').length, 2));
test('a format may name what is no field, with a warning, and metadata', () => {
  const corefile = (format: string) => `. {\nforward . 10.0.0.1\nlog . "${format}"\n}\n`;
  const warned = (format: string) => parseConfig(corefile(format), 'f', { ...testOptions(), checkLogFormat }).warnings;
  assert.match(warned('{remote} {when}')[0].message, /^log: \{when\} is not a log format field and is written/u);
  assert.deepEqual(warned('{/forward/upstream} {/kubernetes/client-namespace} {name}'), []);
});
test('a format without a name is taken as one, with a warning', () => {
  assert.deepEqual(log('log "{remote}"')[0], { names: ['.'], format: '{remote}', classes: ['all'] });
  assert.match(
    warningsOf('. {\nforward . 10.0.0.1\nlog "{remote}"\n}\n')[0],
    /^3: log: CoreDNS reads a format without names/u,
  );
});
