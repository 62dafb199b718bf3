import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askAgainLeast, askAgainShare, askAgainWindowMs } from '../../src/limits.js';
import { HedgeBudget } from '../../src/upstream/budget.js';
import { seededRandom } from '../simulation/random.js';

function spendAll(budget: HedgeBudget, nowMs: number): number {
  let spent = 0;
  while (budget.spend(nowMs)) spent++;
  return spent;
}

test('where little is asked, what one dead connection can hold', () => {
  const budget = new HedgeBudget();
  assert.equal(spendAll(budget, 0), askAgainLeast);
  assert.equal(spendAll(budget, askAgainWindowMs / 2), 0);
  assert.equal(spendAll(budget, 2 * askAgainWindowMs), askAgainLeast);
});

test('where much is asked, a share of it, and it is forgotten with the window', () => {
  const budget = new HedgeBudget();
  for (let asked = 0; asked < 10_000; asked++) budget.asked(1_000);
  assert.equal(spendAll(budget, 1_000), 10_000 * askAgainShare);
  assert.equal(spendAll(budget, 20_000), askAgainLeast);
  assert.equal(spendAll(budget, 1e9), askAgainLeast);
});

test('whenever one is spent, no ten seconds before it hold more than the share', () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = seededRandom(seed);
    const budget = new HedgeBudget();
    const asked: number[] = [];
    const hedges: number[] = [];
    let nowMs = random.below(1_000_000);
    for (let flush = 0; flush < 400; flush++) {
      nowMs += random.below(random.below(20) === 0 ? 9_000 : 200);
      for (let count = random.below(300); count > 0; count--) {
        asked.push(nowMs);
        budget.asked(nowMs);
      }
      for (let count = random.below(100); count > 0; count--) {
        if (!budget.spend(nowMs)) continue;
        hedges.push(nowMs);
        const within = (times: readonly number[]) => times.filter((ms) => ms > nowMs - askAgainWindowMs).length;
        assert(within(hedges) <= Math.max(askAgainLeast, within(asked) * askAgainShare), `seed ${seed}, turn ${flush}`);
      }
    }
  }
});

test('probes and questions have the share together, and a little each where it is less', () => {
  const few = new HedgeBudget();
  assert.equal(spendAll(few, 1_000), askAgainLeast);
  let probes = 0;
  while (few.spendOnScout(1_000)) probes++;
  assert.equal(probes, askAgainLeast);
  const many = new HedgeBudget();
  for (let count = 0; count < 10_000; count++) many.asked(1_000);
  probes = 0;
  while (probes < 600 && many.spendOnScout(1_000)) probes++;
  assert.equal(probes, 600);
  assert.equal(spendAll(many, 1_000), 10_000 * askAgainShare - 600);
});
