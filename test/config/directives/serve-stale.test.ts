import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockOf } from '../options.js';

const stale = (words: string) => blockOf('forward . 10.0.0.1', 'cache {', `serve_stale ${words}`, '}').cache?.stale;
const hourMs = 3_600_000;

test('alone and with a duration it is immediate, with a TTL of 0, as in CoreDNS', () => {
  assert.deepEqual(stale(''), { maxAgeMs: hourMs, patienceMs: 0, ttlSeconds: 0, recheckMs: 1_000 });
  assert.deepEqual(stale('10m'), { maxAgeMs: 600_000, patienceMs: 0, ttlSeconds: 0, recheckMs: 1_000 });
});
test('immediate takes TTL and recheck', () => {
  assert.deepEqual(stale('1h immediate 5 30s'), { maxAgeMs: hourMs, patienceMs: 0, ttlSeconds: 5, recheckMs: 30_000 });
});
test('verify waits for the upstream, or for its timeout', () => {
  assert.equal(stale('1h verify')?.patienceMs, Number.POSITIVE_INFINITY);
  assert.equal(stale('1h verify 0')?.patienceMs, Number.POSITIVE_INFINITY);
  assert.deepEqual(stale('2h verify 150ms 10s 5s'), {
    maxAgeMs: 2 * hourMs,
    patienceMs: 150,
    ttlSeconds: 10,
    recheckMs: 5_000,
  });
});
test('the duration may be left out before a mode', () => {
  assert.deepEqual(stale('verify 100ms'), { maxAgeMs: hourMs, patienceMs: 100, ttlSeconds: 0, recheckMs: 1_000 });
});
test('0 turns stale answers off', () => {
  assert.equal(stale('0'), null);
  assert.equal(stale('0s verify'), null);
});
test('too many words are refused', () => {
  assert.throws(() => stale('1h immediate 1 2 3'), /"3" is not allowed with immediate/u);
  assert.throws(() => stale('1h verify 1 2 3 4'), /remove "4"/u);
});
