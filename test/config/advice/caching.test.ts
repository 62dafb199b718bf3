import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviceOf, codesOf } from './advice-of.js';

const forward = 'forward . 10.0.0.1';
const cacheWith = (...lines: readonly string[]) => codesOf('cache {', ...lines, '}', forward);

test('a block that forwards without cache', () => {
  assert.deepEqual(codesOf(forward), ['1 cache-missing']);
  assert.deepEqual(codesOf('cache', forward), []);
  assert.deepEqual(codesOf('template ANY A {', 'answer "{{ .Name }} 5 IN A 10.0.0.1"', '}'), []);
});

test('denials for less than 5 s, with room for thousands', () => {
  assert.deepEqual(cacheWith('denial 9984 4'), ['8 denial-ttl-short']);
  assert.deepEqual(codesOf('cache 3', forward), ['7 denial-ttl-short']);
  assert.deepEqual(cacheWith('denial 9984 5'), []);
  assert.deepEqual(cacheWith('denial 100 1'), []);
  assert.deepEqual(cacheWith('denial 9984 1', 'disable denial'), []);
});

test('prefetch that never happens', () => {
  assert.deepEqual(cacheWith('prefetch 10 1m', 'disable success'), ['8 prefetch-never']);
  assert.deepEqual(cacheWith('prefetch 10 0s'), ['8 prefetch-never']);
  assert.deepEqual(cacheWith('success 9984 30', 'prefetch 50000 1m'), ['9 prefetch-never']);
  assert.deepEqual(cacheWith('success 9984 30', 'prefetch 10 1m 25%'), []);
  assert.deepEqual(cacheWith('prefetch 10 1m', 'disable success cluster.local'), []);
  assert.deepEqual(cacheWith('prefetch 0 0s'), []);
});

test('stale answers that nothing is kept for', () => {
  assert.deepEqual(cacheWith('serve_stale 1h', 'disable success'), ['8 stale-without-room']);
  assert.deepEqual(cacheWith('success 10', 'serve_stale 1h'), ['9 stale-without-room']);
  assert.deepEqual(cacheWith('serve_stale 1h'), []);
  assert.deepEqual(cacheWith('success 10'), []);
  assert.deepEqual(cacheWith('success 10', 'serve_stale 0'), []);
});

test('the remedy is what stands in the Corefile, made right', () => {
  const [advice] = adviceOf(
    '. {\nbind 169.254.20.10\nerrors\nreload\nready :8181\ncache {\ndenial 20000 2\n}\nforward . 10.0.0.1\n}\n',
  );
  assert.match(advice.message, /^denials are cached for 2 s at most, .* 20000 places stay mostly empty$/u);
  assert.equal(advice.remedy, 'write 5 s or more, for example "denial 20000 5"');
});
