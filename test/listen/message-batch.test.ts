import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { sendSlotBytes } from '../../src/limits.js';
import { Datagrams, headerAt, type Peer, peerWords, SendBatch } from '../../src/listen/message-batch.js';
import { encodeSocketAddress } from '../../src/os/addresses.js';
import { openSocket } from '../../src/os/bound-socket.js';
import { calls, openClient, skip } from '../os/loopback-sockets.js';

const address = 0x7f12_3456_0000;
const atAddress = { addressOf: () => address };

/** The 64-bit number at a byte of the memory. */
function pointer(datagrams: Datagrams, at: number): number {
  return Number(new DataView(datagrams.bytes.buffer).getBigUint64(at, true));
}

test('headers point at their own peer, vector, control message and slot', () => {
  const datagrams = new Datagrams(atAddress, 128, 3);
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

test('bytes from elsewhere lie as if they had been received', () => {
  const datagrams = new Datagrams(atAddress, 128, 2);
  const peer = Int32Array.from({ length: 12 }, (_, word) => word);
  datagrams.receive(1, Buffer.from('..hello.'), 2, 5, peer, 3);
  assert.equal(Buffer.from(datagrams.slots[1].bytes.subarray(0, datagrams.length(1))).toString(), 'hello');
  assert.deepEqual([datagrams.nameBytes(1), datagrams.controlBytes(1), datagrams.length(0)], [28, 0, 0]);
  const at = datagrams.peerAt(1);
  assert.deepEqual([...datagrams.words.subarray(at, at + 8)], [3, 4, 5, 6, 7, 8, 9, 10]);
});

test('nothing overlaps', () => {
  const datagrams = new Datagrams(atAddress, 64, 4);
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
  const datagrams = new Datagrams(atAddress, 64, 2);
  datagrams.prepare(2, 0);
  assert.deepEqual([datagrams.nameBytes(1), datagrams.controlBytes(1)], [28, 0]);
  datagrams.prepare(2, 1);
  assert.deepEqual([datagrams.nameBytes(0), datagrams.controlBytes(0)], [28, 48]);
});

test('a received datagram is copied with its sender into a slot of another memory, and nothing else changes', () => {
  const from = new Datagrams(atAddress, 256, 2);
  const to = new Datagrams(atAddress, 64, 3);
  from.bytes.fill(0xaa);
  from.prepare(2, 1);
  const packet = Uint8Array.from({ length: 64 }, (_, index) => index + 1);
  from.slots[1].bytes.set(packet);
  from.words[16 + 14] = 64;
  const peer = from.words.subarray(from.peerAt(1), from.peerAt(1) + peerWords);
  peer.set(Int32Array.from(peer, (_, index) => 1_000 + index));
  const before = Uint8Array.from(to.bytes);
  to.take(2, from, 1);
  assert.deepEqual([to.length(2), to.nameBytes(2), to.controlBytes(2)], [64, 28, 48]);
  assert.deepEqual(to.slots[2].bytes, packet);
  assert.deepEqual(to.words.slice(to.peerAt(2), to.peerAt(2) + peerWords), peer.slice());
  const slot = to.slots[2].bytes.byteOffset;
  const copied = [
    [2 * 64 + 8, 4],
    [2 * 64 + 40, 8],
    [2 * 64 + 56, 4],
    [to.peerAt(2) * 4, peerWords * 4],
    [slot, 64],
  ];
  for (const [at, bytes] of copied) before.copyWithin(at, at, at + bytes).set(to.bytes.subarray(at, at + bytes), at);
  assert.deepEqual(to.bytes, before, 'pointers and other slots are as they were');
  from.words[16 + 14] = 0;
  to.take(2, from, 1);
  assert.deepEqual([to.length(2), [...to.slots[2].bytes]], [0, [...packet]]);
});

test('an answer goes where the question came from, from our address but by no particular link', () => {
  const datagrams = new Datagrams(atAddress, 64, 2);
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

function peerAt(port: number): Peer {
  const words = new Int32Array(peerWords);
  new Uint8Array(words.buffer).set(encodeSocketAddress({ address: '127.0.0.1', port }));
  return { words, nameBytes: 16, controlBytes: 0 };
}

describe('SendBatch', { skip }, () => {
  const open = () => openSocket(calls, { at: { address: '127.0.0.1', port: 0 }, ipv6Only: 'no', sharedWith: 'nobody' });

  test('sends what one turn gave at its end, from the sockets that were named', async () => {
    const sockets = [open(), open()];
    const client = await openClient();
    const counters = new Counters(countersMemory(0));
    const replies = new SendBatch(calls, counters);
    const wanted: string[] = [];
    for (let index = 0; index < 150; index++) {
      const { fd, local } = sockets[index % 3 === 0 ? 1 : 0];
      replies.add(fd, Buffer.from(`answer ${index}`), peerAt(client.port));
      wanted.push(`answer ${index} from ${local.port}`);
    }
    const got: string[] = [];
    for (const _ of wanted) {
      const { text, port } = await client.receiveFrom();
      got.push(`${text} from ${port}`);
    }
    assert.deepEqual(got.sort(), wanted.sort());
    assert.equal(counters.total('sendFailed'), 0);
    client.close();
    for (const { fd } of sockets) calls.close(fd);
  });

  test('counts what cannot be sent and sends the rest', async () => {
    const { fd } = open();
    const client = await openClient();
    const counters = new Counters(countersMemory(0));
    const replies = new SendBatch(calls, counters);
    replies.add(fd, Buffer.from('to nobody'), peerAt(0));
    replies.add(fd, new Uint8Array(sendSlotBytes + 1), peerAt(client.port));
    replies.add(fd, Buffer.from('to a client'), peerAt(client.port));
    replies.flush();
    assert.equal(await client.receive(), 'to a client');
    assert.equal(counters.total('sendFailed'), 2);
    client.close();
    calls.close(fd);
  });
});
