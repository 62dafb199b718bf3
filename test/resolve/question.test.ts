import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { overTcp, overUdp } from '../../src/counters.js';
import { nameToWire } from '../../src/dns/names.js';
import { freeQuestionsMax, waiterQueryBytesMax } from '../../src/limits.js';
import type { Client } from '../../src/listen/client.js';
import { FreeBytes, Questions } from '../../src/resolve/question.js';
import type { Route } from '../../src/resolve/route.js';
import type { ServedZone } from '../../src/resolve/zones.js';
import type { Answer, Outcome } from '../../src/upstream/ask.js';

const bytes = (length: number, of = 0) => Uint8Array.from({ length }, (_, index) => index + of);

describe('FreeBytes', () => {
  it('copies, and uses only memory again that was given back', () => {
    const steps = fc.array(fc.record({ length: fc.integer({ min: 0, max: 5 }), gives: fc.boolean() }), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, (all) => {
        const free = new FreeBytes(4);
        const inUse: { copy: Uint8Array; was: number[] }[] = [];
        for (const [index, { length, gives }] of all.entries()) {
          if (gives && inUse.length > 0) free.free(inUse.splice(index % inUse.length, 1)[0].copy);
          const from = bytes(length + 2, index);
          const copy = free.copy(from, 1, length + 1);
          inUse.push({ copy, was: [...from.subarray(1, length + 1)] });
        }
        for (const { copy, was } of inUse) assert.deepEqual([...copy], was);
      }),
    );
  });

  it('uses the same memory again for the same length', () => {
    const free = new FreeBytes(2);
    const first = free.copy(bytes(7), 0, 7);
    free.free(first);
    assert.notEqual(free.copy(bytes(8), 0, 8), first);
    assert.equal(free.copy(bytes(7, 3), 0, 7), first);
    assert.deepEqual([...first], [...bytes(7, 3)]);
  });

  it('keeps so many at the most, and forgets them all for lengths that come now', () => {
    const free = new FreeBytes(2);
    const old = [free.copy(bytes(3), 0, 3), free.copy(bytes(3), 0, 3)];
    for (const one of old) free.free(one);
    const other = free.copy(bytes(4), 0, 4);
    free.free(other);
    assert.equal(free.copy(bytes(4), 0, 4), other);
    assert.ok(!old.includes(free.copy(bytes(3), 0, 3)));
  });

  it('leaves what is longer than a waiting query to the collector', () => {
    const free = new FreeBytes(2);
    free.free(new Uint8Array(waiterQueryBytesMax + 1));
    assert.equal(free.copy(new Uint8Array(waiterQueryBytesMax), 0, waiterQueryBytesMax).length, waiterQueryBytesMax);
  });
});

function newDesk() {
  const heard: string[] = [];
  const questions = new Questions({
    answered: ({ depth }, outcome) => heard.push(`${depth} ${outcome.ok ? 'answer' : outcome.why}`),
    answeredLate: ({ depth }) => heard.push(`${depth} late`),
  });
  const route = { asksOurselves: false, ask() {} } as unknown as Route;
  const zone = { zoneId: 3 } as ServedZone;
  const begin = (name: string, depth = 0) =>
    questions.question({
      question: questions.copy(Uint8Array.from([...nameToWire(name), 0, 1, 0, 1]), 0, nameToWire(name).length + 4),
      zoneId: 3,
      key: 0,
      recursionDesired: true,
      hash: 5,
      zone,
      route,
      startedAtMs: 7,
      depth,
    });
  return { heard, questions, begin };
}

const answer: Answer = { ok: true, message: new Uint8Array(12), from: '' };
const failure: Outcome = { ok: false, why: 'timeout', text: '' };

describe('Questions', () => {
  it('a question that was freed begins as another one, and tells as that', () => {
    const { heard, questions, begin } = newDesk();
    const first = begin('a.test', 1);
    first.hasStale = true;
    first.asksOurselves = true;
    first.done(failure);
    first.late(answer);
    questions.free(first);
    const second = begin('b.test', 2);
    assert.equal(second, first);
    assert.deepEqual([second.hasStale, second.asksOurselves, second.waiters.length], [false, false, 0]);
    second.done(answer);
    assert.deepEqual(heard, ['1 timeout', '1 late', '2 answer']);
  });

  it('two that are under way share nothing', () => {
    const { begin } = newDesk();
    const [one, other] = [begin('a.test'), begin('b.test')];
    assert.notEqual(one, other);
    assert.notEqual(one.request, other.request);
    assert.notEqual(one.question.buffer, other.question.buffer);
  });

  it('gives a waiter back with its client and its bytes, and one that is no longer there with nobody', () => {
    const { questions, begin } = newDesk();
    let freed = 0;
    const client = { transport: overUdp, free: () => void freed++ } as unknown as Client;
    const question = begin('a.test');
    const waiter = questions.waiter(client, questions.copy(bytes(20), 0, 20), 20, 1);
    question.waiters.push(waiter);
    // A subquery's waiter is an object of its own.
    question.waiters.push({ ...waiter, ours: { answered() {}, failed() {} } });
    questions.free(question);
    assert.deepEqual([freed, question.waiters.length], [1, 0]);
    assert.equal(questions.waiter(client, bytes(3), 3, 2), waiter);
  });

  it('keeps as many as a burst has, and no more', () => {
    const { questions, begin } = newDesk();
    const many = Array.from({ length: freeQuestionsMax + 1 }, () => begin('a.test'));
    for (const one of many) questions.free(one);
    const again = new Set(many.map(() => begin('a.test')));
    assert.equal(again.size, many.length);
    assert.equal([...again].filter((one) => many.includes(one)).length, freeQuestionsMax);
  });

  it('asks upstream what the key says, and over what the client used', () => {
    const { begin } = newDesk();
    const question = begin('a.test', 4);
    const request = question.asRequest(overTcp, '10.0.0.1');
    assert.deepEqual(
      [request.clientTransport, request.client, request.depth, request.askedAtMs, request.dnssecOk],
      ['tcp', '10.0.0.1', 4, 7, false],
    );
    assert.equal(request.question, question.question);
    assert.equal(question.asRequest(overUdp, undefined).client, undefined);
  });
});
