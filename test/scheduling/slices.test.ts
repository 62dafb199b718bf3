import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inTurns } from '../../src/scheduling/slices.js';

/** Unlike the machine's, its timers keep a test alive. */
const clock = {
  nowMs: () => performance.now(),
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
    after(_: number, run: () => void) {
      turns.push(did.length);
      return clock.after(0, run);
    },
  };
  await inTurns(still, work(did, 25));
  assert.deepEqual(turns, [10, 20]);
});
