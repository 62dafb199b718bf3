import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byCache, byForward } from '../../src/counters.js';
import { pagePointMs, pageTickMs } from '../../src/limits.js';
import { historyColumns } from '../../src/page/history.js';
import { Sampler } from '../../src/page/sampler.js';
import { newPage, newSource } from '../observe/source.js';
import { ManualClock } from '../simulation/clock.js';
import { answered } from './counts.js';

const hit = historyColumns.indexOf('hit');
const miss = historyColumns.indexOf('miss');

function newWorld() {
  const clock = new ManualClock();
  const counters = newPage(1);
  return { clock, counters, sampler: new Sampler(newSource({ pages: () => [counters] }), clock) };
}

describe('the sampler', () => {
  it('makes a point of every ten seconds, of what has happened since the one before', () => {
    const { clock, counters, sampler } = newWorld();
    answered(counters, 40, { by: byCache, cache: 'hit' });
    clock.passMs(pagePointMs);
    answered(counters, 20, { by: byForward });
    clock.passMs(2 * pagePointMs);
    const { times, values } = sampler.history.shown();
    assert.deepEqual(values[hit], [4, 0, 0]);
    assert.deepEqual(values[miss], [0, 2, 0]);
    assert.deepEqual(
      times.map((time) => time - times[0]),
      [0, 10, 20],
    );
  });

  it('gives the figures of the last five seconds, also after nobody has looked for long', () => {
    const { clock, counters, sampler } = newWorld();
    for (let second = 1; second <= 12; second++) {
      answered(counters, second, { by: byCache, cache: 'hit' });
      clock.passMs(pageTickMs);
      const { values } = sampler.present();
      if (second === 12) assert.equal(values[hit], (8 + 9 + 10 + 11 + 12) / 5);
    }
    clock.passMs(6 * pagePointMs);
    answered(counters, 6, { by: byCache, cache: 'hit' });
    clock.passMs(pageTickMs * 3);
    assert.equal(sampler.present().values[hit], 1.2, 'since the last point');
  });

  it('has the seconds since the last complete point as a point of their own', () => {
    const { clock, counters, sampler } = newWorld();
    answered(counters, 9, { by: byCache, cache: 'hit' });
    clock.passMs(3 * pageTickMs);
    const first = sampler.present();
    assert.deepEqual([first.complete, first.partial?.values[hit]], [null, 3]);
    clock.passMs(pagePointMs - 2 * pageTickMs);
    const second = sampler.present();
    assert.deepEqual([second.complete?.values[hit], second.partial], [0.9, null], 'a second is too short');
    clock.passMs(pageTickMs);
    assert.equal(sampler.present().partial?.values[hit], 0);
  });

  it('ends', () => {
    const { clock, sampler } = newWorld();
    sampler.stop();
    assert.equal(clock.timersSet, 0);
  });
});
