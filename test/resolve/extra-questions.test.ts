import assert from 'node:assert/strict';
import { test } from 'node:test';
import { extraQuestionsBurst, extraQuestionsPerSecondMax, extraQuestionsShare } from '../../src/limits.js';
import { ExtraQuestions } from '../../src/resolve/extra-questions.js';

function spent(budget: ExtraQuestions, nowMs: number): number {
  let count = 0;
  while (budget.spend(nowMs)) count++;
  return count;
}

test('a burst of questions, then a share of the misses', () => {
  const budget = new ExtraQuestions(extraQuestionsPerSecondMax);
  assert.equal(spent(budget, 0), extraQuestionsBurst);
  for (let miss = 1; miss < 1 / extraQuestionsShare; miss++) budget.missed();
  assert.equal(spent(budget, 5_000), 0);
  budget.missed();
  assert.equal(spent(budget, 5_000), 1);
  for (let miss = 0; miss < 1_000_000; miss++) budget.missed();
  assert.equal(spent(budget, 10_000), extraQuestionsBurst, 'not more is saved up');
});

test('a question that took the place of a client’s is given back', () => {
  const budget = new ExtraQuestions(extraQuestionsPerSecondMax);
  spent(budget, 0);
  budget.earn(1);
  assert.equal(spent(budget, 5_000), 1);
});

test('the burst may be another one', () => {
  const budget = new ExtraQuestions(extraQuestionsPerSecondMax, 3);
  assert.equal(spent(budget, 0), 3);
  budget.earn(100);
  assert.equal(spent(budget, 5_000), 3);
});

test('so many in one second at the most', () => {
  const budget = new ExtraQuestions(extraQuestionsPerSecondMax);
  let count = 0;
  for (let round = 0; round < 10; round++) {
    count += spent(budget, 1_500);
    budget.earn(extraQuestionsBurst);
  }
  assert.equal(count, extraQuestionsPerSecondMax);
  assert.equal(spent(budget, 2_000), extraQuestionsBurst);
});
