import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chart } from '../../bench/chart.js';
import { figures } from '../../bench/report.js';
import { cached, sample, samples } from './report-fixture.js';

test('every server has a bar whose length is its figure', () => {
  const drawn = chart([figures(cached, samples)])!;
  const longs = [...drawn.matchAll(/<rect x="[\d.]+" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));
  assert.equal(longs.length, 4);
  const [ours, theirs] = [longs[0] + longs[1], longs[2] + longs[3]];
  assert.ok(Math.abs(ours / theirs - 5 / 8) < 0.01);
  assert.ok(Math.abs(longs[0] / ours - 0.25) < 0.01, 'the dark part is user time');
  assert.match(drawn, />5\.00<[\s\S]*>8\.00</);
});

test('names are text, and without figures there is no picture', () => {
  const drawn = chart([figures({ ...cached, title: 'a < b & "c"' }, new Map([['<us>', [sample(4)]]]))])!;
  assert.ok(drawn.includes('a &lt; b &amp; &quot;c&quot;, saturated') && drawn.includes('&lt;us&gt;'));
  assert.equal(chart([]), null);
});
