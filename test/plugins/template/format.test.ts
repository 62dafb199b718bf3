import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatted } from '../../../src/plugins/template/format.js';
import { noValue } from '../../../src/plugins/template/values.js';

test('width counts characters, not UTF-16 units', () => {
  assert.equal(formatted('%3s|%-3s|%.1s', ['\u{1f600}', '\u00e9', '\u{1f600}x']), '  \u{1f600}|\u00e9  |\u{1f600}');
});

test('negative numbers keep their sign before zeros and prefixes', () => {
  assert.equal(
    formatted('%05d|%#x|%x|%+d|%-5d|%+05d', [-42n, -255n, -255n, -1n, -1n, 7n]),
    '-0042|-0xff|-ff|-1|-1   |+0007',
  );
});

test('nothing is nil, as text it is a remark', () => {
  assert.equal(formatted('%v %s %d %T', [null, null, noValue, null]), '<nil> %!s(<nil>) %!d(<nil>) <nil>');
});

test('verbs that do not fit their value are remarked', () => {
  assert.equal(formatted('%s %f %t %d', [1n, 1n, 'x', 1.5]), '%!s(int=1) %!f(int=1) %!t(string=x) %!d(float64=1.5)');
  assert.equal(formatted('%*d %[1]d', [1n, 2n]), '%!*(unsupported %*)d %![(unsupported %[)1]d%!(EXTRA int=1, int=2)');
});

test('floating point that is no number stays words', () => {
  assert.equal(formatted('%f %g %+v', [Number.POSITIVE_INFINITY, Number.NaN, 1.5]), '+Inf NaN +1.5');
});

test('whole numbers in every base read back as they were', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
      assert.equal(BigInt(formatted('%d', [value])), value);
      assert.equal(BigInt(formatted('%#x', [value])), value);
      assert.equal(BigInt(`0b${formatted('%b', [value])}`), value);
      assert.equal(BigInt(formatted('%O', [value])), value);
    }),
  );
});

test('no format makes it throw, but for a width beyond all bounds', () => {
  const piece = fc.constantFrom(
    '%',
    's',
    'd',
    'v',
    'x',
    'q',
    '5',
    '.',
    '-',
    '+',
    '0',
    '#',
    ' ',
    '*',
    '[',
    'T',
    'e',
    'g',
    'U',
    'c',
    'a',
    '\n',
  );
  const value = fc.constantFrom('text', 1n, -1n, 1.5, true, null, noValue, ['a', 1n]);
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.array(value, { maxLength: 3 }), (pieces, values) => {
      try {
        assert.equal(typeof formatted(pieces.join(''), values), 'string');
      } catch (error) {
        assert.match((error as Error).message, /width or precision/);
      }
    }),
  );
  assert.throws(() => formatted('%65537d', [1n]), /width or precision of 65537/);
  assert.equal(formatted('%65536d', [1n]).length, 65536);
});
