/**
 * Every file of broken/ is refused at the line, and with the words, that its first line expects; and Corefiles broken
 * at random are refused with a place and a sentence, or understood, but never anything else.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { ConfigError, formatDiagnostic } from '../../src/config/config.js';
import { type LoadOptions, loadCorefile, parseConfig, systemFiles } from '../../src/config/load.js';
import { testOptions } from './options.js';

const folder = fileURLToPath(new URL('../../../test/config/broken', import.meta.url));
const options: LoadOptions = { ...testOptions(), files: systemFiles };
const names = readdirSync(folder).filter((name) => name.endsWith('.corefile'));

test('there are broken Corefiles to walk', () => assert.ok(names.length >= 40));

for (const name of names) {
  test(`${name.replace('.corefile', '').replaceAll('-', ' ')} is refused`, () => {
    const file = path.join(folder, name);
    const [, line, text] = /^# expect: (\d+): (.+)\n/u.exec(readFileSync(file, 'utf8')) ?? [];
    assert.ok(text, 'the first line says what to expect');
    assert.throws(
      () => loadCorefile(file, options),
      (error) => {
        assert.ok(error instanceof ConfigError, String(error));
        const place = line === '0' ? file : `${file}:${line}`;
        assert.equal(error.message.slice(0, place.length + 2 + text.length), `${place}: ${text}`);
        assert.match(error.sentence, /[.?]$/u, 'it is a sentence');
        assert.deepEqual(error.errors.slice(1), [], 'nothing is said that only follows from it');
        return true;
      },
    );
  });
}

const pieces = [
  '{',
  '}',
  '"',
  '\n',
  '::',
  '/33',
  '%',
  '0',
  '-1',
  '9'.repeat(20),
  '\\',
  '(',
  '[',
  '*',
  '{$X}',
  'import ',
  '..',
  ' ',
];
const samples = names.map((name) => readFileSync(path.join(folder, name), 'utf8'));
const edit = fc.record({ at: fc.nat(1_000), cut: fc.nat(5), put: fc.constantFrom('', ...pieces) });

test('a Corefile broken at random is understood or refused, with a place and a sentence', () => {
  fc.assert(
    fc.property(fc.constantFrom(...samples), fc.array(edit, { minLength: 1, maxLength: 3 }), (sample, edits) => {
      const text = edits.reduce((before, { at, cut, put }) => {
        const start = at % (before.length + 1);
        return before.slice(0, start) + put + before.slice(start + cut);
      }, sample);
      try {
        parseConfig(text, 'f', testOptions());
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
        assert.match(error.message, /^f:(\d+:)? .*[.?]$/su);
        const lines = error.errors.map(({ at }) => at.line);
        assert.deepEqual(
          lines,
          lines.toSorted((one, other) => one - other),
        );
        assert.equal(new Set(error.errors.map(formatDiagnostic)).size, lines.length);
      }
    }),
    { numRuns: 1_000 },
  );
});
