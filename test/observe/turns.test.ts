import assert from 'node:assert/strict';
import { test } from 'node:test';
import { longTurnMs, Turns, turnBucketsSeconds, turnWork } from '../../src/observe/turns.js';
import type { Clock } from '../../src/os/clock.js';
import type { EventLoop } from '../../src/os/event-loop.js';
import { ManualClock } from '../simulation/clock.js';

/** A loop whose turns end when the test says so, and a clock that moves as work is done or awaited. */
function newLoop() {
  const timers = new ManualClock();
  let nowMs = 0;
  let idleMs = 0;
  let ended: (() => void) | null = null;
  const clock: Clock = {
    nowMs: () => nowMs,
    wallMs: () => 0,
    rest() {},
    after: (delayMs, run) => timers.after(delayMs, run),
    every: (periodMs, run) => timers.every(periodMs, run),
  };
  const loop: EventLoop = {
    idleMs: () => idleMs,
    eachTurn(run) {
      ended = run;
      return {
        stop() {
          ended = null;
        },
      };
    },
  };
  const works = (ms: number): void => {
    nowMs += ms;
  };
  const waits = (ms: number): void => {
    nowMs += ms;
    idleMs += ms;
  };
  const turns = new Turns(clock);
  const watch = turns.watch(loop);
  const long = () => Object.fromEntries(turnWork.map((work, index) => [work, turns.long[index]]));
  return { timers, turns, watch, works, waits, long, endsTurn: () => ended?.() };
}

const none = { queries: 0, timers: 0, scrape: 0, reload: 0, takeover: 0 };

test('a turn is as long as its work, however long the loop has waited', () => {
  const { turns, works, waits, endsTurn } = newLoop();
  works(0.3);
  waits(1000);
  works(0.1);
  endsTurn();
  waits(1000);
  works(0.05);
  endsTurn();
  const bucket = (seconds: (typeof turnBucketsSeconds)[number]) => turns.lengths[turnBucketsSeconds.indexOf(seconds)];
  assert.deepEqual([bucket(0.0001), bucket(0.0005)], [1, 1]);
  assert.ok(Math.abs(turns.lengths[turnBucketsSeconds.length + 1] - 0.00045) < 1e-9);
});

test('a long turn is counted by the work that took most of it, work inside other work by itself', () => {
  const { turns, works, waits, long, endsTurn } = newLoop();
  works(longTurnMs);
  endsTurn();
  assert.deepEqual(long(), none, 'not longer than the bound');
  works(3);
  turns.during('scrape', () => works(1));
  endsTurn();
  assert.deepEqual(long(), { ...none, queries: 1 });
  waits(50);
  works(1);
  turns.during('reload', () => {
    works(1);
    turns.during('takeover', () => works(4));
    works(1);
  });
  endsTurn();
  assert.deepEqual(long(), { ...none, queries: 1, takeover: 1 });
  works(3);
  endsTurn();
  assert.deepEqual(long(), { ...none, queries: 2, takeover: 1 }, 'each turn begins anew');
});

test('work that throws has an end, and its result is handed on', () => {
  const { turns, works, long, endsTurn } = newLoop();
  assert.throws(() => turns.during('scrape', () => assert.fail('planted')), /planted/);
  assert.equal(
    turns.during('scrape', () => 7),
    7,
  );
  works(3);
  endsTurn();
  assert.deepEqual(long(), { ...none, queries: 1 });
});

test('timers of its clock count for timers', async () => {
  const { timers, turns, works, long, endsTurn } = newLoop();
  const clock = turns.timed();
  clock.after(1, () => works(3));
  const periodic = clock.every(10, () => works(5));
  await timers.pass(1);
  endsTurn();
  assert.deepEqual(long(), { ...none, timers: 1 });
  await timers.pass(9);
  endsTurn();
  periodic.stop();
  await timers.pass(10);
  endsTurn();
  assert.deepEqual(long(), { ...none, timers: 2 });
});

test('after its stop nothing is observed', () => {
  const { turns, watch, works, endsTurn } = newLoop();
  watch.stop();
  works(5);
  endsTurn();
  assert.equal(
    turns.lengths.reduce((sum, count) => sum + count),
    0,
  );
});
