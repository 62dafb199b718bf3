import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asciiJson,
  bytesText,
  colored,
  columnsOf,
  groupedDigits,
  latencyText,
  printable,
  quantity,
  spanText,
  textColumns,
  wrappedText,
} from '../../src/control/text.js';

test('nothing that a terminal would obey gets through', () => {
  assert.equal(printable('a\x1b[31m\x9b2J\rb\u0000'), 'a\\u{1b}[31m\\u{9b}2J\\u{d}b\\u{0}');
  assert.equal(printable('\u202eevil\u2066\u200b\ufeff\ud800'), '\\u{202e}evil\\u{2066}\\u{200b}\\u{feff}\\u{d800}');
  assert.equal(printable('bücher.example. 日本 <script>'), 'bücher.example. 日本 <script>');
});

test('JSON is ASCII, and reads as what was written', () => {
  const value = { name: 'b\x1b[31m\x7f\x9büch\u2028er 😀', list: [1, null] };
  const text = asciiJson(value);
  assert.match(text, /^[\x20-\x7e\n]*$/);
  assert.deepEqual(JSON.parse(text), value);
});

test('colors are only where they are wanted', () => {
  assert.equal(colored('up', 'green', { isColored: false }), 'up');
  assert.equal(colored('up', 'green', { isColored: true }), '\x1b[32mup\x1b[0m');
  assert.equal(colored('', 'green', { isColored: true }), '');
});

test('text is wrapped to the columns of a terminal', () => {
  const text = wrappedText(`  ${'word '.repeat(40)}end`, { indent: 4 });
  const lines = text.split('\n');
  assert.ok(lines.length > 2 && lines.every((line) => line.length <= textColumns));
  assert.ok(lines[0].startsWith('  word') && lines[1].startsWith('    word'));
  assert.equal(wrappedText('x'.repeat(100)), 'x'.repeat(100));
  assert.deepEqual(
    columnsOf(
      [
        ['a', 'bb', 'c'],
        ['aaa', 'b', ''],
      ],
      1,
    ),
    [' a    bb  c', ' aaa  b'],
  );
});

test('numbers have their units', () => {
  assert.deepEqual([0, 12, 200, 18_180, 1_051_200].map(spanText), [
    ...['0 s', '12 s', '3 min 20 s', '5 h 3 min', '12 d 4 h'],
  ]);
  assert.equal(spanText(3_600), '1 h');
  assert.deepEqual([0.42, 12.4, 1_240].map(latencyText), ['0.4 ms', '12 ms', '1.2 s']);
  assert.deepEqual([12, 524_288, 3_565_158, 67_108_864].map(bytesText), ['12 B', '512 KiB', '3.4 MiB', '64 MiB']);
  assert.equal(groupedDigits(1_234_567), '1,234,567');
  assert.deepEqual([quantity(1, 'entry', 'entries'), quantity(0, 'hit')], ['1 entry', '0 hits']);
});
