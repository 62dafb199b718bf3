import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Answering } from '../../src/control/server.js';
import { type TopItem, topHandler } from '../../src/control/top-serving.js';
import { topSlowMax, topSlowMs, topSlowShownMs } from '../../src/limits.js';
import type { WatchedQuery, WatchFilter } from '../../src/observe/query-watch.js';
import { Top } from '../../src/observe/top.js';
import { newSource } from '../observe/source.js';
import { ManualClock } from '../simulation/clock.js';
import { watchedQuery } from './watched.js';

function newFixture() {
  const clock = new ManualClock();
  const state = { filter: null as WatchFilter | null, isEnded: false, isServing: true, isFull: false };
  let told: (queries: readonly WatchedQuery[]) => void = () => {};
  const handler = topHandler({
    clock,
    isServing: () => state.isServing,
    source: newSource({ startedAtMs: clock.wallMs() - 90_000 }),
    top: new Top(clock),
    answerWatch: {
      watch(filter, tell) {
        if (state.isFull) return null;
        state.filter = filter;
        told = tell;
        return {
          untold: () => assert.fail('not asked'),
          hitsOneIn: 1,
          end: () => {
            state.isEnded = true;
          },
        };
      },
    },
  });
  const items: TopItem[] = [];
  const said: string[] = [];
  let gone: () => void = () => {};
  const answering: Answering = {
    item: (value) => items.push(value as TopItem) > 0,
    whenGone: (run) => {
      gone = run;
    },
    end: () => void said.push('end'),
    fail: (kind, sentence) => void said.push(`${kind}: ${sentence}`),
  };
  return {
    ...{ clock, state, items, said },
    asks: async () => handler({}, answering),
    slow: (...durations: number[]) =>
      told(durations.map((durationMs) => watchedQuery({ durationMs, atMs: clock.wallMs() }))),
    leaves: () => gone(),
  };
}

describe('the running side of top', () => {
  it('gives a reading once a second, the first of the first second', async () => {
    const { clock, asks, items } = newFixture();
    await asks();
    assert.equal(items.length, 0);
    await clock.pass(1_000);
    await clock.pass(1_000);
    assert.equal(items.length, 2);
    const { version, upSeconds, time, traffic, talkers, slow } = items[1];
    assert.deepEqual([version, upSeconds, traffic.seconds, talkers.names, slow], ['1.2.3', 92, 1, [], []]);
    assert.equal(Date.parse(time), clock.wallMs());
    assert.ok(JSON.stringify(items[1]).length < 2_000);
  });

  it('wants no hits of the workers, and shows the slowest of the last minute', async () => {
    const { clock, asks, items, slow, state } = newFixture();
    await asks();
    assert.deepEqual(state.filter, { name: null, client: null, rcode: null, leastMs: topSlowMs });
    slow(...Array.from({ length: 2 * topSlowMax }, (_, index) => 20 + index));
    await clock.pass(1_000);
    const shown = (): number[] => items.at(-1)!.slow.map(({ durationMs }) => durationMs);
    assert.deepEqual([shown().length, shown()[0], shown().at(-1)], [topSlowMax, 39, 30]);
    slow(1_000);
    await clock.pass(1_000);
    assert.equal(shown()[0], 1_000);
    await clock.pass(topSlowShownMs - 1_000);
    assert.deepEqual(shown(), [1_000]);
    await clock.pass(2_000);
    assert.deepEqual(shown(), []);
  });

  it('says that it sees no slow answers while as many as may watch, and sees them when one has gone', async () => {
    const { clock, asks, items, slow, state } = newFixture();
    state.isFull = true;
    await asks();
    await clock.pass(1_000);
    assert.equal(items.at(-1)!.isSlowShown, false);
    state.isFull = false;
    await clock.pass(1_000);
    slow(20);
    await clock.pass(1_000);
    assert.deepEqual([items.at(-1)!.isSlowShown, items.at(-1)!.slow.length], [true, 1]);
  });

  it('ends with the command, and when another instance serves', async () => {
    const one = newFixture();
    await one.asks();
    one.leaves();
    assert.deepEqual([one.state.isEnded, one.clock.timersSet], [true, 0]);
    const other = newFixture();
    await other.asks();
    other.state.isServing = false;
    await other.clock.pass(1_000);
    assert.match(other.said.join(), /^failed: another instance/);
    assert.deepEqual([other.state.isEnded, other.clock.timersSet], [true, 0]);
  });
});
