import assert from 'node:assert/strict';
import { test } from 'node:test';
import { upstreamQueueMax } from '../../src/limits.js';
import { type Attempt, AttemptQueue, dialLoss, notSent, readLoss, timeoutText } from '../../src/upstream/attempt.js';
import { request } from './scripted.js';

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`what ${code} means`), { code });
}

test('a connection that could not be opened says so in the words of the reference', () => {
  assert.deepEqual(dialLoss('10.0.0.1:53', systemError('ECONNREFUSED')), {
    why: 'unreachable',
    text: 'dial tcp 10.0.0.1:53: connect: connection refused',
    blame: true,
  });
  assert.equal(
    dialLoss('[fd00::1]:53', systemError('EHOSTUNREACH')).text,
    'dial tcp [fd00::1]:53: connect: no route to host',
  );
  assert.deepEqual(dialLoss('10.0.0.1:53', null), {
    why: 'timeout',
    text: 'dial tcp 10.0.0.1:53: i/o timeout',
    blame: true,
  });
});

test('one that broke too; an error without a word of its own keeps the system’s', () => {
  assert.deepEqual(readLoss('udp', '10.0.0.1:53', systemError('ECONNREFUSED'), true), {
    why: 'unreachable',
    text: 'read udp 10.0.0.1:53: connection refused',
    blame: true,
  });
  assert.equal(readLoss('tcp', 'a:1', systemError('EWHATEVER'), false).text, 'read tcp a:1: what EWHATEVER means');
  assert.equal(readLoss('tcp', 'a:1', new Error('no code'), false).text, 'read tcp a:1: no code');
});

test('a timeout says what was waited for', () => {
  assert.equal(timeoutText('udp', '10.0.0.1:53', 'answer'), 'read udp 10.0.0.1:53: i/o timeout');
  assert.equal(timeoutText('tcp', '10.0.0.1:53', 'connect'), 'dial tcp 10.0.0.1:53: i/o timeout');
});

const push = (waiting: AttemptQueue, one: Attempt): boolean => waiting.push(one, 0);

function attempt(client?: string): Attempt {
  const never = (): never => assert.fail('nothing is said to those that wait');
  return {
    request: request('a', client === undefined ? {} : { client }),
    allowsOpt: true,
    isHedge: false,
    carrier: null,
    sentAtMs: notSent,
    accepts: never,
    answered: never,
    lost: never,
  };
}

test('first come, first served, and held by nobody afterwards', () => {
  const waiting = new AttemptQueue('10.0.0.1:53');
  const [a, b] = [attempt(), attempt()];
  assert(push(waiting, a) && push(waiting, b));
  assert.equal(waiting.size, 2);
  assert.equal(a.carrier, waiting);
  assert.equal(waiting.take(), a);
  assert.equal(a.carrier, null);
  assert.equal(waiting.take(), b);
  assert.equal(waiting.take(), null);
  assert.equal(waiting.size, 0);
});

test('one that was given up is passed over', () => {
  const waiting = new AttemptQueue('10.0.0.1:53');
  const [a, b, c] = [attempt(), attempt(), attempt()];
  for (const each of [a, b, c]) push(waiting, each);
  waiting.abandon(b);
  assert.equal(waiting.size, 2);
  assert.deepEqual([waiting.take(), waiting.take(), waiting.take()], [a, c, null]);
});

test('the queue is bounded, and those given up do not fill it', () => {
  const waiting = new AttemptQueue('10.0.0.1:53');
  const kept = Array.from({ length: upstreamQueueMax }, () => attempt());
  for (const each of kept) assert(push(waiting, each));
  assert.equal(push(waiting, attempt()), false);
  for (let round = 0; round < 3 * upstreamQueueMax; round++) {
    waiting.abandon(kept[round % upstreamQueueMax]);
    kept[round % upstreamQueueMax] = attempt();
    assert(push(waiting, kept[round % upstreamQueueMax]));
  }
  assert.equal(waiting.size, upstreamQueueMax);
  for (const each of kept) assert.equal(waiting.take(), each);
  assert.equal(waiting.take(), null);
});

test('clients take turns, however much each has', () => {
  const waiting = new AttemptQueue('10.0.0.1:53');
  const flood = Array.from({ length: 5 }, () => attempt('flood'));
  for (const each of flood) push(waiting, each);
  const [first, second] = [attempt('other'), attempt('other')];
  push(waiting, first);
  push(waiting, second);
  const taken = Array.from({ length: 7 }, () => waiting.take());
  assert.deepEqual(taken, [flood[0], first, flood[1], second, flood[2], flood[3], flood[4]]);
});

test('when it is full, the one with the most loses its latest for one with less, and nothing for itself', () => {
  const waiting = new AttemptQueue('10.0.0.1:53');
  const lost: string[] = [];
  const flood = Array.from({ length: upstreamQueueMax }, (_, index) => ({
    ...attempt('flood'),
    lost: ({ why }: { why: string }) => lost.push(`${index} ${why}`),
  }));
  for (const each of flood) push(waiting, each);
  assert.equal(push(waiting, attempt('flood')), false);
  waiting.abandon(flood[upstreamQueueMax - 1]);
  push(waiting, attempt('third'));
  const other = attempt('other');
  assert.equal(push(waiting, other), true);
  assert.deepEqual(lost, [`${upstreamQueueMax - 2} overloaded`]);
  assert.equal(waiting.size, upstreamQueueMax);
});

test('a client with one attempt loses it to nobody: when every place has another client, the newcomer finds none', () => {
  const waiting = new AttemptQueue('10.0.0.1:53');
  const kept = Array.from({ length: upstreamQueueMax }, (_, index) => attempt(`client ${index}`));
  for (const each of kept) assert(push(waiting, each));
  for (let more = 0; more < 10; more++) assert.equal(push(waiting, attempt(`newcomer ${more}`)), false);
  for (const each of kept) assert.equal(waiting.take(), each);
  assert.equal(waiting.take(), null);
});

test('a client that loses its latest attempt keeps its turn while it has more, and has none afterwards', () => {
  const waiting = new AttemptQueue('10.0.0.1:53');
  const lost: Attempt[] = [];
  const of = (client: string): Attempt => {
    const one: Attempt = { ...attempt(client), lost: () => void lost.push(one) };
    return one;
  };
  const twice = [of('twice'), of('twice'), of('twice')];
  for (const each of twice) push(waiting, each);
  const others = Array.from({ length: upstreamQueueMax - 3 }, (_, index) => of(`client ${index}`));
  for (const each of others) push(waiting, each);
  assert(push(waiting, of('newcomer')));
  assert.deepEqual(lost, [twice[2]]);
  waiting.abandon(twice[0]);
  waiting.abandon(twice[1]);
  for (const each of others) assert.equal(waiting.take(), each);
  assert.equal(waiting.take()?.request.client, 'newcomer');
  assert.equal(waiting.take(), null);
});
