/** The order in which entries leave, without the cache: entries are numbers, and hits are marks in an array. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { atTouched, touchedForOrder } from '../../src/cache/blocks.js';
import { SegmentedLru } from '../../src/cache/segmented-lru.js';

const refBytes = 64;

function make(entriesMax: number, entries = 1_000) {
  const words = new Int32Array((entries * refBytes) / 4);
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
    left,
    evictions: () => evictions,
    add: (entry: number) => lru.add(entry * refBytes),
    hit(entry: number) {
      words[(entry * refBytes + atTouched) >> 2] |= touchedForOrder;
    },
    order: () => [...lru.oldestFirst()].map((ref) => ref / refBytes),
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

  it('moves all entries out without saying that they have left, and forgets them', () => {
    const { lru, add, hit, left } = make(5);
    for (const entry of [1, 2, 3, 4, 5]) add(entry);
    hit(1);
    add(6);
    left.length = 0;
    assert.equal(lru.takeAll().length, 5);
    assert.deepEqual([lru.size, left], [0, []]);
  });

  it('holds each entry once, never more than its bound, and says of each once that it has left', () => {
    const step = fc.record({
      kind: fc.constantFrom('add', 'hit', 'delete', 'succeed'),
      entry: fc.integer({ min: 1, max: 30 }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 200, size: 'max' }), (max, steps) => {
        const { lru, add, hit, left, order } = make(max, 4_000);
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
