import assert from 'node:assert/strict';
import { test } from 'node:test';
import { doubtMs } from '../../src/limits.js';
import { Doubt, Probe } from '../../src/upstream/scout.js';
import { answerTo, type Query, question, request } from './scripted.js';

const noScout = (): null => null;
const neverHeard = Number.NEGATIVE_INFINITY;

test('where nothing is known against an address, what is new is new and all else is proven', () => {
  const doubt = new Doubt(() => {}, noScout);
  assert.equal(doubt.isIn(0), false);
  assert.equal(doubt.trusts(neverHeard, 0), true);
  assert.equal(doubt.verdict(neverHeard, null, 0), 'new');
  assert.equal(doubt.verdict(5, null, 10), 'proven');
});

test('in doubt only what has answered since the silence began is trusted', () => {
  const doubt = new Doubt(() => {}, noScout);
  doubt.began(1_000, 1_100);
  assert.equal(doubt.isIn(1_100), true);
  assert.deepEqual(
    [neverHeard, 999, 1_000, 1_050].map((lastHeardMs) => doubt.verdict(lastHeardMs, null, 1_100)),
    ['unproven', 'unproven', 'proven', 'proven'],
  );
});

test('a second endpoint dies: what answered before is trusted no more', () => {
  const doubt = new Doubt(() => {}, noScout);
  doubt.began(1_000, 1_100);
  doubt.began(5_000, 5_100);
  assert.equal(doubt.trusts(4_999, 5_100), false);
  doubt.began(4_000, 5_200);
  assert.equal(doubt.trusts(5_000, 5_200), true, 'older news does not change that');
  assert.equal(doubt.trusts(4_500, 5_200), false);
});

test('it ends after a while, and lasts as long as scouts are lost', () => {
  const doubt = new Doubt(() => {}, noScout);
  doubt.goesOn(1_000, 1_100);
  assert.equal(doubt.trusts(999, 1_100), false);
  doubt.goesOn(1_100 + doubtMs - 50, 1_100 + doubtMs - 1);
  assert.equal(doubt.trusts(1_000, 1_100 + doubtMs), true, 'what is trusted stays so');
  assert.equal(doubt.isIn(1_098 + 2 * doubtMs), true);
  assert.equal(doubt.isIn(1_099 + 2 * doubtMs), false);
});

test('for what is asked again only what has answered since it was asked is proven, in doubt or not', () => {
  const doubt = new Doubt(() => {}, noScout);
  const hedge = { tried: [], sinceMs: 2_000 };
  assert.equal(doubt.verdict(1_999, hedge, 2_100), 'unproven');
  assert.equal(doubt.verdict(2_000, hedge, 2_100), 'proven');
  assert.equal(doubt.verdict(neverHeard, hedge, 2_100), 'unproven');
});

test('that it came to be doubted is told once', () => {
  let told = 0;
  const doubt = new Doubt(() => told++, noScout);
  doubt.began(1_000, 1_100);
  doubt.goesOn(1_200, 1_300);
  doubt.began(1_250, 1_350);
  assert.equal(told, 1);
  doubt.goesOn(1_350 + doubtMs, 1_350 + doubtMs);
  assert.equal(told, 2);
});

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
