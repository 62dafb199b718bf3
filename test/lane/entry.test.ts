import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { indexPlace, type LaneAnswer, laneHash, writeSlot } from '../../src/lane/entry.js';
import { bucketsCount, laneSlotBytes, slotLayout, slotTtlsMax } from '../../src/lane/layout.js';
import { laneAnswerFor } from './world.js';

function laneAnswer(name: string, changes: Partial<LaneAnswer> = {}, records = 1): LaneAnswer {
  return laneAnswerFor(name, { storedAtMs: 1.5, expiresAtMs: 2_001.25, generation: 7, ...changes }, records);
}

function slotOf(answer: LaneAnswer): { readonly slot: Uint8Array; readonly view: DataView } {
  const slot = new Uint8Array(laneSlotBytes).fill(0xaa);
  assert.ok(writeSlot(slot, answer));
  return { slot, view: new DataView(slot.buffer) };
}

test('a slot has the answer in parts: times in nanoseconds, records behind the header, the name in lower case', () => {
  const answer = laneAnswer('WWW.Example.com');
  const { slot, view } = slotOf(answer);
  assert.equal(view.getBigUint64(slotLayout.stored, true), 1_500_000n);
  assert.equal(view.getBigUint64(slotLayout.expires, true), 2_001_250_000n);
  assert.equal(view.getUint32(slotLayout.generation, true), 7);
  const recordsBytes = view.getUint16(slotLayout.recordsBytes, true);
  assert.deepEqual(
    slot.subarray(slotLayout.records, slotLayout.records + recordsBytes),
    answer.message.subarray(answer.questionEnd),
  );
  const nameAt = view.getUint16(slotLayout.nameAt, true);
  assert.equal(nameAt % 8, 0);
  const nameBytes = view.getUint16(slotLayout.nameBytes, true);
  assert.equal(
    Buffer.from(slot.subarray(nameAt, nameAt + nameBytes)).toString('latin1'),
    '\x03www\x07example\x03com\0',
  );
  assert.ok(slot.subarray(nameAt + nameBytes).every((byte) => byte === 0));
});

test('an answer without an end has one that never comes', () => {
  const { view } = slotOf(laneAnswer('a.test', { expiresAtMs: Number.POSITIVE_INFINITY }));
  assert.equal(view.getBigUint64(slotLayout.expires, true), 2n ** 63n - 1n);
});

test('too many records, or too long ones, are no slot’s', () => {
  const slot = new Uint8Array(laneSlotBytes);
  assert.equal(writeSlot(slot, laneAnswer('a.test', {}, slotTtlsMax)), true);
  assert.equal(writeSlot(slot, laneAnswer('a.test', {}, slotTtlsMax + 1)), false);
  const long = [63, 63, 63, 61].map((bytes) => 'n'.repeat(bytes)).join('.');
  assert.equal(writeSlot(slot, laneAnswer(long, {}, 10)), true);
  assert.equal(writeSlot(slot, laneAnswer(long, {}, 11)), false);
});

test('the hash depends on the question, the key and the place, not on the spelling or the answer', () => {
  const hashOf = (answer: LaneAnswer): bigint => laneHash(slotOf(answer).slot, 5n);
  const hash = hashOf(laneAnswer('a.test'));
  assert.equal(hashOf(laneAnswer('A.TEST', { storedAtMs: 9, staleTtlSeconds: 1 }, 3)), hash);
  for (const other of [laneAnswer('b.test'), laneAnswer('a.test', { key: 1 }), laneAnswer('a.test', { place: 1 })])
    assert.notEqual(hashOf(other), hash);
  assert.notEqual(laneHash(slotOf(laneAnswer('a.test')).slot, 6n), hash);
});

test('an entry of the index has the upper half of the hash and the number of the slot, of which none is 0', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(8_191), (hash, number) => {
      const { bucket, entry } = indexPlace(hash, number);
      assert.ok(bucket >= 0 && bucket < bucketsCount);
      assert.equal(entry >> 32n, hash >> 32n);
      assert.equal(entry & 0xffff_ffffn, BigInt(number + 1));
    }),
  );
});
