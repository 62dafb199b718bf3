import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hearing } from '../../src/takeover/hearing.js';
import { ManualClock } from '../simulation/clock.js';

test('the first thing that was waited for, and nothing else', async () => {
  const clock = new ManualClock();
  const hearing = new Hearing(clock);
  hearing.heard('go');
  const first = hearing.first(['go', 'closed'], 100);
  hearing.heard('serving');
  hearing.heard('go');
  hearing.heard('closed');
  assert.equal(await first, 'go');
  assert.equal(clock.timersSet, 0);
});

test('nothing, after so long; answers that come are worth patience, but not for ever', async () => {
  const clock = new ManualClock();
  const hearing = new Hearing(clock);
  const silent = hearing.first(['given'], 100, 1_000);
  clock.passMs(100);
  assert.equal(await silent, 'nothing');
  const endless = hearing.first(['given'], 100, 1_000);
  let passedMs = 0;
  for (; clock.timersSet > 0; passedMs += 50) {
    clock.passMs(50);
    hearing.heard('entries');
  }
  assert.equal(await endless, 'nothing');
  assert.equal(passedMs, 1_000);
});
