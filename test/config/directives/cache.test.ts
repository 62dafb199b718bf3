import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheConfig } from '../../../src/config/config.js';
import { staleByDefault } from '../../../src/config/directives/cache.js';
import { cacheEntriesMax } from '../../../src/limits.js';
import { blockOf, configOf, warningsOf } from '../options.js';

function cacheOf(...lines: string[]): CacheConfig {
  const { cache } = blockOf(...lines, 'forward . 10.0.0.1');
  assert.ok(cache);
  return cache;
}
const warned = (line: string) => warningsOf(`. {\nforward . 10.0.0.1\n${line}\n}\n`);

test('the defaults: no minimum, a stale answer only on failure', () => {
  assert.deepEqual(cacheOf('cache'), {
    zones: [],
    success: { entriesMax: 9984, ttlMaxSeconds: 3600, ttlMinSeconds: 0 },
    denial: { entriesMax: 9984, ttlMaxSeconds: 1800, ttlMinSeconds: 0 },
    prefetch: null,
    stale: { maxAgeMs: 3_600_000, patienceMs: 400, ttlSeconds: 30, recheckMs: 1_000 },
    preferPositive: false,
    servfailMs: 5_000,
    successDisabled: null,
    denialDisabled: null,
    keepTtl: false,
  });
});
test('without the directive there is no cache', () => assert.equal(blockOf('forward . 10.0.0.1').cache, null));
test('one TTL is the cap of both sides', () => {
  const { success, denial } = cacheOf('cache 30');
  assert.equal(success.ttlMaxSeconds, 30);
  assert.equal(denial.ttlMaxSeconds, 30);
});
test('zones with and without a TTL', () => {
  assert.deepEqual(cacheOf('cache 30 A.test 10.0.0.0/15').zones, [
    'a.test.',
    '0.10.in-addr.arpa.',
    '1.10.in-addr.arpa.',
  ]);
  assert.deepEqual(cacheOf('cache a.test').zones, ['a.test.']);
  assert.equal(cacheOf('cache a.test').success.ttlMaxSeconds, 3600);
});
test('what looks like a TTL and is read as a zone is warned of', () => {
  for (const word of ['thirty', '30s']) {
    assert.match(warned(`cache ${word}`).join(), new RegExp(`^3: cache: "${word}" is read as a zone name`, 'u'));
  }
  assert.deepEqual(warned('cache 30 local'), []);
  assert.deepEqual(warned('cache a.test'), []);
});
test('a zone of which no name comes here is warned of', () => {
  const [warning] = warningsOf('a.test {\nforward . 10.0.0.1\ncache 30 b.test\n}\n');
  assert.match(warning, /^3: cache: has no effect: no name of b\.test\. reaches this server block \(a\.test\.\)/u);
  assert.deepEqual(warningsOf('a.test {\nforward . 10.0.0.1\ncache 30 test\n}\n'), []);
});
test('success and denial take capacity, TTL, minimum', () => {
  const { success, denial } = cacheOf('cache 60 {', 'success 120000 30 5', 'denial 2000', '}');
  assert.deepEqual(success, { entriesMax: 120_000, ttlMaxSeconds: 30, ttlMinSeconds: 5 });
  assert.deepEqual(denial, { entriesMax: 2_000, ttlMaxSeconds: 60, ttlMinSeconds: 0 });
});
test('capacities beyond what there is, and of nothing, are warned of', () => {
  assert.equal(cacheOf('cache {', 'success 0', 'denial 999999999', '}').success.entriesMax, 1_024);
  assert.equal(cacheOf('cache {', 'denial 999999999', '}').denial.entriesMax, cacheEntriesMax);
  assert.match(warned('cache {\ndenial 0\n}').join(), /to cache nothing write "disable denial"/u);
  assert.match(warned('cache {\ndenial 999999999\n}').join(), /exceed the maximum of 1048576/u);
});
test('prefetch', () => {
  assert.deepEqual(cacheOf('cache {', 'prefetch 10', '}').prefetch, { hits: 10, gapMs: 60_000, percent: 10 });
  assert.deepEqual(cacheOf('cache {', 'prefetch 3 30s 20%', '}').prefetch, { hits: 3, gapMs: 30_000, percent: 20 });
  assert.equal(cacheOf('cache {', 'prefetch 0', '}').prefetch, null);
});
test('servfail, keepttl, policy', () => {
  assert.equal(cacheOf('cache {', 'servfail 0', '}').servfailMs, 0);
  assert.equal(cacheOf('cache {', 'servfail 5m', '}').servfailMs, 300_000);
  assert.equal(cacheOf('cache {', 'keepttl', '}').keepTtl, true);
  assert.equal(cacheOf('cache {', 'serve_stale_policy prefer_positive', '}').preferPositive, true);
  assert.equal(cacheOf('cache {', 'serve_stale_policy prefer_positive', '}').stale, staleByDefault);
});
test('disable, for zones or for the whole block', () => {
  assert.deepEqual(cacheOf('cache {', 'disable success a.test', '}').successDisabled, ['a.test.']);
  assert.equal(cacheOf('cache {', 'disable success a.test', '}').denialDisabled, null);
  const { cache } = configOf('a.test b.test {\nforward . 10.0.0.1\ncache {\ndisable denial\n}\n}\n').blocks[0];
  assert.deepEqual(cache?.denialDisabled, ['a.test.', 'b.test.']);
});

test('a MINTTL above the TTL is the TTL, with a warning, as in CoreDNS', () => {
  const text = '. {\nforward . 10.0.0.1\ncache {\ndenial 9984 30 60\n}\n}\n';
  assert.deepEqual(configOf(text).blocks[0].cache?.denial, { entriesMax: 9984, ttlMaxSeconds: 30, ttlMinSeconds: 30 });
  assert.match(warningsOf(text)[0], /^4: cache denial: MINTTL 60 is above the TTL 30, which wins; lower it\.$/u);
});

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
