import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tcpTurnMs } from '../../src/limits.js';
import { type TakesTurns, TcpTurns } from '../../src/listen/tcp-turns.js';

/** A clock that moves by so much with each query. */
function world(queryMs: number) {
  let nowMs = 0;
  const served: string[] = [];
  const turns = new TcpTurns(() => nowMs);
  const serve = (what: string): void => {
    served.push(what);
    nowMs += queryMs;
  };
  const client = (name: string, address: string, queries: number): TakesTurns & { left: number } => ({
    address,
    left: queries,
    serveSome(queriesMax) {
      for (let count = 0; count < queriesMax && this.left > 0; count++, this.left--) serve(name);
      return this.left > 0;
    },
  });
  return { turns, served, serve, client };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('queries are served at once until the time of this turn of the event loop is over, and again in the next', async () => {
  const { turns, serve } = world(tcpTurnMs / 100);
  for (let turn = 0; turn < 3; turn++) {
    let served = 0;
    for (; turns.mayServe(); served++) serve('x');
    assert.ok(served >= 90 && served <= 110, `${served}`);
    assert.equal(turns.mayServe(), false);
    await nextTurn();
  }
});

test('those that wait are served address by address, some queries each, and nobody is served at once meanwhile', async () => {
  const { turns, served, client } = world(tcpTurnMs / 100);
  const flood = Array.from({ length: 20 }, (_, n) => client(`flood ${n}`, 'flood', 1_000));
  for (const each of flood) turns.wait(each);
  const other = client('other', 'other', 40);
  turns.wait(other);
  turns.wait(other);
  assert.equal(turns.mayServe(), false);
  let turn = 0;
  for (; other.left > 0; turn++) {
    const before = served.length;
    await nextTurn();
    assert.ok(served.length - before < 130, 'the event loop turns in between');
  }
  assert.ok(turn <= 2, 'the other address has every second go');
  assert.equal(served.filter((name) => name === 'other').length, 40);
});

test('one that has left is not served, and afterwards queries are served at once again', async () => {
  const { turns, served, client } = world(0);
  const [gone, stays] = [client('gone', 'a', 5), client('stays', 'a', 5)];
  turns.wait(gone);
  turns.wait(stays);
  turns.leave(gone);
  turns.leave(gone);
  await nextTurn();
  assert.deepEqual([...new Set(served)], ['stays']);
  assert.ok(turns.mayServe());
  await nextTurn();
});
