import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settleMs } from '../../src/limits.js';
import { type Role, stopCalling } from '../../src/takeover/succession.js';
import { ManualClock } from '../simulation/clock.js';

/** How long it takes, when those that `leave` says are there in turn; `succeededAfterMs` is when a successor comes. */
async function takes(answers: ('alone' | 'succeeded')[], succeededAfterMs?: number): Promise<number> {
  const clock = new ManualClock();
  const startedMs = clock.nowMs();
  let role: Role = 'serving';
  const succession = {
    get role() {
      return role;
    },
    leave: async () => answers.shift()!,
    whenSucceeded(run: () => void) {
      if (succeededAfterMs === undefined) return;
      clock.after(succeededAfterMs, () => {
        role = 'standing by';
        run();
      });
    },
  };
  let endedMs = 0;
  void stopCalling(clock, succession, 1_000).then(() => {
    endedMs = clock.nowMs();
  });
  await clock.pass(5_000);
  return endedMs - startedMs;
}

test('alone, or with nobody to ask, it is lameduck', async () => {
  assert.equal(await takes(['alone']), 1_000);
  const clock = new ManualClock();
  const stopped = stopCalling(clock, null, 0);
  await clock.pass(1);
  await stopped;
});

test('with a successor it is a moment', async () => {
  assert.equal(await takes(['succeeded']), settleMs);
});

test('a successor that comes while we are lame ends that', async () => {
  assert.equal(await takes(['alone', 'succeeded'], 300), 300 + settleMs);
});
