import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newLineBudget } from '../../src/observe/line-budget.js';
import { ManualClock } from '../simulation/clock.js';

describe('line budget', () => {
  it('lets so many lines pass in a second and starts anew in the next', () => {
    const clock = new ManualClock();
    const fits = newLineBudget(clock, 3);
    const write = (lines: number): number => Array.from({ length: lines }, fits).filter(Boolean).length;
    assert.equal(write(5), 3);
    clock.passMs(999);
    assert.equal(write(5), 0, 'still the same second');
    clock.passMs(1);
    assert.equal(write(2), 2);
    clock.passMs(500);
    assert.equal(write(5), 1);
  });
});
