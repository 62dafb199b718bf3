import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nameToWire } from '../../src/dns/names.js';
import { pendingMax, waitersPerQuestionMax } from '../../src/limits.js';
import { type Pending, PendingTable, pendingId, type Waiter } from '../../src/resolve/pending.js';

const identity = { zoneId: 1, key: 0, recursionDesired: true };
const question = (name: string) => Uint8Array.from([...nameToWire(name), 0, 1, 0, 1]);
const waiter = {} as Waiter;
const pending = (id: string, waiters: Waiter[] = []) => ({ id, waiters }) as Pending;

describe('pendingId', () => {
  it('is the same for one name in two spellings and differs in everything else', () => {
    const id = pendingId(question('a.test'), identity);
    assert.equal(pendingId(question('A.Test'), identity), id);
    const others = [
      pendingId(question('b.test'), identity),
      pendingId(question('a.test'), { ...identity, zoneId: 2 }),
      pendingId(question('a.test'), { ...identity, key: 1 }),
      pendingId(question('a.test'), { ...identity, recursionDesired: false }),
    ];
    assert.equal(new Set([id, ...others]).size, 5);
  });
});

describe('PendingTable', () => {
  it('counts who waits, and gives every waiter away exactly once', () => {
    const table = new PendingTable();
    const one = pending('one', [waiter]);
    table.add(one);
    assert.equal(table.join(one, waiter), true);
    assert.deepEqual([table.size, table.waiters], [1, 2]);
    assert.equal(table.takeWaiters(one).length, 2);
    assert.deepEqual([table.size, table.waiters], [1, 0]);
    table.join(one, waiter);
    assert.equal(table.remove(one).length, 1);
    assert.deepEqual([table.size, table.waiters, table.get('one')], [0, 0, undefined]);
  });

  it('lets so many wait for one question and no more', () => {
    const table = new PendingTable();
    const one = pending('one');
    table.add(one);
    for (let index = 0; index < waitersPerQuestionMax; index++) assert.equal(table.join(one, waiter), true);
    assert.equal(table.join(one, waiter), false);
    assert.equal(table.waiters, waitersPerQuestionMax);
  });

  it('has room for so many questions and no more', () => {
    const table = new PendingTable();
    for (let index = 0; index < pendingMax; index++) table.add(pending(String(index)));
    assert.equal(table.hasRoom, false);
    table.remove(table.get('0')!);
    assert.equal(table.hasRoom, true);
  });
});
