import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Probe } from '../../src/upstream/probe.js';
import { answerTo, type Query, question, request } from './scripted.js';

const query = { id: 1, question: question('') } as Query;

function setUp() {
  const ended: string[] = [];
  const probe = new Probe(request(''), 5, (_, hasAnswer, nowMs) => ended.push(`${hasAnswer} at ${nowMs}`));
  return { probe, ended };
}

test('any answer will do, whatever it says', () => {
  const { probe } = setUp();
  for (const rcode of [0, 2, 3, 5]) assert.equal(probe.accepts(answerTo(query, { rcode, question: null })), true);
  assert.equal(probe.accepts(answerTo(query).subarray(0, 11)), false, 'half a header');
  assert.equal(probe.accepts(Buffer.alloc(12)), false, 'a query');
});

test('it says how it ended', () => {
  const { probe, ended } = setUp();
  assert.deepEqual([probe.isProbe, probe.allowsOpt, probe.startedAtMs], [true, false, 5]);
  probe.answered(answerTo(query), 7);
  probe.lost(null, 9);
  assert.deepEqual(ended, ['true at 7', 'false at 9']);
});
