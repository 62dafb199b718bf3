import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SpaceSaving } from '../../src/observe/space-saving.js';

/** Streams in which some keys are frequent, with weights as samples have them. */
const streams = fc.array(
  fc.tuple(
    fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 200 })).map(String),
    fc.integer({ min: 1, max: 64 }),
  ),
  { size: 'max', maxLength: 2_000 },
);

function counted(stream: readonly (readonly [string, number])[], countersMax: number) {
  const sketch = new SpaceSaving(countersMax);
  const truth = new Map<string, number>();
  for (const [key, weight] of stream) {
    sketch.add(key, weight);
    truth.set(key, (truth.get(key) ?? 0) + weight);
  }
  return { sketch, truth, all: sketch.top(Number.POSITIVE_INFINITY) };
}

describe('SpaceSaving', () => {
  it('counts exactly while there is a counter for each', () => {
    fc.assert(
      fc.property(streams, (stream) => {
        const { truth, all } = counted(stream, 1_000);
        assert.deepEqual(new Map(all.map(({ key, count }) => [key, count])), truth);
        assert.ok(all.every(({ over }) => over === 0));
      }),
    );
  });

  it('never counts too little, nor too much by more than it says, which is a share of all', () => {
    fc.assert(
      fc.property(streams, fc.integer({ min: 1, max: 32 }), (stream, countersMax) => {
        const { sketch, truth, all } = counted(stream, countersMax);
        for (const { key, count, over } of all) {
          const exact = truth.get(key)!;
          assert.ok(count >= exact && count - over <= exact, `${key}: ${count} - ${over}, is ${exact}`);
          assert.ok(over <= sketch.total / countersMax);
        }
      }),
    );
  });

  it('has every key with more than its share, in bounded memory, and loses no weight', () => {
    fc.assert(
      fc.property(streams, fc.integer({ min: 1, max: 32 }), (stream, countersMax) => {
        const { sketch, truth, all } = counted(stream, countersMax);
        const keys = new Set(all.map(({ key }) => key));
        for (const [key, exact] of truth) if (exact > sketch.total / countersMax) assert.ok(keys.has(key), key);
        assert.ok(all.length <= countersMax && keys.size === all.length);
        assert.equal(
          all.reduce((sum, { count }) => sum + count, 0),
          sketch.total,
        );
      }),
    );
  });

  it('gives the most frequent first, and no more than are asked for', () => {
    fc.assert(
      fc.property(streams, (stream) => {
        const { sketch, all } = counted(stream, 16);
        const counts = all.map(({ count }) => count);
        assert.deepEqual(
          counts,
          [...counts].sort((one, other) => other - one),
        );
        assert.deepEqual(sketch.top(3), all.slice(0, 3));
      }),
    );
  });
});
