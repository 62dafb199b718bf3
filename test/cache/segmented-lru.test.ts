/** The order in which entries leave, without the cache: entries are numbers, and hits are marks in an array. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { atTouched, touchedForOrder } from '../../src/cache/blocks.js';
import { SegmentedLru } from '../../src/cache/segmented-lru.js';
import { orderEntriesMax } from '../../src/limits.js';

const refBytes = 64;

function make(entriesMax: number, words = new Int32Array((4_000 * refBytes) / 4)) {
  const left: number[] = [];
  let evictions = 0;
  const lru = new SegmentedLru({
    entriesMax,
    words,
    left: (ref) => void left.push(ref / refBytes),
    evicted: () => void evictions++,
  });
  return {
    lru,
    words,
    left,
    evictions: () => evictions,
    add: (entry: number) => lru.add(entry * refBytes),
    hit(entry: number) {
      words[(entry * refBytes + atTouched) >> 2] |= touchedForOrder;
    },
    order: () => [...lru.oldestFirst()].flat().map((ref) => ref / refBytes),
  };
}

describe('SegmentedLru', () => {
  it('evicts entries in the order in which they came', () => {
    const { add, order, left, evictions } = make(3);
    for (const entry of [1, 2, 3, 4, 5]) add(entry);
    assert.deepEqual([order(), left, evictions()], [[3, 4, 5], [1, 2], 2]);
  });

  it('spares an entry that was hit, once for all hits until then', () => {
    const { add, hit, order } = make(5);
    for (const entry of [1, 2, 3, 4, 5]) add(entry);
    hit(1);
    for (const entry of [6, 7, 8, 9, 10, 11]) add(entry);
    assert.deepEqual(order(), [8, 9, 10, 11, 1]);
  });

  it('puts the oldest protected entries on probation when there are too many', () => {
    const { add, hit, order } = make(5);
    for (const entry of [1, 2, 3, 4, 5]) {
      add(entry);
      hit(entry);
    }
    add(6);
    assert.deepEqual(order().slice(-4), [2, 3, 4, 5], 'four of five are protected');
    assert.equal(order().includes(6), true);
  });

  it('has room for one entry too', () => {
    const { add, hit, order } = make(1);
    add(1);
    hit(1);
    add(2);
    assert.deepEqual(order(), [2]);
  });

  it('moves an entry to another store without saying that it has left; a protected one is protected there', () => {
    const { lru, words, add, hit, left, order } = make(5);
    for (const entry of [1, 2, 3, 4, 5]) add(entry);
    hit(1);
    add(6);
    left.length = 0;
    const next = make(3, words);
    for (const entry of [1, 3, 4]) lru.move(entry * refBytes, next.lru);
    assert.deepEqual([order(), next.order(), lru.size, left], [[5, 6], [1, 3, 4], 2, []]);
    next.add(5);
    assert.deepEqual([next.order(), next.left], [[4, 5, 1], [3]]);
    assert.throws(() => lru.move(1 * refBytes, next.lru), /broken invariant/);
  });

  it('exchanges its entries with a store of the same capacity, which is told of them from then on', () => {
    const one = make(3);
    const other = make(3, one.words);
    for (const entry of [1, 2, 3]) one.add(entry);
    one.hit(1);
    other.add(4);
    one.lru.exchange(other.lru);
    assert.deepEqual([one.order(), other.order(), one.lru.size, other.lru.size], [[4], [1, 2, 3], 1, 3]);
    other.add(5);
    assert.deepEqual([other.order(), other.left, other.evictions()], [[3, 5, 1], [2], 1]);
    assert.ok(one.lru.delete(4 * refBytes) && one.lru.size === 0);
    assert.deepEqual([one.left, one.evictions()], [[4], 0]);
    assert.throws(() => one.lru.exchange(make(4, one.words).lru), /broken invariant/);
  });

  it('spreads the entries of a large store over parts by their hashes, and evicts from the part that gets one', () => {
    const entriesMax = 3 * orderEntriesMax;
    const words = new Int32Array((2 * entriesMax * refBytes) / 4);
    const { lru, left, evictions, add, hit } = make(entriesMax, words);
    // Four parts by two bits of the hash.
    const partOf = (entry: number) => entry % 4;
    for (let entry = 1; entry < 2 * entriesMax; entry++) words[(entry * refBytes) / 4] = partOf(entry) << 16;
    for (let entry = 1; entry <= entriesMax; entry++) add(entry);
    assert.deepEqual([lru.size, evictions()], [entriesMax, 0], 'no part is full before the store is');
    hit(4);
    for (let entry = entriesMax + 1; entry <= entriesMax + 5; entry++) add(entry);
    assert.deepEqual([lru.size, evictions()], [entriesMax, 5]);
    assert.deepEqual(left, [1, 2, 3, 8, 5], 'the oldest of each part, except for the one that was hit');
    const parts = [...lru.oldestFirst()];
    assert.deepEqual([parts.length, parts.flat().length], [4, entriesMax]);
    for (const part of parts) assert.equal(new Set(part.map((ref) => partOf(ref / refBytes))).size, 1);
    assert.ok(lru.delete(4 * refBytes) && !lru.has(4 * refBytes) && !lru.delete(4 * refBytes));
  });

  it('holds each entry once, never more than its bound, and says of each once that it has left', () => {
    const step = fc.record({
      kind: fc.constantFrom('add', 'hit', 'delete', 'succeed'),
      entry: fc.integer({ min: 1, max: 30 }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 200, size: 'max' }), (max, steps) => {
        const { lru, add, hit, left, order } = make(max);
        const held = new Set<number>();
        let next = 31;
        for (const { kind, entry } of steps) {
          if (kind === 'hit') hit(entry);
          else if (kind === 'delete') lru.delete(entry * refBytes);
          else if (kind === 'add' && !held.has(entry)) {
            add(entry);
            held.add(entry);
          } else if (kind === 'succeed') {
            lru.succeed(entry * refBytes, next * refBytes);
            lru.delete(entry * refBytes);
            held.add(next++);
          }
          for (const gone of left.splice(0)) assert.ok(held.delete(gone), `${gone} left twice`);
          assert.ok(lru.size <= max);
          assert.deepEqual([...order()].sort(), [...held].sort());
        }
      }),
      { numRuns: 200 },
    );
  });
});
