import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pending } from '../../src/resolve/pending.js';
import { StaleTimer } from '../../src/resolve/stale-timer.js';
import { ManualClock } from '../simulation/clock.js';

function watching() {
  const clock = new ManualClock();
  const lost: string[] = [];
  const patience = new StaleTimer(clock, (pending) => void lost.push((pending as unknown as { name: string }).name));
  const question = (name: string, patienceMs: number | null): Pending => {
    const keep = patienceMs === null ? null : { patienceMs };
    const pending = { name, startedAtMs: clock.nowMs(), route: { keep } } as unknown as Pending;
    patience.watch(pending);
    return pending;
  };
  return { clock, lost, patience, question };
}

test('who waits long enough is told of once, and nobody is looked after for nothing', () => {
  const { clock, lost, question } = watching();
  question('one', 400);
  clock.passMs(200);
  question('other', 400);
  clock.passMs(199);
  assert.deepEqual(lost, []);
  clock.passMs(50);
  assert.deepEqual(lost, ['one']);
  clock.passMs(1_000);
  assert.deepEqual(lost, ['one', 'other']);
  question('third', 0);
  clock.passMs(25);
  assert.deepEqual(lost, ['one', 'other', 'third']);
});

test('who has an answer, waits for failure, or has nothing kept is not', () => {
  const { clock, lost, patience, question } = watching();
  patience.end(question('answered', 400));
  question('patient', Number.POSITIVE_INFINITY);
  question('uncached', null);
  clock.passMs(5_000);
  assert.deepEqual(lost, []);
});

test('an exception about one keeps no other waiting, and the sweep goes on', () => {
  const clock = new ManualClock();
  const lost: string[] = [];
  const patience = new StaleTimer(clock, ({ route }) => {
    const { name } = route as unknown as { name: string };
    lost.push(name);
    if (name === 'one') throw new Error('planted');
  });
  for (const [name, patienceMs] of [
    ['one', 100],
    ['two', 100],
    ['late', 400],
  ] as const) {
    patience.watch({ startedAtMs: clock.nowMs(), route: { name, keep: { patienceMs } } } as unknown as Pending);
  }
  assert.throws(() => clock.passMs(100), /planted/u);
  assert.deepEqual(lost, ['one', 'two']);
  clock.passMs(400);
  assert.deepEqual([lost, clock.timersSet], [['one', 'two', 'late'], 0]);
});
