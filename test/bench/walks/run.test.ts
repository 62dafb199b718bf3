/** The table of the walks; measuring them is tested by test/real/walks.test.ts, which counts the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { walksText } from '../../../bench/walks/run.js';

test('the table has medians in round trips, as measured just before, and the rates', () => {
  const sample = (questionsPerName: number, ms: number) => ({
    questionsPerName,
    tookMs: [ms, ms, ms, 5 * ms],
    roundTripMs: 5,
  });
  const samples = { usual: [sample(1.1, 6), sample(1.3, 6)], off: [sample(4, 20), sample(4, 20)] };
  const lines = walksText({
    kinds: [{ kind: { library: 'go', family: 'unspec' }, samples }],
    rates: [{ walksPerSecond: 100, ...sample(2.5, 6) }],
  }).split('\n');
  assert.equal(lines[2], '| Go, A and AAAA | 4.00 | 4.00 | 20.00 | 1.20 | 1.20 | 6.00 |');
  assert.match(lines[4], /^4 new names .* took 5\.0 ms\.$/u);
  assert.equal(lines.at(-1), '| 100 | 2.50 | 1.20 | 6.00 |');
});
