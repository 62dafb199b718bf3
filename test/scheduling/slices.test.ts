import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inTurns } from '../../src/scheduling/slices.js';

/** Unlike the machine's, its timers keep a test alive. */
const clock = {
  nowMs: () => performance.now(),
  rest: () => {},
  after(ms: number, run: () => void) {
    const timer = setTimeout(run, ms);
    return { stop: () => clearTimeout(timer) };
  },
};

function* work(did: number[], count: number): Generator<void, string> {
  for (let slice = 0; slice < count; slice++) {
    did.push(slice);
    for (const endMs = performance.now() + 1.1; performance.now() < endMs; );
    yield;
  }
  return 'done';
}

test('work in turns leaves the event loop to others between two slices', async () => {
  const did: number[] = [];
  const seen = new Set<number>();
  const working = inTurns(clock, work(did, 20));
  const look = (): void => {
    seen.add(did.length);
    if (did.length < 20) setImmediate(look);
  };
  look();
  assert.equal(await working, 'done');
  assert.ok(seen.size >= 8, [...seen].join());
});

test('work that nobody wants any more is given up', async () => {
  const did: number[] = [];
  let isClosed = false;
  const closing = (function* () {
    try {
      yield* work(did, 99);
    } finally {
      isClosed = true;
    }
  })();
  assert.equal(await inTurns(clock, closing, () => did.length >= 3), undefined);
  assert.ok(isClosed, 'what it had open is closed');
  assert.ok(did.length < 10, `${did.length}`);
});

test('where time stands still some slices are done in a turn', async () => {
  const did: number[] = [];
  const turns: number[] = [];
  const still = {
    nowMs: () => 0,
    rest: () => assert.fail('nothing took time'),
    after(_: number, run: () => void) {
      turns.push(did.length);
      return clock.after(0, run);
    },
  };
  await inTurns(still, work(did, 25));
  assert.deepEqual(turns, [10, 20]);
});

test('work rests a few times in a millisecond of it, for threads that wait for the same processor', async () => {
  let nowMs = 0;
  const restedAtMs: number[] = [];
  const passing = {
    nowMs: () => nowMs,
    rest() {
      restedAtMs.push(nowMs);
      nowMs += 0.1;
    },
    after: (_: number, run: () => void) => clock.after(0, run),
  };
  const slices = (function* (): Generator<void, void> {
    for (let left = 40; left > 0; left--) {
      nowMs += 0.07;
      yield;
    }
  })();
  await inTurns(passing, slices);
  assert.ok(restedAtMs.length >= 12, `${restedAtMs.length} rests`);
  const gaps = restedAtMs.slice(1).map((atMs, index) => atMs - restedAtMs[index] - 0.1);
  assert.ok(Math.max(...gaps) < 0.3 && Math.min(...gaps) >= 0.2 - 1e-9, gaps.join());
});
