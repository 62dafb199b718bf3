import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type LaneAnswer, laneHash } from '../../src/lane/entry.js';
import { laneSlotBytes, markLayout, waysPerBucket } from '../../src/lane/layout.js';
import { Slots } from '../../src/lane/slots.js';
import { laneQuarantineMs, laneSlots } from '../../src/limits.js';
import { laneMemory } from './published.js';
import { laneAnswerFor, seed } from './world.js';

function answerOf(name: string, changes: Partial<LaneAnswer> = {}, records = 1): LaneAnswer {
  return laneAnswerFor(name, { storedAtMs: 0, expiresAtMs: 30_000, generation: 1, ...changes }, records);
}

function newSlots(memory = laneMemory()) {
  const replaced: number[] = [];
  const slots = new Slots(memory, seed);
  const publish = (name: string, nowMs = 0, changes: Partial<LaneAnswer> = {}, records = 1): number => {
    const slot = slots.publish(answerOf(name, changes, records), nowMs, (other) => void replaced.push(other));
    assert.equal(typeof slot, 'number', `${name}: ${slot}`);
    return slot as number;
  };
  return { slots, memory, replaced, publish };
}

const nobody = (slot: number): never => assert.fail(`slot ${slot} is replaced`);

/** The slots that the index leads to. */
function indexed({ index }: { readonly index: ArrayBuffer }): number[] {
  return [...new BigUint64Array(index)]
    .filter((entry) => entry !== 0n)
    .map((entry) => Number(entry & 0xffff_ffffn) - 1);
}

test('a published answer is in the index until it is taken out', () => {
  const { slots, memory, publish } = newSlots();
  const slot = publish('a.test');
  assert.deepEqual(indexed(memory), [slot]);
  assert.deepEqual([slots.published, slots.free, slots.isPublished(slot)], [1, laneSlots - 1, true]);
  slots.takeOut(slot, 5);
  assert.deepEqual(indexed(memory), []);
  assert.deepEqual([slots.published, slots.isPublished(slot)], [0, false]);
  assert.throws(() => slots.takeOut(slot, 5), /published/);
});

test('an answer that is published already stays where it is, and takes no room', () => {
  const { slots, memory, replaced, publish } = newSlots();
  const slot = publish('a.test');
  assert.equal(publish('a.test'), slot);
  assert.deepEqual([indexed(memory), replaced, slots.published, slots.free], [[slot], [slot], 1, laneSlots - 1]);
});

test('a slot is not used again before it has rested, and its bytes do not change meanwhile', () => {
  const { slots, publish } = newSlots();
  const slot = publish('a.test');
  const before = Buffer.from(slots.bytes(slot));
  slots.takeOut(slot, 100);
  for (let number = 0; number < 50; number++) assert.notEqual(publish(`n${number}.test`), slot);
  assert.deepEqual(Buffer.from(slots.bytes(slot)), before);
  const rested: number[] = [];
  slots.wake(99 + laneQuarantineMs, (each) => void rested.push(each));
  assert.equal(rested.length, 0);
  slots.wake(100 + laneQuarantineMs, (each) => void rested.push(each));
  assert.deepEqual(rested, [slot]);
  assert.equal(publish('b.test'), slot);
});

test('an answer to the same question takes the place of the former in the index at once', () => {
  const { memory, publish, replaced, slots } = newSlots();
  const former = publish('a.test');
  const place = new BigUint64Array(memory.index).findIndex((entry) => entry !== 0n);
  const slot = publish('A.TEST', 0, { storedAtMs: 7 });
  assert.deepEqual(replaced, [former]);
  assert.equal(
    new BigUint64Array(memory.index).findIndex((entry) => entry !== 0n),
    place,
  );
  assert.deepEqual(indexed(memory), [slot]);
  assert.equal(slots.published, 1);
});

test('what does not fit, and a bucket or a table that is full, leave everything as it was', () => {
  const { slots, memory, publish } = newSlots();
  assert.equal(slots.publish(answerOf('many.test', {}, 17), 0, nobody), 'no fit');
  // Names of one bucket, found by trying.
  const bucketOf = (name: string): bigint => {
    const slot = new Uint8Array(laneSlotBytes);
    slot.set(slots.bytes(publish(name)));
    slots.takeOutAll(0, () => {});
    slots.wake(1e9, () => {});
    return laneHash(slot, seed) & BigInt(laneSlots - 1);
  };
  const wanted = bucketOf('n0.test');
  const same: string[] = ['n0.test'];
  for (let number = 1; same.length <= waysPerBucket; number++)
    if (bucketOf(`n${number}.test`) === wanted) same.push(`n${number}.test`);
  for (const name of same.slice(0, waysPerBucket)) publish(name);
  assert.equal(slots.publish(answerOf(same[waysPerBucket]), 0, nobody), 'no room');
  assert.deepEqual([slots.published, indexed(memory).length], [waysPerBucket, waysPerBucket]);
});

test('taken out all at once, none is in the index, and each is named', () => {
  const { slots, memory, publish } = newSlots();
  const published = ['a', 'b', 'c'].map((name) => publish(`${name}.test`));
  const taken: number[] = [];
  slots.takeOutAll(0, (slot) => void taken.push(slot));
  assert.deepEqual(taken.sort(), published.sort());
  assert.deepEqual([indexed(memory), slots.published], [[], 0]);
});

test('answers are counted once, of each variant, also when the numbers begin again', () => {
  const { slots, memory, publish } = newSlots();
  const slot = publish('a.test');
  const marks = new Uint32Array(memory.marks, slot * markLayout.bytes, 16);
  const counted = (): [number, number][] => {
    const all: [number, number][] = [];
    assert.equal(
      slots.uncounted(slot, (variant, answers) => void all.push([variant, answers])),
      all.length > 0,
    );
    return all;
  };
  marks[0] = 5;
  marks[7] = 2;
  assert.deepEqual(counted(), [
    [0, 5],
    [7, 2],
  ]);
  assert.deepEqual(counted(), []);
  marks[8] = 2 ** 32 - 1;
  marks[0] = 3;
  assert.deepEqual(counted(), [[0, 4]]);
});

test('what another process has not counted of published answers is counted here', () => {
  const { slots, memory, publish } = newSlots();
  const [slot, gone] = [publish('a.test'), publish('b.test')];
  slots.takeOut(gone, 0);
  const marks = new Uint32Array(memory.marks.byteLength / 4);
  for (const each of [slot, gone]) marks.set([7, 3, 0, 0, 0, 0, 0, 0, 5, 3], each * (markLayout.bytes / 4));
  slots.addUncounted(marks);
  const counted: [number, number][] = [];
  for (const each of [slot, gone]) slots.uncounted(each, (variant, answers) => void counted.push([variant, answers]));
  assert.deepEqual(counted, [[0, 2]]);
});

test('another process finds what was published under the same generation, and may use the other slots', () => {
  const { memory, publish, slots } = newSlots();
  const slot = publish('a.test');
  publish('old.test', 0, { generation: 0 });
  slots.takeOut(publish('gone.test'), 0);
  new BigUint64Array(memory.index)[9] = BigInt(laneSlots + 5);
  const copy = laneMemory();
  for (const part of ['slots', 'index', 'marks'] as const) new Uint8Array(copy[part]).set(new Uint8Array(memory[part]));
  const next = new Slots(copy, seed);
  assert.deepEqual(next.adopt(1), [slot]);
  assert.deepEqual(indexed(copy), [slot]);
  assert.deepEqual([next.published, next.free], [1, laneSlots - 1]);
  next.takeOut(slot, 0);
  assert.deepEqual(indexed(copy), []);
});

test('whatever is done in whatever order, index, counts and slots agree', () => {
  const names = Array.from({ length: 12 }, (_, number) => `n${number}.test`);
  const step = fc.record({
    name: fc.constantFrom(...names),
    what: fc.constantFrom('publish', 'publish', 'take out', 'wait', 'take out all'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { slots, memory } = newSlots();
      const where = new Map<string, number>();
      let nowMs = 0;
      for (const { name, what } of steps) {
        nowMs += 100;
        if (what === 'publish') {
          const slot = slots.publish(answerOf(name), nowMs, (other) => assert.equal(other, where.get(name)));
          where.set(name, slot as number);
        } else if (what === 'take out' && where.has(name)) {
          slots.takeOut(where.get(name)!, nowMs);
          where.delete(name);
        } else if (what === 'wait') {
          nowMs += laneQuarantineMs;
          slots.wake(nowMs, (slot) => assert.ok(![...where.values()].includes(slot)));
        } else if (what === 'take out all') {
          slots.takeOutAll(nowMs, () => {});
          where.clear();
        }
        assert.deepEqual(indexed(memory).sort(), [...where.values()].sort());
        assert.equal(slots.published, where.size);
      }
    }),
    { numRuns: 60 },
  );
});
