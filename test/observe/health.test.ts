import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { healthAnswer, startHealthWatch } from '../../src/observe/health.js';
import type { Health } from '../../src/observe/self-check.js';
import { ManualClock } from '../simulation/clock.js';
import { newLines } from './lines.js';

const ill: Health = { healthy: false, reason: 'no listener is up' };
const well: Health = { healthy: true };

function watching(tookMs = 1) {
  const clock = new ManualClock();
  const { lines, log } = newLines();
  const now: { health: Health; failures: number; checks: number } = { health: well, failures: 0, checks: 0 };
  const watch = startHealthWatch({
    clock,
    log,
    check: () => {
      now.checks++;
      return new Promise((resolve) => clock.after(tookMs, () => resolve(now.health)));
    },
    failed: () => now.failures++,
  });
  return { clock, lines, now, watch };
}

describe('health', () => {
  it('answers OK, or the reason', () => {
    assert.deepEqual(healthAnswer(well), { status: 200, body: 'OK' });
    assert.deepEqual(healthAnswer(ill), { status: 503, body: 'no listener is up\n' });
  });

  it('checks every second and keeps the durations', async () => {
    const { clock, now, watch } = watching(2);
    await clock.pass(999);
    assert.equal(now.checks, 0);
    await clock.pass(2_500);
    assert.equal(now.checks, 3);
    assert.deepEqual([...watch.durations.slice(0, 6)], [0, 3, 0, 0, 0, 0]);
    assert(Math.abs(watch.durations[6] - 0.006) < 1e-9);
    assert.equal(now.failures, 0);
  });

  it('counts what took longer than every bucket above them', async () => {
    const { clock, now, watch } = watching(2_999);
    await clock.pass(3_999);
    assert.equal(now.checks, 1, 'one check at a time');
    assert.deepEqual([...watch.durations.slice(0, 6)], [0, 0, 0, 0, 0, 1]);
  });

  it('counts every failure, and writes a line only when health changes', async () => {
    const { clock, lines, now } = watching();
    await clock.pass(2_500);
    assert.deepEqual(lines, []);
    now.health = ill;
    await clock.pass(3_000);
    assert.equal(now.failures, 3);
    now.health = well;
    await clock.pass(2_000);
    assert.equal(now.failures, 3);
    assert.deepEqual(lines, [
      { level: 'error', message: 'health check failed: no listener is up' },
      { level: 'info', message: 'health check recovered: all listeners answer' },
    ]);
  });

  it('says nothing after it was stopped, also of a check that was under way', async () => {
    const { clock, lines, now, watch } = watching(500);
    now.health = ill;
    await clock.pass(1_200);
    watch.stop();
    await clock.pass(10_000);
    assert.equal(now.checks, 1);
    assert.deepEqual([lines, now.failures], [[], 0]);
    assert.equal(clock.timersSet, 0);
  });
});
