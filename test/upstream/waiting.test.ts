import assert from 'node:assert/strict';
import { test } from 'node:test';
import { upstreamQueueMax } from '../../src/limits.js';
import { type Attempt, notSent } from '../../src/upstream/attempt.js';
import { Waiting } from '../../src/upstream/waiting.js';
import { request } from './scripted.js';

function attempt(): Attempt {
  const never = (): never => assert.fail('nothing is said to those that wait');
  return {
    request: request('a'),
    allowsOpt: true,
    isAgain: false,
    carrier: null,
    sentAtMs: notSent,
    accepts: never,
    answered: never,
    lost: never,
  };
}

test('first come, first served, and held by nobody afterwards', () => {
  const waiting = new Waiting();
  const [a, b] = [attempt(), attempt()];
  assert(waiting.push(a) && waiting.push(b));
  assert.equal(waiting.size, 2);
  assert.equal(a.carrier, waiting);
  assert.equal(waiting.take(), a);
  assert.equal(a.carrier, null);
  assert.equal(waiting.take(), b);
  assert.equal(waiting.take(), null);
  assert.equal(waiting.size, 0);
});

test('one that was given up is passed over', () => {
  const waiting = new Waiting();
  const [a, b, c] = [attempt(), attempt(), attempt()];
  for (const each of [a, b, c]) waiting.push(each);
  waiting.abandon(b);
  assert.equal(waiting.size, 2);
  assert.deepEqual([waiting.take(), waiting.take(), waiting.take()], [a, c, null]);
});

test('the queue is bounded, and those given up do not fill it', () => {
  const waiting = new Waiting();
  const kept = Array.from({ length: upstreamQueueMax }, attempt);
  for (const each of kept) assert(waiting.push(each));
  assert.equal(waiting.push(attempt()), false);
  for (let round = 0; round < 3 * upstreamQueueMax; round++) {
    waiting.abandon(kept[round % upstreamQueueMax]);
    kept[round % upstreamQueueMax] = attempt();
    assert(waiting.push(kept[round % upstreamQueueMax]));
  }
  assert.equal(waiting.size, upstreamQueueMax);
  for (const each of kept) assert.equal(waiting.take(), each);
  assert.equal(waiting.take(), null);
});
