import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { deferredAgainMs, deferredRemembered, directQueriesMax } from '../../src/limits.js';
import { DeferredLately, JoinedRows, noMoreRows } from '../../src/resolve/joined-rows.js';

/** Ends an asked row: those that waited with it. */
function ends(joined: JoinedRows, row: number): number[] {
  const waited: number[] = [];
  for (let waiting = joined.end(row); waiting !== noMoreRows; waiting = joined.after(waiting)) waited.push(waiting);
  return waited;
}

test('a row that nobody has asked alike is asked, and ends alone', () => {
  const joined = new JoinedRows();
  assert.equal(joined.join(3, 77), false);
  assert.equal(joined.asked, 0, 'whether it is asked is another decision');
  joined.ask(3, 77);
  assert.equal(joined.asked, 1);
  assert.deepEqual(ends(joined, 3), []);
  assert.equal(joined.asked, 0);
});

test('rows with the hash of one that was asked wait with it, and end with it', () => {
  const joined = new JoinedRows();
  joined.ask(0, 77);
  for (const row of [5, 2, 9]) assert.equal(joined.join(row, 77), true);
  assert.equal(joined.join(4, 78), false);
  assert.equal(joined.asked, 1, 'those that wait were not asked');
  assert.deepEqual(new Set(ends(joined, 0)), new Set([5, 2, 9]));
  assert.equal(joined.join(0, 77), false, 'nobody is asked any more');
});

test('a query whose hash is equal by chance waits too: the answer’s question tells the two apart', () => {
  const joined = new JoinedRows();
  // Hashes of all 32 bits, of either sign.
  for (const [row, hash] of [0, -1, 0x7fff_ffff, -0x8000_0000].entries()) {
    assert.equal(joined.join(row, hash), false);
    joined.ask(row, hash);
    assert.equal(joined.join(row + 100, hash), true);
  }
  for (let row = 0; row < 4; row++) assert.deepEqual(ends(joined, row), [row + 100]);
});

test('the last row takes the place of one that ends before it, with those that wait', () => {
  const joined = new JoinedRows();
  for (const row of [0, 1, 2]) {
    joined.ask(row, 10 + row);
    assert.equal(joined.join(20 + row, 10 + row), true);
  }
  assert.deepEqual(ends(joined, 0), [20]);
  assert.equal(joined.join(0, 10), false);
  assert.equal(joined.join(30, 12), true, 'the one that moved is found');
  assert.deepEqual(new Set(ends(joined, 2)), new Set([22, 30]));
  assert.equal(joined.join(31, 11), true);
  assert.deepEqual(new Set(ends(joined, 1)), new Set([21, 31]));
  assert.equal(joined.asked, 0);
});

test('a row that waited can be asked next, and one that was asked can wait', () => {
  const joined = new JoinedRows();
  joined.ask(0, 10);
  joined.join(1, 10);
  joined.join(2, 10);
  ends(joined, 0);
  joined.ask(1, 11);
  assert.equal(joined.join(0, 11), true);
  assert.deepEqual(ends(joined, 1), [0]);
});

test('as many rows as there are can be asked, or wait with one', () => {
  const joined = new JoinedRows();
  for (let row = 0; row < directQueriesMax; row++) joined.ask(row, row);
  assert.equal(joined.asked, directQueriesMax);
  for (let row = 0; row < directQueriesMax; row++) assert.deepEqual(ends(joined, row), []);
  joined.ask(7, 1);
  for (let row = 0; row < directQueriesMax; row++) if (row !== 7) assert.equal(joined.join(row, 1), true);
  assert.equal(ends(joined, 7).length, directQueriesMax - 1);
});

test('whatever is asked, joined and ended, the rows are those of a simple map', () => {
  let waited = 0;
  const step = fc.record({
    row: fc.nat(directQueriesMax - 1),
    hash: fc.integer({ min: -4, max: 4 }),
    end: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
      const joined = new JoinedRows();
      /** By hash: the row that was asked, and those that wait with it. */
      const model = new Map<number, { readonly asked: number; readonly waiting: Set<number> }>();
      const inUse = new Set<number>();
      const endsAlike = (hash: number) => {
        const { asked, waiting } = model.get(hash)!;
        const rows = ends(joined, asked);
        assert.equal(rows.length, waiting.size);
        assert.deepEqual(new Set(rows), waiting);
        waited += rows.length;
        model.delete(hash);
        for (const row of [asked, ...rows]) inUse.delete(row);
      };
      for (const { row, hash, end } of steps) {
        const same = model.get(hash);
        if (end && same !== undefined) endsAlike(hash);
        else if (!inUse.has(row)) {
          inUse.add(row);
          assert.equal(joined.join(row, hash), same !== undefined);
          if (same !== undefined) same.waiting.add(row);
          else {
            joined.ask(row, hash);
            model.set(hash, { asked: row, waiting: new Set() });
          }
        }
        assert.equal(joined.asked, model.size);
      }
      for (const hash of [...model.keys()]) endsAlike(hash);
      assert.equal(joined.asked, 0);
    }),
    { numRuns: 200 },
  );
  assert.ok(waited > 1_000, `${waited}`);
});

test('what was deferred is known for a while, or until another one takes its place', () => {
  const lately = new DeferredLately();
  assert.equal(lately.has(0, 0), false, 'nothing was deferred yet');
  for (const hash of [0, -1, 77]) lately.add(hash, 1_000);
  for (const hash of [0, -1, 77]) assert.equal(lately.has(hash, 1_000 + deferredAgainMs - 1), true);
  assert.equal(lately.has(77, 1_000 + deferredAgainMs), false);
  assert.equal(lately.has(77 + deferredRemembered, 1_000), false, 'it has the place of another one');
  lately.add(77 + deferredRemembered, 1_000);
  assert.equal(lately.has(77, 1_000), false);
});
