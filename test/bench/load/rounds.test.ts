import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runRounds, type Subject } from '../../../bench/load/rounds.js';

test('every round is the reverse of the one before, one subject at a time', async () => {
  const order: string[] = [];
  const subjects: Subject<string>[] = ['a', 'b', 'c'].map((name) => ({
    name,
    async measure(round) {
      order.push(`${name}${round} begins`);
      await Promise.resolve();
      order.push(`${name}${round} ends`);
      return `${name}${round}`;
    },
  }));
  const told: string[] = [];
  const samples = await runRounds(subjects, 3, (round, subject, sample) => told.push(`${round} ${subject} ${sample}`));
  const expected = ['a0', 'b0', 'c0', 'c1', 'b1', 'a1', 'a2', 'b2', 'c2'];
  assert.deepEqual(
    order,
    expected.flatMap((name) => [`${name} begins`, `${name} ends`]),
  );
  assert.deepEqual(told[3], '1 c c1');
  assert.deepEqual(
    [...samples],
    [
      ['a', ['a0', 'a1', 'a2']],
      ['b', ['b0', 'b1', 'b2']],
      ['c', ['c0', 'c1', 'c2']],
    ],
  );
});

test('the first failure ends it', async () => {
  let calls = 0;
  const failing: Subject<number> = {
    name: 'failing',
    async measure() {
      if (++calls === 2) throw new Error('the server ended');
      return 1;
    },
  };
  await assert.rejects(
    runRounds([failing], 5, () => {}),
    /the server ended/,
  );
  assert.equal(calls, 2);
});
