import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SoakResult, Stretch } from '../../../bench/soak/run.js';
import { soakText, verdictOf } from '../../../bench/soak/verdict.js';

function stretch(control: Stretch['control'], p99: number, megabytes: number): Stretch {
  return {
    atSeconds: 0,
    control,
    hitsMs: { p50: 0.1, p99, p999: 2, max: 3 },
    controlWorstMs: control === 'free' ? 4 : 210,
    anonymousBytes: megabytes * 1e6,
  };
}

const none = { sent: 1000, completed: 1000, lost: 0, failed: 0 };
const result: SoakResult = {
  seconds: 30,
  stretches: [
    stretch('free', 0.4, 20),
    stretch('blocked', 0.5, 30),
    stretch('free', 0.6, 40),
    stretch('blocked', 0.7, 41),
    stretch('free', 80, 42),
    stretch('blocked', 0.6, 44),
  ],
  traffic: { hits: { ...none, lost: 12 }, hitsOnTheSide: none, misses: { ...none, lost: 3, failed: 1 }, tcp: none },
  scrapes: 60,
  reloads: 12,
  losses: { kernel: 9, dropped: 1, unsent: 1 },
};

test('what nobody has counted is told apart from what was lost', () => {
  const { lost, uncounted, failed } = verdictOf(result);
  assert.deepEqual([lost, uncounted, failed], [15, 4, 1]);
  const generous = { ...result, losses: { kernel: 100, dropped: 0, unsent: 0 } };
  assert.equal(verdictOf(generous).uncounted, 0);
});

test('hits are compared with and without the main thread, memory when the cache is full', () => {
  const { free, blocked, grownBytes } = verdictOf(result);
  assert.deepEqual(free, { hitsP50Ms: 0.1, hitsP99Ms: 0.6, controlWorstMs: 4 });
  assert.deepEqual(blocked, { hitsP50Ms: 0.1, hitsP99Ms: 0.6, controlWorstMs: 210 });
  assert.equal(grownBytes, 2_500_000);
  assert.equal(verdictOf({ ...result, stretches: result.stretches.slice(0, 2) }).grownBytes, 0);
});

test('the text says all of it', () => {
  const text = soakText(result);
  for (const part of [
    '12 reloads',
    '| misses | 1,000 | 3 | 1 |',
    'Lost: 15; counted: 9 by the kernel',
    'uncounted: 4.',
    '| blocked | 0.100 | 0.600 | 210 |',
    '20.0 MB in the first stretch, 44.0 MB in the last',
    '+2.5 MB.',
  ]) {
    assert.ok(text.includes(part), part);
  }
});
