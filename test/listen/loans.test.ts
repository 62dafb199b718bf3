import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { tcpClientsMax } from '../../src/limits.js';
import { LoanTable, loanPeerWords } from '../../src/listen/loans.js';

const peer = Int32Array.from({ length: loanPeerWords }, (_, word) => word + 1);

/** Both threads' views. */
function newTables() {
  const main = new LoanTable();
  return { main, worker: new LoanTable(main.memory) };
}

function lent(main: LoanTable, place: number): void {
  main.prepare(place, { fd: 40 + place, socket: 7, peer, nowMs: 5.5 });
  main.lend(place);
}

describe('LoanTable', () => {
  test('the worker sees what was lent, the main thread what was answered', () => {
    const { main, worker } = newTables();
    for (const place of [0, 1, tcpClientsMax - 1]) {
      lent(main, place);
      assert.ok(worker.use(place));
      assert.deepEqual([worker.fd(place), worker.socket(place)], [40 + place, 7]);
      const at = worker.peerAt(place);
      assert.deepEqual(worker.words.slice(at, at + loanPeerWords), peer);
      assert.deepEqual([main.answered(place), main.activeAtMs(place)], [0, 5.5]);
      worker.count(place, 3, 6.25);
      worker.count(place, 2, 7.25);
      assert.deepEqual([main.answered(place), main.activeAtMs(place), main.isCrowded(place)], [5, 7.25, false]);
      worker.crowd(place);
      assert.ok(main.isCrowded(place));
      assert.ok(worker.keep(place));
    }
  });

  test('a connection is used by one thread', () => {
    const { main, worker } = newTables();
    assert.equal(worker.use(3), false, 'nothing is lent');
    lent(main, 3);
    assert.ok(worker.use(3));
    assert.equal(worker.use(3), false, 'it is busy');
    assert.ok(worker.keep(3));
    assert.equal(main.recall(3), 'now');
    assert.equal(worker.use(3), false, 'it is the main thread’s');
  });

  test('one that is recalled while it is used is given back', () => {
    const { main, worker } = newTables();
    lent(main, 3);
    assert.ok(worker.use(3));
    assert.equal(main.recall(3), 'later');
    assert.equal(main.recall(3), 'later');
    assert.equal(worker.keep(3), false);
    worker.giveBack(3);
    assert.equal(main.recall(3), 'later', 'it is on its way');
    assert.equal(worker.use(3), false);
    assert.deepEqual([main.returns, main.returned(0)], [1, 3]);
    main.free(3);
    lent(main, 3);
    assert.deepEqual([main.answered(3), main.isCrowded(3)], [0, false]);
  });

  test('a place is for one connection at a time', () => {
    const { main } = newTables();
    lent(main, 3);
    assert.throws(() => lent(main, 3), /a place is for one connection/);
  });

  test('all may be given back before the main thread looks, over and over', () => {
    const { main, worker } = newTables();
    let taken = 0;
    for (let round = 0; round < 3; round++) {
      for (let place = 0; place < tcpClientsMax; place++) lent(main, place);
      for (let place = tcpClientsMax - 1; place >= 0; place--) {
        assert.ok(worker.use(place));
        worker.giveBack(place);
      }
      for (let place = tcpClientsMax - 1; place >= 0; place--) {
        assert.equal(main.returned(taken++), place);
        main.free(place);
      }
      assert.equal(main.returns, taken);
    }
  });

  test('nothing is lent before the worker polls, and it polls while something is wanted', () => {
    const { main, worker } = newTables();
    assert.equal(worker.polls(), false);
    assert.equal(main.wantPolling(), false, 'the worker may wait for datagrams alone');
    assert.equal(main.wantPolling(), false);
    assert.ok(worker.polls());
    assert.ok(main.wantPolling());
    main.endPolling();
    assert.equal(worker.polls(), false);
    assert.equal(main.wantPolling(), false);
    main.endPolling();
    assert.ok(worker.polls(), 'it was asked to, and is told again after the next loan');
    main.endPolling();
    assert.ok(main.wantPolling(), 'it has not heard of the end, so it polls');
    assert.ok(worker.polls());
    main.reset();
    assert.equal(worker.polls(), false);
  });
});
