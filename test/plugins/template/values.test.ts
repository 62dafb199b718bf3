import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  compareTexts,
  type Dictionary,
  isDictionary,
  isList,
  isMethod,
  isStructure,
  isTrue,
  type Method,
  noValue,
  printed,
  type Structure,
  shortestFloat,
  signedExponent,
  sortedKeys,
  typeOf,
  type Value,
} from '../../../src/plugins/template/values.js';

const dictionary: Dictionary = {
  entries: new Map<string, Value>([
    ['b', 1n],
    ['a', 'x'],
  ]),
  zero: '',
};
const method: Method = { parameters: 0, call: () => '' };
const structure: Structure = { name: 'dns.Msg', fields: { Id: 1n, Meta: method, Name: 'a.' } };

test('each value has one kind and Go\u2019s name for it', () => {
  const cases: readonly (readonly [Value, string, string])[] = [
    ['', 'string', ''],
    [1n, 'int', ''],
    [1, 'float64', ''],
    [true, 'bool', ''],
    [null, 'nil', ''],
    [noValue, 'nil', ''],
    [['a'], 'slice', 'list'],
    [dictionary, 'map', 'dictionary'],
    [structure, 'dns.Msg', 'structure'],
    [method, 'method', 'method'],
  ];
  for (const [value, type, kind] of cases) {
    assert.equal(typeOf(value), type);
    assert.equal(isList(value), kind === 'list');
    assert.equal(isDictionary(value), kind === 'dictionary');
    assert.equal(isStructure(value), kind === 'structure');
    assert.equal(isMethod(value), kind === 'method');
  }
});

test('what is empty is false', () => {
  const empty: Value[] = ['', 0n, 0, false, null, noValue, [], { entries: new Map(), zero: '' }];
  const full: Value[] = ['0', -1n, 0.1, true, [''], dictionary, structure, { name: 'empty', fields: {} }];
  assert.deepEqual(
    empty.map(isTrue),
    empty.map(() => false),
  );
  assert.deepEqual(
    full.map(isTrue),
    full.map(() => true),
  );
});

test('values print as fmt.Print does', () => {
  assert.equal(printed(['a', 1n, [null]]), '[a 1 [<nil>]]');
  assert.equal(printed(dictionary), 'map[a:x b:1]');
  assert.equal(printed(structure), '{1 a.}');
  assert.equal(printed(noValue), '<no value>');
});

test('floating point has an exponent where Go writes one', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0'],
    [-0, '-0'],
    [100000, '100000'],
    [1e6, '1e+06'],
    [1234567, '1.234567e+06'],
    [0.0001, '0.0001'],
    [0.00001234, '1.234e-05'],
    [1e100, '1e+100'],
    [Number.NaN, 'NaN'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
  ];
  for (const [value, expected] of cases) assert.equal(shortestFloat(value), expected);
  assert.equal(shortestFloat(1e6, 7), '1000000');
  assert.equal(signedExponent(-7), '-07');
  assert.equal(signedExponent(100), '+100');
});

test('texts are ordered by their bytes', () => {
  assert.ok(compareTexts('a', 'b') < 0);
  assert.ok(compareTexts('\uffff', '\u{10000}') < 0, 'UTF-16 has these the other way round');
  assert.deepEqual(sortedKeys(dictionary), ['a', 'b']);
});
