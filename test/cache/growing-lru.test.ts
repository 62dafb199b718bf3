import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { GrowingLru } from '../../src/cache/growing-lru.js';
import { orderEntriesMin } from '../../src/limits.js';

function orderOf(lru: GrowingLru<number>): number[] {
  const order: number[] = [];
  lru.oldestFirst((entry) => void order.push(entry));
  return order;
}

describe('GrowingLru', () => {
  it('is empty at first, and knows nothing', () => {
    const lru = new GrowingLru(10);
    assert.deepEqual([lru.size, lru.has(1), lru.delete(1), lru.pop(), orderOf(lru)], [0, false, false, undefined, []]);
  });

  it('keeps all entries in their order while it grows, also beyond what was expected', () => {
    for (const expected of [0, 1.5, orderEntriesMin, 3 * orderEntriesMin, 100 * orderEntriesMin]) {
      const lru = new GrowingLru(expected);
      const all = Array.from({ length: 6 * orderEntriesMin + 1 }, (_, index) => index * 64);
      for (const entry of all) lru.add(entry);
      assert.equal(lru.size, all.length);
      assert.deepEqual(orderOf(lru), all);
      assert.equal(lru.pop(), 0);
      assert.equal(lru.has(64), true);
    }
  });

  it('does as a list does, whatever is added, deleted and taken out', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ add: fc.nat({ max: 400 }) }) },
      { weight: 2, arbitrary: fc.record({ delete: fc.nat({ max: 4_000 }) }) },
      { weight: 1, arbitrary: fc.record({ pop: fc.nat({ max: 300 }) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat({ max: 5_000 }), (steps, expected) => {
        const lru = new GrowingLru(expected);
        const list: number[] = [];
        let next = 0;
        for (const one of steps) {
          if ('add' in one) {
            for (let left = one.add; left > 0; left--) {
              lru.add(next);
              list.push(next++);
            }
          } else if ('delete' in one) {
            const place = list.indexOf(one.delete);
            assert.equal(lru.delete(one.delete), place >= 0);
            if (place >= 0) list.splice(place, 1);
          } else for (let left = one.pop; left > 0; left--) assert.equal(lru.pop(), list.shift());
        }
        assert.equal(lru.size, list.length);
        assert.deepEqual(orderOf(lru), list);
      }),
      { numRuns: 60 },
    );
  });
});
