import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askAgainBurst, askAgainShare } from '../../src/limits.js';
import { AgainBudget } from '../../src/upstream/budget.js';

function spendAll(budget: AgainBudget): number {
  let spent = 0;
  while (budget.spend()) spent++;
  return spent;
}

test('a burst can be spent at once, and then only a share of what is asked', () => {
  const budget = new AgainBudget();
  assert.equal(spendAll(budget), askAgainBurst);
  for (let asked = 0; asked < 1000; asked++) budget.asked();
  const spent = spendAll(budget);
  assert(Math.abs(spent - 1000 * askAgainShare) <= 1, `${spent}`);
});

test('no more than the burst is saved', () => {
  const budget = new AgainBudget();
  for (let asked = 0; asked < 100 * askAgainBurst; asked++) budget.asked();
  assert.equal(spendAll(budget), askAgainBurst);
});
