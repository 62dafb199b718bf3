import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chunks, isDuration, recordWords, secondsOf, stringBytes } from '../../src/dns/record-text.js';

function words(text: string): string[] {
  return recordWords(text).map((word) => (word.quoted ? `"${word.text}"` : word.text));
}

test('words are separated by blanks, quotes keep blanks, comments end the line', () => {
  assert.deepEqual(words('a.example. 60 IN TXT "two words" one ; not this'), [
    'a.example.',
    '60',
    'IN',
    'TXT',
    '"two words"',
    'one',
  ]);
  assert.deepEqual(words('\t a \r\n'), ['a']);
  assert.deepEqual(words('a"b"c'), ['a', '"b"', 'c']);
  assert.deepEqual(words('"a;b(c)"'), ['"a;b(c)"']);
  assert.deepEqual(words('""'), ['""']);
  assert.deepEqual(words(''), []);
  assert.deepEqual(words(' ; only a comment\n\n'), []);
});

test('parentheses join lines and only the first record is read', () => {
  assert.deepEqual(words('a SOA (1 ; serial\n 2\n\n 3)\nb A 1.2.3.4'), ['a', 'SOA', '1', '2', '3']);
  assert.deepEqual(words('\n\n; first\na (b) c\nd'), ['a', 'b', 'c']);
});

test('a backslash keeps what follows in the word', () => {
  assert.deepEqual(words('a\\ b\\;c "x\\"y"'), ['a\\ b\\;c', '"x\\"y"']);
  assert.deepEqual(words('a\\'), ['a\\']);
});

test('what is not closed is refused', () => {
  assert.throws(() => words('a "b'), /A quote is not closed/);
  assert.throws(() => words('a "b\\"'), /A quote is not closed/);
  assert.throws(() => words('a (b'), /"\(" is not closed/);
  assert.throws(() => words('a b)'), /no "\(" before/);
});

test('strings are bytes: escapes by number and character, UTF-8 for the rest', () => {
  assert.deepEqual([...stringBytes('a\\065\\"\\\\\\000\\255')], [0x61, 0x41, 0x22, 0x5c, 0, 255]);
  assert.deepEqual([...stringBytes('\u00e9')], [0xc3, 0xa9]);
  for (const broken of ['\\', '\\25', '\\256', '\\1x2', 'abc\\9'])
    assert.throws(() => stringBytes(broken), /broken escape/);
});

test('a string of any bytes survives being escaped by number', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = [...bytes].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('');
      assert.deepEqual([...stringBytes(text)], [...bytes]);
    }),
  );
});

test('times take units, in any case', () => {
  assert.equal(secondsOf('0', 10), 0);
  assert.equal(secondsOf('1h30M', 2 ** 31), 5400);
  assert.equal(secondsOf('1w2d3h4m5s', 2 ** 31), 788645);
  assert.equal(secondsOf('1h30', 2 ** 31), 3630);
  assert.ok(!isDuration('h'));
  assert.ok(!isDuration(''));
  assert.throws(() => secondsOf('11', 10), /not a time of 0 to 10 seconds/);
  assert.throws(() => secondsOf('1y', 10), /not a time/);
});

test('long texts are cut into strings of 255 bytes', () => {
  const lengths = (count: number) => chunks({ text: 'x'.repeat(count), quoted: true }).map((part) => part.length);
  assert.deepEqual(lengths(0), [0]);
  assert.deepEqual(lengths(255), [255]);
  assert.deepEqual(lengths(256), [255, 1]);
  assert.deepEqual(lengths(510), [255, 255]);
});
