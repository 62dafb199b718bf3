import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Counters, countersMemory } from '../../src/counters.js';
import { nameToWire } from '../../src/dns/names.js';
import { questionForName } from '../../src/dns/query.js';
import {
  chainEntriesMax,
  clientWaitersLeast,
  identicalQuestionsMax,
  pendingMax,
  waitersMax,
  waitersPerQuestionMax,
} from '../../src/limits.js';
import { hashOf, type Pending, PendingTable, Sharing, type Waiter } from '../../src/resolve/pending.js';
import type { Answer, Ask, Outcome, Request } from '../../src/upstream/ask.js';
import { hashKey } from '../dns/hash-key.js';

const question = (name: string) => Uint8Array.from([...nameToWire(name), 0, 1, 0, 1]);
const from = (address: string) => ({ client: { remote: { address, port: 1 } } }) as Waiter;
const waiter = from('10.244.0.1');
const key = hashKey(7);

function pending(name: string, waiters: Waiter[] = [], more: Partial<Pending> = {}): Pending {
  const identity = { question: question(name), zoneId: 1, key: 0, recursionDesired: true, ...more };
  const hash = hashOf(identity.question, identity.key, key);
  return { isJoinable: true, next: null, ...identity, hash, waiters } as Pending;
}

describe('PendingTable', () => {
  it('finds a question in any spelling, and no other that differs in anything', () => {
    const table = new PendingTable();
    const one = pending('a.test');
    table.add(one);
    assert.equal(table.find(pending('A.Test')), one);
    const others: Partial<Pending>[] = [{ zoneId: 2 }, { key: 1 }, { recursionDesired: false }];
    for (const other of others) assert.equal(table.find(pending('a.test', [], other)), null);
    const aaaa = Uint8Array.from([...nameToWire('a.test'), 0, 28, 0, 1]);
    assert.equal(table.find(pending('a.test', [], { question: aaaa })), null);
    assert.equal(table.find(pending('b.test')), null);
  });

  it('finds none that is not to be joined', () => {
    const table = new PendingTable();
    table.add(pending('a.test', [], { isJoinable: false }));
    assert.equal(table.find(pending('a.test')), null);
  });

  it('tells those apart that fall on one place, and takes out the right one', () => {
    const table = new PendingTable();
    const all = ['a.test', 'b.test', 'c.test'].map((name) => Object.assign(pending(name), { hash: 5 }));
    for (const one of all) table.add(one);
    table.remove(all[1]);
    assert.deepEqual(
      all.map((one) => table.find(one) === one),
      [true, false, true],
    );
    table.remove(all[0]);
    table.remove(all[2]);
    assert.deepEqual([table.size, table.find(all[0]), table.find(all[2])], [0, null, null]);
  });

  it('has chains of 32 at the most: what comes on top is asked, and nobody joins it', () => {
    const table = new PendingTable();
    const all = Array.from({ length: 40 }, (_, number) => Object.assign(pending(`n${number}.test`), { hash: 5 }));
    for (const one of all) table.add(one);
    const found = () => all.map((one) => table.find(one) === one);
    assert.deepEqual(
      found(),
      all.map((_, number) => number < chainEntriesMax),
    );
    assert.equal(table.size, all.length);
    for (const one of all.slice(30)) table.remove(one);
    assert.deepEqual(
      found(),
      all.map((_, number) => number < 30),
    );
    for (const one of all.slice(0, 30)) table.remove(one);
    assert.deepEqual([table.size, all.some((one) => table.find(one) !== null)], [0, false]);
  });

  it('is made no slower by questions that nobody may join, however many of them are one', () => {
    const table = new PendingTable();
    const own = Array.from({ length: 1_000 }, () => pending('a.test', [waiter], { isJoinable: false }));
    for (const one of own) table.add(one);
    const shared = pending('a.test');
    table.add(shared);
    assert.deepEqual([table.find(pending('a.test')), shared.next, table.size], [shared, null, 1_001]);
    for (const one of own) assert.deepEqual(table.remove(one), [waiter]);
    assert.deepEqual([table.find(pending('a.test')), table.size, table.waiters], [shared, 1, 0]);
  });

  it('is what a map would be, whatever comes and goes', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 40 }), { size: 'max', maxLength: 400 }), (names) => {
        const table = new PendingTable();
        const model = new Map<number, Pending>();
        for (const name of names) {
          const known = model.get(name);
          const wanted = pending(`n${name}.test`);
          assert.equal(table.find(wanted), known ?? null);
          if (known === undefined) {
            model.set(name, wanted);
            table.add(wanted);
          } else {
            model.delete(name);
            table.remove(known);
          }
          assert.equal(table.size, model.size);
        }
      }),
    );
  });

  it('counts who waits, and gives every waiter away exactly once', () => {
    const table = new PendingTable();
    const one = pending('one', [waiter]);
    table.add(one);
    assert.equal(table.join(one, waiter), 'joined');
    assert.deepEqual([table.size, table.waiters], [1, 2]);
    assert.equal(table.takeWaiters(one).length, 2);
    assert.deepEqual([table.size, table.waiters], [1, 0]);
    table.join(one, waiter);
    assert.equal(table.remove(one).length, 1);
    assert.deepEqual([table.size, table.waiters, table.find(one)], [0, 0, null]);
  });

  it('lets so many wait for one question and no more', () => {
    const table = new PendingTable();
    const one = pending('one');
    table.add(one);
    for (let index = 0; index < waitersPerQuestionMax; index++) {
      assert.equal(table.join(one, from(`10.244.1.${index}`)), 'joined');
    }
    assert.equal(table.join(one, waiter), 'overloadedWaiters');
    assert.equal(table.waiters, waitersPerQuestionMax);
  });

  it('gives one client half of the room at one question, and then there is room for another', () => {
    const table = new PendingTable();
    const one = pending('one');
    table.add(one);
    const flood = (client: string): number => {
      let count = 0;
      while (table.join(one, from(client)) === 'joined') count++;
      return count;
    };
    assert.equal(flood('10.244.0.1'), waitersPerQuestionMax / 2);
    assert.equal(flood('10.244.0.2'), waitersPerQuestionMax / 4);
    assert.equal(table.join(one, from('10.244.0.1')), 'overloadedClient');
    assert.equal(table.join(one, from('10.244.0.3')), 'joined');
  });

  it('gives one client half of all the room to wait, by whatever questions', () => {
    const table = new PendingTable();
    const questions = Array.from({ length: (2 * waitersMax) / waitersPerQuestionMax }, (_, index) =>
      pending(`${index}`),
    );
    for (const one of questions) table.add(one);
    let joined = 0;
    for (const one of questions) while (table.join(one, waiter) === 'joined') joined++;
    assert.equal(joined, waitersMax / 2);
    assert.equal(table.hasShareFor(waiter.client.remote.address), false);
    assert.equal(table.hasShareFor('10.244.0.2'), true);
    assert.equal(table.join(questions[0], from('10.244.0.2')), 'joined');
  });

  it('gives one client half of the room at most, and then there is room for another, and a third', () => {
    const table = new PendingTable();
    const flood = (client: string): number => {
      let count = 0;
      for (; table.hasRoom && table.hasShareFor(client); count++) {
        table.add(pending(`${client} ${count}`, [from(client)]));
      }
      return count;
    };
    assert.equal(flood('10.244.0.1'), pendingMax / 2);
    assert.equal(flood('10.244.0.2'), pendingMax / 4);
    assert.equal(flood('10.244.0.3'), pendingMax / 8);
    table.remove(table.find(pending('10.244.0.1 0'))!);
    assert.equal(table.hasShareFor('10.244.0.4'), true);
  });

  it('counts a client no more when its last question is answered', () => {
    const table = new PendingTable();
    for (let index = 0; index < pendingMax / 2; index++) table.add(pending(String(index), [waiter]));
    assert.equal(table.hasShareFor('10.244.0.1'), false);
    for (let index = 0; index < pendingMax / 2; index++) table.remove(table.find(pending(String(index)))!);
    assert.equal(table.hasShareFor('10.244.0.1'), true);
    assert.equal(table.waiters, 0);
  });

  it('has room for so many questions and no more', () => {
    const table = new PendingTable();
    for (let index = 0; index < pendingMax; index++) table.add(pending(String(index)));
    assert.equal(table.hasRoom, false);
    table.remove(table.find(pending('0'))!);
    assert.equal(table.hasRoom, true);
  });
});

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
