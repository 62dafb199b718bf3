import assert from 'node:assert/strict';
import { test } from 'node:test';
import { histogramPlaces } from '../../src/counters.js';
import { askAgainAfterMs, askAgainAfterMsMin, heldUpAfterMsMin } from '../../src/limits.js';
import { durationsOf, Rtt, UpstreamStats } from '../../src/upstream/endpoint.js';
import { seededRandom } from '../simulation/random.js';

test('an upstream starts healthy, with nothing counted', () => {
  const stats = new UpstreamStats('10.0.0.1:53');
  assert.equal(stats.to, '10.0.0.1:53');
  assert.equal(stats.healthy, true);
  assert.equal(stats.durations.size, 0);
  assert.deepEqual(
    [stats.reused, stats.opened],
    [
      [0, 0],
      [0, 0],
    ],
  );
});

test('a shared word says whether workers may ask: once it has answered, while it is healthy, does not loop and is not ours', () => {
  const stats = new UpstreamStats('a');
  const mayAsk = new Int32Array(new SharedArrayBuffer(4)).fill(-1);
  stats.tellIn(mayAsk);
  assert.equal(mayAsk[0], 0, 'nobody knows yet whether it is there');
  stats.answered();
  assert.equal(mayAsk[0], 1);
  for (const change of ['healthy', 'looping', 'isOwn'] as const) {
    stats[change] = change !== 'healthy';
    assert.equal(mayAsk[0], 0, change);
    stats[change] = change === 'healthy';
    assert.equal(mayAsk[0], 1, change);
  }
  stats.healthy = false;
  stats.looping = true;
  stats.healthy = true;
  assert.equal(mayAsk[0], 0, 'one reason is enough');
  assert.deepEqual([stats.healthy, stats.looping], [true, true]);
  const later = new Int32Array(new SharedArrayBuffer(4)).fill(-1);
  stats.tellIn(later);
  assert.equal(later[0], 0, 'what was known before is told');
  stats.looping = false;
  assert.deepEqual([mayAsk[0], later[0]], [0, 1], 'the last word counts');
});

test('an answer alone does not let workers ask', () => {
  for (const change of ['healthy', 'looping', 'isOwn'] as const) {
    const stats = new UpstreamStats('a');
    const mayAsk = new Int32Array(new SharedArrayBuffer(4)).fill(-1);
    stats.tellIn(mayAsk);
    stats[change] = change !== 'healthy';
    stats.answered();
    assert.equal(mayAsk[0], 0, change);
    stats[change] = change === 'healthy';
    assert.equal(mayAsk[0], 1, change);
  }
});

test('without a word nobody is told', () => {
  const stats = new UpstreamStats('a');
  stats.answered();
  stats.isOwn = true;
  stats.healthy = false;
  assert.equal(stats.healthy, false);
});

test('each rcode has one histogram, made when it is first seen', () => {
  const stats = new UpstreamStats('a');
  const histogram = durationsOf(stats, 'NOERROR');
  assert.equal(histogram.length, histogramPlaces.duration);
  assert.equal(durationsOf(stats, 'NOERROR'), histogram);
  assert.notEqual(durationsOf(stats, 'NXDOMAIN'), histogram);
});

function rttAfter(count: number, durationMs: (index: number) => number): Rtt {
  const rtt = new Rtt();
  for (let index = 0; index < count; index++) rtt.took(durationMs(index));
  return rtt;
}

test('before the first answer the wait is the longest', () => {
  assert.equal(new Rtt().waitMs, askAgainAfterMs);
  assert.equal(new Rtt().averageMs, 0);
});

test('a fast upstream is waited for the shortest time, a slow one the longest', () => {
  assert.equal(rttAfter(2_000, () => 0.3).waitMs, askAgainAfterMsMin);
  assert.equal(rttAfter(2_000, () => 500).waitMs, askAgainAfterMs);
});

test('in between it is about four times the 95th percentile, whatever the slowest twentieth does', () => {
  const random = seededRandom(3);
  // 0 to 50 ms: the 95th percentile is 47.5.
  const { waitMs, p95Ms } = rttAfter(5_000, () => random.below(50_000) / 1000);
  assert(p95Ms > 35 && p95Ms < 60, `${p95Ms}`);
  assert(Math.abs(waitMs - 4 * p95Ms) < 1e-6);
  const spread = rttAfter(5_000, (index) => (index % 33 === 0 ? 1_000 : 1));
  assert.equal(spread.waitMs, askAgainAfterMsMin);
});

test('trouble is noticed within a few dozen answers, and forgotten within a few hundred', () => {
  const rtt = rttAfter(5_000, () => 1);
  for (let index = 0; index < 60; index++) rtt.took(300);
  assert.equal(rtt.waitMs, askAgainAfterMs);
  for (let index = 0; index < 300; index++) rtt.took(1);
  assert.equal(rtt.waitMs, askAgainAfterMsMin);
});

test('the average follows the last answers', () => {
  const { averageMs } = rttAfter(200, (index) => (index < 100 ? 100 : 10));
  assert(Math.abs(averageMs - 10) < 1, `${averageMs}`);
});

test('slower than the others is twice the 95th percentile, and not what a busy machine does', () => {
  assert.equal(rttAfter(2_000, () => 0.1).slowMs, 2);
  assert(rttAfter(2_000, () => 20).slowMs > 30);
});

test('a connection is held up after a time that no busy moment takes, longer for a slow upstream', () => {
  assert(rttAfter(2_000, () => 0.3).heldUpMs >= heldUpAfterMsMin);
  const { heldUpMs, p95Ms } = rttAfter(2_000, () => 40);
  assert.equal(heldUpMs, heldUpAfterMsMin + 2 * p95Ms);
});

test('slow answers have their usual time, beyond the cap of what questions wait before they are asked again', () => {
  const { usualMs, waitMs } = rttAfter(1_000, () => 700);
  assert.equal(waitMs, askAgainAfterMs);
  assert(usualMs > 1_300 && usualMs < 1_700, `${usualMs}`);
  assert.equal(rttAfter(5_000, () => 1).usualMs, askAgainAfterMsMin);
  assert(rttAfter(0, () => 0).usualMs >= 1_000, 'of one that is not known yet much is allowed for');
});

test('a probe has the time of four answers, and no less than a tenth of a second', () => {
  assert.equal(rttAfter(100, () => 1).probeWaitMs, askAgainAfterMsMin);
  assert(Math.abs(rttAfter(200, () => 150).probeWaitMs - 600) < 10);
});

test('it knows when the upstream was last heard', () => {
  const rtt = rttAfter(0, () => 0);
  assert.equal(rtt.wasHeardSince(0), false);
  rtt.heard(70);
  assert.deepEqual([rtt.wasHeardSince(70), rtt.wasHeardSince(71), rtt.lastHeardMs], [true, false, 70]);
});

test('what was sent before something that has been answered could have been answered as well', () => {
  const rtt = rttAfter(0, () => 0);
  assert.equal(rtt.hasAnsweredSince(0), false);
  rtt.answered(50);
  rtt.answered(30);
  assert.deepEqual([rtt.hasAnsweredSince(50), rtt.hasAnsweredSince(51)], [true, false]);
});
