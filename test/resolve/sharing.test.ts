import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { nameToWire } from '../../src/dns/names.js';
import { questionForName } from '../../src/dns/query.js';
import { clientWaitersLeast, identicalQuestionsMax, waitersPerQuestionMax } from '../../src/limits.js';
import { Sharing } from '../../src/resolve/sharing.js';
import type { Answer, Ask, Outcome, Request } from '../../src/upstream/ask.js';

const questionOf = (name: string, type = 1) => questionForName(Uint8Array.from([0, 0, type, 0, 1]), nameToWire(name));
const plain: Request = {
  question: questionOf('a.test.'),
  recursionDesired: true,
  checkingDisabled: false,
  dnssecOk: false,
  clientTransport: 'udp',
  client: '10.0.0.1',
};
const answer: Answer = { ok: true, message: new Uint8Array(12), from: '10.0.0.53:53' };
const failure: Outcome = { ok: false, why: 'timeout', text: 'silent' };

function newDesk() {
  const counters = new Counters(countersMemory(0));
  const sharing = new Sharing(counters);
  const asked: { request: Request; done: (outcome: Outcome) => void; late: ((answer: Answer) => void) | undefined }[] =
    [];
  const ask: Ask = (request, done, late) => void asked.push({ request, done, late });
  const heard: Outcome[] = [];
  const wants = (request: Request, from: { ask?: Ask; askedAtMs?: number; late?: (answer: Answer) => void } = {}) =>
    sharing.ask(
      { ask: from.ask ?? ask, request, askedAtMs: from.askedAtMs ?? 0, hash: 7 },
      (outcome) => heard.push(outcome),
      from.late,
    );
  return { counters, asked, heard, wants, ask };
}

describe('the same question of several', () => {
  it('is asked once, in whatever spelling and whichever transport; all hear the outcome, and the next asks anew', () => {
    const { asked, heard, wants, counters } = newDesk();
    wants(plain);
    wants({ ...plain, question: questionOf('A.tESt.'), client: '10.0.0.2', clientTransport: 'tcp', depth: 3 });
    assert.deepEqual([asked.length, counters.total('coalesced')], [1, 1]);
    asked[0].done(answer);
    assert.deepEqual(heard, [answer, answer]);
    wants(plain);
    assert.equal(asked.length, 2);
  });

  it('is another one with another name, type, class, RD, CD, DO, option or way', () => {
    const { asked, wants } = newDesk();
    const options = Uint8Array.of(0, 8, 0, 1, 9);
    const others: Request[] = [
      { ...plain, question: questionOf('b.test.') },
      { ...plain, question: questionOf('a.test.', 28) },
      { ...plain, question: Uint8Array.of(...plain.question.slice(0, -1), 3) },
      { ...plain, recursionDesired: false },
      { ...plain, checkingDisabled: true },
      { ...plain, dnssecOk: true },
      { ...plain, options },
      { ...plain, options: Uint8Array.of(0, 8, 0, 1, 8) },
      { ...plain, options: Uint8Array.of(0, 8, 0, 0) },
    ];
    wants(plain);
    for (const other of others) wants(other);
    assert.equal(asked.length, 1 + others.length);
    let elsewhere = 0;
    wants(plain, { ask: () => void elsewhere++ });
    assert.equal(elsewhere, 1);
    for (const other of others) wants({ ...other });
    assert.equal(asked.length, 1 + others.length);
    wants({ ...plain, options: options.slice() });
    assert.equal(asked.length, 1 + others.length);
  });

  it('is asked again for a query that came before it, whose time ends earlier, but not without end', () => {
    const { asked, wants } = newDesk();
    wants(plain, { askedAtMs: 100 });
    wants(plain, { askedAtMs: 100 });
    wants(plain, { askedAtMs: 101 });
    assert.equal(asked.length, 1);
    for (let askedAtMs = 99; askedAtMs > 0; askedAtMs--) wants(plain, { askedAtMs });
    assert.equal(asked.length, identicalQuestionsMax);
  });

  it('gives the answer that comes late to those that take it', () => {
    const { asked, heard, wants } = newDesk();
    const late: string[] = [];
    wants(plain, { late: () => late.push('first') });
    wants(plain);
    wants(plain, { late: () => late.push('third') });
    asked[0].done(failure);
    asked[0].late!(answer);
    assert.deepEqual([heard.length, late], [3, ['first', 'third']]);
  });

  it('ends for all, though one of them throws', () => {
    const { asked, heard, wants, ask } = newDesk();
    const sharing = new Sharing(new Counters(countersMemory(0)));
    const wanted = { ask, request: plain, askedAtMs: 0, hash: 7 };
    sharing.ask(wanted, () => assert.fail('a bug'), undefined);
    sharing.ask(wanted, (outcome) => heard.push(outcome), undefined);
    assert.throws(() => asked[0].done(answer), /a bug/);
    assert.deepEqual(heard, [answer]);
    wants(plain);
    assert.equal(asked.length, 2);
  });

  it('has places for others, however many one client wants', async () => {
    const { asked, heard, wants, counters } = newDesk();
    for (let times = 0; times < 2 * waitersPerQuestionMax; times++) wants(plain);
    await Promise.resolve();
    assert.equal(heard.length, 2 * waitersPerQuestionMax - waitersPerQuestionMax / 2);
    assert.deepEqual([asked.length, counters.total('overloadedClient')], [1, heard.length]);
    for (let index = 0; index < waitersPerQuestionMax; index++) wants({ ...plain, client: `10.0.1.${index}` });
    assert.equal(counters.total('overloadedWaiters'), waitersPerQuestionMax / 2);
    assert.ok(clientWaitersLeast < waitersPerQuestionMax / 2);
    await Promise.resolve();
    asked[0].done(answer);
    assert.equal(heard.length, 3 * waitersPerQuestionMax);
    assert.equal(heard.filter(({ ok }) => ok).length, waitersPerQuestionMax);
  });
});
