import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nameToWire } from '../../src/dns/names.js';
import { pendingMax, waitersPerQuestionMax } from '../../src/limits.js';
import { type Pending, PendingTable, pendingId, type Waiter } from '../../src/resolve/pending.js';

const identity = { zoneId: 1, key: 0, recursionDesired: true };
const question = (name: string) => Uint8Array.from([...nameToWire(name), 0, 1, 0, 1]);
const from = (address: string) => ({ asker: { remote: { address, port: 1 } } }) as Waiter;
const waiter = from('10.244.0.1');
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
    table.remove(table.get('10.244.0.1 0')!);
    assert.equal(table.hasShareFor('10.244.0.4'), true);
  });

  it('counts a client no more when its last question is answered', () => {
    const table = new PendingTable();
    for (let index = 0; index < pendingMax / 2; index++) table.add(pending(String(index), [waiter]));
    assert.equal(table.hasShareFor('10.244.0.1'), false);
    for (let index = 0; index < pendingMax / 2; index++) table.remove(table.get(String(index))!);
    assert.equal(table.hasShareFor('10.244.0.1'), true);
    assert.equal(table.waiters, 0);
  });

  it('has room for so many questions and no more', () => {
    const table = new PendingTable();
    for (let index = 0; index < pendingMax; index++) table.add(pending(String(index)));
    assert.equal(table.hasRoom, false);
    table.remove(table.get('0')!);
    assert.equal(table.hasRoom, true);
  });
});
