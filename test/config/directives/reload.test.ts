import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, warningsOf } from '../options.js';

const text = (line: string) => `. {\nforward . 10.0.0.1\n${line}\n}\n`;
const reload = (line: string) => configOf(text(line)).reload;

test('absent, bare, with interval, with both', () => {
  assert.equal(reload(''), null);
  assert.deepEqual(reload('reload'), { intervalMs: 5_000, jitterMs: 1_000 });
  assert.deepEqual(reload('reload 10s'), { intervalMs: 10_000, jitterMs: 5_000 });
  assert.deepEqual(reload('reload 10s 0'), { intervalMs: 10_000, jitterMs: 0 });
  assert.deepEqual(reload('reload 10s 2s'), { intervalMs: 10_000, jitterMs: 2_000 });
});
test('a jitter above half the interval is cut, and said so only if it was written', () => {
  assert.deepEqual(reload('reload 10s 8s'), { intervalMs: 10_000, jitterMs: 5_000 });
  assert.match(warningsOf(text('reload 10s 8s')).join(), /^3: reload: the jitter is reduced/u);
  assert.deepEqual(warningsOf(text('reload 2s')), []);
});
