import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { templateFunctions } from '../../../src/plugins/template/functions.js';
import type { Value } from '../../../src/plugins/template/values.js';

function call(name: string, ...values: Value[]): Value {
  const called = templateFunctions.get(name);
  assert.ok(called !== undefined && values.length >= called.arity[0] && values.length <= called.arity[1], name);
  return called.call(values);
}

test('there are the functions that records need, and no way out', () => {
  const names = 'and eq ge gt index le len lt ne not or parseInt print printf println slice';
  assert.equal([...templateFunctions.keys()].join(' '), names);
});

test('parseInt reads what was written in any base', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.integer({ min: 2, max: 36 }), (value, base) => {
      assert.equal(call('parseInt', value.toString(base), BigInt(base), 64n), value);
      assert.equal(call('parseInt', value.toString(base).toUpperCase(), BigInt(base), 0n), value);
    }),
  );
});

test('parseInt holds numbers to their size', () => {
  assert.equal(call('parseInt', '255', 10n, 8n), 255n);
  assert.throws(() => call('parseInt', '256', 10n, 8n), /does not fit in 8 bits/);
  assert.throws(() => call('parseInt', '18446744073709551616', 10n, 64n), /does not fit in 64 bits/);
  for (const wrong of ['', ' 1', '+1', '-1', '1.0', '0x1', '1_0', '9'.repeat(301)]) {
    assert.throws(() => call('parseInt', wrong, 10n, 64n), /cannot read/, wrong);
  }
  for (const wrong of ['_1', '1__0', '1_', '08', '0b2', '0x'])
    assert.throws(() => call('parseInt', wrong, 0n, 64n), /cannot read/);
});

test('orders are total and opposite ones agree', () => {
  const pair = fc.oneof(
    fc.tuple(fc.string({ maxLength: 3 }), fc.string({ maxLength: 3 })),
    fc.tuple(fc.bigInt({ min: -3n, max: 3n }), fc.bigInt({ min: -3n, max: 3n })),
  );
  fc.assert(
    fc.property(pair, ([left, right]) => {
      const holding = ['lt', 'eq', 'gt'].filter((name) => call(name, left, right) === true);
      assert.equal(holding.length, 1);
      assert.equal(call('le', left, right), call('ge', right, left));
      assert.equal(call('ne', left, right), !call('eq', left, right));
      assert.equal(call('le', left, right), holding[0] !== 'gt');
    }),
  );
});

test('index goes through lists and maps in turn', () => {
  const nested: Value = [{ entries: new Map<string, Value>([['k', ['x', 'y']]]), zero: null }];
  assert.equal(call('index', nested, 0n, 'k', 1n), 'y');
  assert.equal(call('index', nested, 0n, 'absent'), null);
  assert.throws(() => call('index', nested, 0n, 'absent', 1n), /type nil has no index/);
  assert.throws(() => call('index', nested, -1n), /out of range/);
});

test('slice cuts text by bytes and lists by places', () => {
  assert.equal(call('slice', 'ab\u00e9d', 2n, 4n), '\u00e9');
  assert.deepEqual(call('slice', ['a', 'b', 'c'], 1n), ['b', 'c']);
  assert.throws(() => call('slice', 'abc', 4n), /out of range/);
  assert.throws(() => call('slice', 'abc', '1'), /a whole number is expected/);
  assert.throws(() => call('slice', 5n), /type int has no slices/);
});

test('print puts blanks between neighbours that are no text', () => {
  assert.equal(call('print', 1n, 2n, 'a', 3n, true), '1 2a3 true');
  assert.equal(call('print'), '');
  assert.equal(call('println'), '\n');
});
