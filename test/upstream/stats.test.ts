import assert from 'node:assert/strict';
import { test } from 'node:test';
import { histogramPlaces } from '../../src/counters.js';
import { durationsOf, newUpstreamStats } from '../../src/upstream/stats.js';

test('an upstream starts healthy, with nothing counted', () => {
  const stats = newUpstreamStats('10.0.0.1:53');
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

test('each rcode has one histogram, made when it is first seen', () => {
  const stats = newUpstreamStats('a');
  const histogram = durationsOf(stats, 'NOERROR');
  assert.equal(histogram.length, histogramPlaces.duration);
  assert.equal(durationsOf(stats, 'NOERROR'), histogram);
  assert.notEqual(durationsOf(stats, 'NXDOMAIN'), histogram);
});
