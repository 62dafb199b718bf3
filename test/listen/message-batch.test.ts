import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Datagrams, headerAt, peerWords } from '../../src/listen/message-batch.js';

const address = 0x7f12_3456_0000;
const calls = { addressOf: () => address };

/** The 64-bit number at a byte of the arena. */
function pointer(datagrams: Datagrams, at: number): number {
  return Number(new DataView(datagrams.bytes.buffer).getBigUint64(at, true));
}

test('headers point at their own peer, vector, control message and slot', () => {
  const datagrams = new Datagrams(calls, 128, 3);
  const offsetOf = (index: number): number => datagrams.slots[index].bytes.byteOffset;
  for (const index of [0, 1, 2]) {
    const header = index * 64;
    assert.equal(headerAt(datagrams, index), address + header);
    assert.equal(pointer(datagrams, header), address + datagrams.peerAt(index) * 4);
    assert.equal(pointer(datagrams, header + 32), address + datagrams.peerAt(index) * 4 + 32);
    const vector = pointer(datagrams, header + 16) - address;
    assert.equal(pointer(datagrams, header + 24), 1);
    assert.equal(pointer(datagrams, vector), address + offsetOf(index));
    assert.equal(pointer(datagrams, vector + 8), 128);
    assert.equal(offsetOf(index) % 64, 0);
  }
  assert.equal(((offsetOf(1) - offsetOf(0)) / 64) % 2, 1, 'beginnings are spread over cache sets');
});

test('nothing overlaps', () => {
  const datagrams = new Datagrams(calls, 64, 4);
  const ranges = [0, 1, 2, 3].flatMap((index) => {
    const peer = datagrams.peerAt(index) * 4;
    const slot = datagrams.slots[index].bytes;
    const vector = pointer(datagrams, index * 64 + 16) - address;
    return [
      [index * 64, 64],
      [vector, 16],
      [peer, peerWords * 4],
      [slot.byteOffset, slot.length],
    ];
  });
  ranges.sort(([one], [other]) => one - other);
  for (let index = 1; index < ranges.length; index++) {
    assert.ok(ranges[index - 1][0] + ranges[index - 1][1] <= ranges[index][0]);
  }
});

test('prepared headers take an address, and a control message where it is wanted', () => {
  const datagrams = new Datagrams(calls, 64, 2);
  datagrams.prepare(2, 0);
  assert.deepEqual([datagrams.nameBytes(1), datagrams.controlBytes(1)], [28, 0]);
  datagrams.prepare(2, 1);
  assert.deepEqual([datagrams.nameBytes(0), datagrams.controlBytes(0)], [28, 48]);
});

test('an answer goes where the question came from, from our address but by no particular link', () => {
  const datagrams = new Datagrams(calls, 64, 2);
  const peer = Int32Array.from({ length: 2 + peerWords }, (_, index) => index + 1);
  datagrams.address(1, 33, peer, 2, 28, 40);
  const at = datagrams.peerAt(1);
  // The words behind the address are a control message of another level than IPv6: its fifth word is the link.
  const expected = [...peer.subarray(2)].map((word, index) => (index === 8 + 4 ? 0 : word));
  assert.deepEqual([...datagrams.words.subarray(at, at + peerWords)], expected);
  assert.deepEqual([datagrams.nameBytes(1), datagrams.controlBytes(1)], [28, 40]);
  peer[2 + 8 + 2] = 41;
  datagrams.address(1, 33, peer, 2, 28, 40);
  assert.equal(datagrams.words[at + 8 + 4], peer[2 + 8 + 4]);
  assert.equal(datagrams.words[at + 8 + 8], 0, 'the link of an in6_pktinfo stands behind the address');
});
