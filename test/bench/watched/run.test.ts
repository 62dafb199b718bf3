/** The table of what watching costs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchedText } from '../../../bench/watched/run.js';

test('the table has medians, and what each watcher costs more than nobody in its own pairs', () => {
  const pair = (alone: number, watched: number) => ({
    alone: { microsecondsPerAnswer: alone, restMsPerSecond: 1 },
    watched: { microsecondsPerAnswer: watched, restMsPerSecond: 3.25 },
  });
  const lines = watchedText(new Map([['tail', [pair(5, 5.1), pair(10, 10.1), pair(4, 4)]]])).split('\n');
  assert.deepEqual(lines.slice(2), ['| nobody | 5.00 |  | 1.0 |', '| tail | 5.10 | 1.0 % (0.0 to 2.0) | 3.3 |']);
});
