import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './clock.js';

test('timers run in the order of their time, and of their setting within one time', () => {
  const clock = new ManualClock(0);
  const ran: string[] = [];
  const note = (what: string) => () => ran.push(`${what}@${clock.nowMs()}`);
  clock.after(20, note('late'));
  clock.after(10, note('first'));
  clock.after(10, note('second'));
  clock.after(0, note('now'));
  clock.passMs(15);
  assert.deepEqual(ran, ['now@0', 'first@10', 'second@10']);
  assert.equal(clock.nowMs(), 15);
  clock.passMs(5);
  assert.equal(ran.at(-1), 'late@20');
  assert.equal(clock.timersSet, 0);
});

test('a timer set by a timer runs within the same passing when it is due', () => {
  const clock = new ManualClock(0);
  const ran: number[] = [];
  clock.after(5, () => clock.after(5, () => ran.push(clock.nowMs())));
  clock.passMs(9);
  assert.deepEqual(ran, []);
  clock.passMs(1);
  assert.deepEqual(ran, [10]);
});

test('a periodic timer runs once a period until it stops itself', () => {
  const clock = new ManualClock(0);
  const ran: number[] = [];
  const timer = clock.every(25, () => {
    ran.push(clock.nowMs());
    if (ran.length === 3) timer.stop();
  });
  clock.passSeconds(1);
  assert.deepEqual(ran, [25, 50, 75]);
});

test('a stopped timer does not run, and stopping again does nothing', () => {
  const clock = new ManualClock(0);
  const timer = clock.after(1, () => assert.fail('it was stopped'));
  timer.stop();
  timer.stop();
  clock.passMs(10);
});

test('the wall clock passes with the monotonic one', () => {
  const clock = new ManualClock(0, 5_000);
  clock.passSeconds(2);
  assert.equal(clock.wallMs(), 7_000);
});

test('pass lets promises get on between timers; passMs does not', async () => {
  const clock = new ManualClock(0);
  const ran: string[] = [];
  const set = (): void => {
    clock.after(1, () => Promise.resolve().then(() => setImmediate(() => ran.push(`promise@${clock.nowMs()}`))));
    clock.after(2, () => ran.push(`timer@${clock.nowMs()}`));
  };
  set();
  await clock.pass(5);
  assert.deepEqual(ran, ['promise@1', 'timer@2']);
  ran.length = 0;
  set();
  clock.passMs(5);
  assert.deepEqual(ran, ['timer@7']);
});

test('until stops at the timer that settles the promise', async () => {
  const clock = new ManualClock(0);
  clock.every(10, () => {});
  const value = await clock.until(new Promise<string>((resolve) => clock.after(30, () => resolve('yes'))));
  assert.equal(value, 'yes');
  assert.equal(clock.nowMs(), 30);
  await assert.rejects(clock.until(new Promise(() => {}), 100), /not settled within 100 ms/);
  await assert.rejects(clock.until(Promise.reject(new Error('no'))), /no/);
});

test('timers that go on for ever without time passing are found out', () => {
  const clock = new ManualClock(0);
  const again = (): void => {
    clock.after(0, again);
  };
  again();
  assert.throws(() => clock.passMs(0), /for ever/);
});

test('passing time from within a timer is a mistake', () => {
  const clock = new ManualClock(0);
  clock.after(1, () => clock.passMs(1));
  assert.throws(() => clock.passMs(2), /one caller at a time/);
});
