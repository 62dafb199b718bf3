import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { drainDeadlineMs, hostLeaveDeadlineMs, reloadEndMs, stopDeadlineMs, sweepPeriodMs } from '../../src/limits.js';
import { type EndingDeps, newEnding } from '../../src/process/ending.js';
import { ManualClock } from '../simulation/clock.js';

const never = new Promise<void>(() => {});

/** Parts that note what is done to them; `did` in place of one may fail or hang. */
function ending(lameduckMs: number, did: Record<string, () => unknown> = {}) {
  const clock = new ManualClock();
  const startedMs = clock.nowMs();
  const done: string[] = [];
  const errors: string[] = [];
  let panics = 0;
  const note = (what: string): unknown => {
    done.push(what);
    return did[what]?.();
  };
  const noteLater = async (what: string): Promise<void> => void (await note(what));
  const log = { debug() {}, info() {}, warn() {}, error: (text: string) => void errors.push(text) };
  const world: EndingDeps = {
    ...{ clock, log, counters: { count: () => void panics++ } },
    watching: { readiness: { stopping: () => void note('not ready') }, stop: () => noteLater('http') },
    active: {
      finish: () => noteLater('finish'),
      config: { health: { lameduckMs } } as EndingDeps['active']['config'],
      generation: { stop: () => void note('upstreams') } as EndingDeps['active']['generation'],
    },
    succession: {
      leave: () => noteLater('leave').then(() => 'alone' as const),
      left: () => void note('left'),
      whenSucceeded() {},
      role: 'serving',
    },
    misses: {
      get waiters() {
        return (did['waiters']?.() ?? 0) as number;
      },
    },
    host: { stepAside: () => noteLater('step aside'), leave: () => noteLater('node') },
    listeners: { drain: (drained) => void (note('drain') === never || drained()) },
    snapshot: { finish: () => void note('snapshot') },
    lane: { end: () => void note('lane') },
    threads: { end: () => noteLater('threads') },
    control: { end: () => void note('control') },
  };
  const { stop, hurry } = newEnding(world);
  return {
    ...{ clock, done, errors, stop, hurry },
    get panics() {
      return panics;
    },
    /** How long it takes. */
    async stops(): Promise<number> {
      await clock.until(stop());
      return clock.nowMs() - startedMs;
    },
  };
}

const steps = [
  ...['not ready', 'finish', 'leave', 'step aside', 'lane', 'drain', 'upstreams'],
  ...['snapshot', 'http', 'threads', 'control', 'left', 'node'],
];

describe('newEnding', () => {
  it('ends everything in order, after lameduck, once', async () => {
    const world = ending(2_000);
    assert.equal(await world.stops(), 2_000);
    await world.clock.until(world.stop());
    assert.deepEqual(world.done, steps);
    assert.deepEqual([world.errors, world.panics, world.clock.timersSet], [[], 0, 0]);
  });

  for (const step of steps) {
    it(`does all the rest when "${step}" throws, and says so`, async () => {
      const world = ending(0, {
        [step]() {
          throw new Error('planted');
        },
      });
      await world.stops();
      assert.deepEqual(world.done, steps);
      assert.equal(world.panics, 1);
      assert.match(world.errors.join('\n'), /^stopping .+ failed; stopping the rest$/u);
    });
  }

  it('waits for nothing that hangs beyond its time', async () => {
    const hanging = ['finish', 'drain', 'http', 'threads'];
    const world = ending(100, { ...Object.fromEntries(hanging.map((step) => [step, () => never])), waiters: () => 1 });
    const tookMs = await world.stops();
    assert.deepEqual(world.done, steps);
    assert.equal(tookMs, reloadEndMs + 100 + stopDeadlineMs);
    assert.ok(drainDeadlineMs + hostLeaveDeadlineMs <= stopDeadlineMs, 'there was time left for the node');
  });

  it('waits for clients until they are answered', async () => {
    let waiters = 2;
    const world = ending(0, { waiters: () => waiters });
    world.clock.after(3 * sweepPeriodMs - 1, () => {
      waiters = 0;
    });
    assert.equal(await world.stops(), 3 * sweepPeriodMs);
  });

  it('in a hurry waits for nobody, but leaves out nothing', async () => {
    const hanging = {
      finish: () => never,
      leave: () => never,
      drain: () => never,
      http: () => never,
      waiters: () => 1,
    };
    const before = ending(60_000, hanging);
    before.hurry();
    assert.ok((await before.stops()) < 1, 'asked for before');
    assert.deepEqual(before.done, steps);
    const during = ending(60_000, hanging);
    during.clock.after(1_000, during.hurry);
    assert.equal(await during.stops(), 1_000);
    assert.deepEqual(during.done, steps);
  });
});
