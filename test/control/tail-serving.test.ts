import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ControlError } from '../../src/control/protocol.js';
import type { Answering } from '../../src/control/server.js';
import { type TailItem, tailHandler } from '../../src/control/tail-serving.js';
import { tailQueriesPerItem } from '../../src/limits.js';
import type { WatchedQuery, WatchFilter } from '../../src/observe/query-watch.js';
import { ManualClock } from '../simulation/clock.js';
import { watchedQuery } from './watched.js';

function newFixture() {
  const clock = new ManualClock();
  const untold = { sampledOut: 100, lost: 10, byKernel: 1_000 };
  const state = { filter: null as WatchFilter | null, isEnded: false, isReading: true, isServing: true, isFull: false };
  let told: (queries: readonly WatchedQuery[]) => void = () => {};
  const handler = tailHandler({
    clock,
    isServing: () => state.isServing,
    answerWatch: {
      watch(filter, tell) {
        if (state.isFull) return null;
        state.filter = filter;
        told = tell;
        return {
          untold: () => ({ ...untold }),
          hitsOneIn: 4,
          end: () => {
            state.isEnded = true;
          },
        };
      },
    },
  });
  const items: TailItem[] = [];
  const said: string[] = [];
  let gone: () => void = () => {};
  const answering: Answering = {
    item(value) {
      if (state.isReading) items.push(value as TailItem);
      return state.isReading;
    },
    whenGone: (run) => {
      gone = run;
    },
    end: () => void said.push('end'),
    fail: (kind, sentence) => void said.push(`${kind}: ${sentence}`),
  };
  return {
    ...{ clock, state, items, said, untold },
    asks: (given: Readonly<Record<string, unknown>> = {}) => handler(given, answering),
    answers: (count: number) => told(Array.from({ length: count }, () => watchedQuery())),
    leaves: () => gone(),
  };
}

describe('the running side of tail', () => {
  it('gives what is answered, in values of bounded length, from the first moment on', () => {
    const { asks, answers, items } = newFixture();
    asks();
    assert.deepEqual(items.splice(0), [{ queries: [], untold: null }], 'so that the command knows that it is heard');
    answers(2 * tailQueriesPerItem + 1);
    assert.deepEqual(
      items.map(({ queries }) => queries.length),
      [tailQueriesPerItem, tailQueriesPerItem, 1],
    );
    assert.deepEqual(items[2], { queries: [watchedQuery()], untold: null });
  });

  it('says once a second what it left out since the last time', async () => {
    const { clock, asks, items, untold } = newFixture();
    asks();
    items.length = 0;
    untold.sampledOut += 30;
    untold.byKernel += 7;
    await clock.pass(1_000);
    await clock.pass(1_000);
    assert.deepEqual(items, [
      { queries: [], untold: { sampledOut: 30, lost: 0, byKernel: 7, unread: 0, hitsOneIn: 4 } },
      { queries: [], untold: { sampledOut: 0, lost: 0, byKernel: 0, unread: 0, hitsOneIn: 4 } },
    ]);
  });

  it('counts what a slow reader misses, and says so when it reads again', async () => {
    const { clock, asks, answers, items, state, untold } = newFixture();
    asks();
    items.length = 0;
    state.isReading = false;
    answers(5);
    untold.lost += 2;
    await clock.pass(1_000);
    answers(3);
    state.isReading = true;
    await clock.pass(1_000);
    assert.deepEqual(items, [
      { queries: [], untold: { sampledOut: 0, lost: 2, byKernel: 0, unread: 8, hitsOneIn: 4 } },
    ]);
  });

  it('ends with the command', () => {
    const { clock, asks, leaves, state } = newFixture();
    asks();
    leaves();
    assert.deepEqual([state.isEnded, clock.timersSet], [true, 0]);
  });

  it('ends with one sentence when another instance serves', async () => {
    const { clock, asks, said, state } = newFixture();
    asks();
    state.isServing = false;
    await clock.pass(1_000);
    assert.match(
      said.join(),
      /^failed: another instance on this node answers the queries now; run the command again\.$/,
    );
    assert.deepEqual([state.isEnded, clock.timersSet], [true, 0]);
  });

  it('understands the filter of a command, and refuses what it does not', () => {
    const { asks, state } = newFixture();
    asks({ name: '*.Example', client: '10.244.0.0/16', rcode: 'SERVFAIL', slowMs: 2.5 });
    assert.deepEqual(state.filter, {
      name: '*.example.',
      client: { bytes: [10, 244, 0, 0], prefixBits: 16 },
      rcode: 2,
      leastMs: 2.5,
    });
    asks({ name: null, client: null, rcode: null, slowMs: -3, later: 'versions know more' });
    assert.deepEqual(state.filter, { name: null, client: null, rcode: null, leastMs: 0 });
    const isUsage = (error: unknown): boolean => error instanceof ControlError && error.kind === 'usage';
    for (const given of [{ name: 7 }, { name: '' }, { client: 'x' }, { rcode: 'x' }, { rcode: {} }]) {
      assert.throws(() => asks(given), isUsage, JSON.stringify(given));
    }
  });

  it('has a bound', () => {
    const { asks, state } = newFixture();
    state.isFull = true;
    assert.throws(
      () => asks(),
      (error: unknown) => error instanceof ControlError && error.kind === 'busy',
    );
  });
});
