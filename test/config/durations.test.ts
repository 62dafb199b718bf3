import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../src/config/durations.js';

test('durations are read as Go writes them, in milliseconds', () => {
  const cases: Readonly<Record<string, number>> = {
    '60s': 60_000,
    '500ms': 500,
    '1h30m': 5_400_000,
    '1h0m0.5s': 3_600_500,
    '1.5s': 1_500,
    '.5s': 500,
    '1.s': 1_000,
    '2m': 120_000,
    '250us': 0.25,
    '250µs': 0.25,
    '250μs': 0.25,
    '100ns': 0.0001,
    '+5s': 5_000,
    '0s': 0,
    '0.3ms': 0.3,
  };
  for (const [text, ms] of Object.entries(cases)) assert.equal(parseDuration(text), ms, text);
});

test('a number without a unit is seconds', () => {
  assert.equal(parseDuration('0'), 0);
  assert.equal(parseDuration('60'), 60_000);
  assert.equal(parseDuration('1.5'), 1_500);
});

test('anything else is refused with a sentence that quotes it', () => {
  for (const text of [
    '',
    ' ',
    's',
    '1 s',
    '60 ',
    '1h30',
    '5m10',
    '.',
    '.s',
    '1e3',
    '0x10',
    '1S',
    'abc',
    '1s-2s',
    '1..5s',
    '+',
    '1,5s',
  ]) {
    assert.throws(
      () => parseDuration(text),
      /^Error: ".*" (?:is not a duration; write it like 60s|has the unknown unit).*\.$/,
      text,
    );
  }
  assert.throws(() => parseDuration('5d'), /"5d" has the unknown unit "d"; write ns, us, ms, s, m or h\./);
  assert.throws(() => parseDuration('5constructor'), /unknown unit/);
});

test('negative and endless durations are refused', () => {
  assert.throws(() => parseDuration('-1s'), /"-1s" is negative/);
  assert.throws(() => parseDuration('-0'), /negative/);
  assert.throws(() => parseDuration('9999999999h'), /292 years/);
  assert.throws(() => parseDuration('9'.repeat(400)), /292 years/);
});

test('durations are written as Go writes them', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [0.0001, '100ns'],
    [0.25, '250µs'],
    [0.0015, '1.5µs'],
    [1.5, '1.5ms'],
    [500, '500ms'],
    [1_000, '1s'],
    [1_500, '1.5s'],
    [59_999.5, '59.9995s'],
    [60_000, '1m0s'],
    [90_500, '1m30.5s'],
    [3_600_000, '1h0m0s'],
    [5_400_000, '1h30m0s'],
    [86_400_000, '24h0m0s'],
  ];
  for (const [ms, text] of cases) assert.equal(formatDuration(ms), text);
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 53 - 1 }), (ns) => {
      const ms = ns / 1e6;
      const difference = Math.abs(parseDuration(formatDuration(ms)) - ms);
      // Above 104 days a number of milliseconds no longer holds every nanosecond.
      assert(difference <= Math.max(ms * 2e-15, 1e-6), `${ms} ms`);
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 104 * 86_400_000 }), (ms) =>
      assert.equal(parseDuration(formatDuration(ms)), ms),
    ),
  );
});
