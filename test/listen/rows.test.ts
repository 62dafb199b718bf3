import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { directQueriesMax, directQueriesPerClient, waiterQueryBytesMax } from '../../src/limits.js';
import { Datagrams, peerWords } from '../../src/listen/message-batch.js';
import { QueryRows } from '../../src/listen/rows.js';
import { encodeSocketAddress } from '../../src/os/addresses.js';
import { hashKey } from '../dns/hash-key.js';

const calls = { addressOf: () => 4096 };

/** A received packet at index 1 of a batch. */
function received(address: string, packet: readonly number[] = [1, 2, 3], port = 5_300): Datagrams {
  const datagrams = new Datagrams(calls, 1_024, 2);
  datagrams.slots[1].bytes.set(packet);
  // The length, the sizes of the name and of the control message.
  datagrams.words.set([packet.length], 16 + 14);
  datagrams.words.set([16], 16 + 2);
  datagrams.words.set([40], 16 + 10);
  for (let word = 0; word < peerWords; word++) datagrams.words[datagrams.peerAt(1) + word] = 900 + word;
  datagrams.bytes.set(encodeSocketAddress({ address, port }), datagrams.peerAt(1) * 4);
  return datagrams;
}

const newRows = () => new QueryRows(calls, hashKey());
const peerOf = (datagrams: Datagrams, index: number) => [
  ...datagrams.words.subarray(datagrams.peerAt(index), datagrams.peerAt(index) + peerWords),
];

function takeAll(rows: QueryRows, address: string): number[] {
  const taken: number[] = [];
  for (let row = rows.take(1, 0, received(address), 1); row >= 0; row = rows.take(1, 0, received(address), 1)) {
    taken.push(row);
  }
  return taken;
}

test('a row has a copy of the packet, of its sender and of its arrival', () => {
  const rows = newRows();
  const from = received('10.0.0.1', [9, 8, 7, 6]);
  const peer = peerOf(from, 1);
  const row = rows.take(42, 12.5, from, 1);
  const other = rows.take(43, 13.5, received('10.0.0.2', [5]), 1);
  from.bytes.fill(0);
  assert.deepEqual([rows.socketOf[row], rows.arrivedMs[row], rows.inUse], [42, 12.5, 2]);
  const { datagrams } = rows;
  assert.equal(datagrams.length(row), 4);
  assert.deepEqual([...datagrams.slots[row].bytes.subarray(0, 4)], [9, 8, 7, 6]);
  assert.deepEqual([datagrams.nameBytes(row), datagrams.controlBytes(row)], [16, 40]);
  assert.deepEqual(peerOf(datagrams, row), peer);
  assert.notEqual(row, other);
  assert.deepEqual([rows.socketOf[other], rows.arrivedMs[other], datagrams.length(other)], [43, 13.5, 1]);
});

test('the longest packet that may wait is taken, a longer one is not', () => {
  const rows = newRows();
  const bytes = Array.from({ length: waiterQueryBytesMax }, (_, index) => index & 255);
  const row = rows.take(1, 0, received('10.0.0.1', bytes), 1);
  assert.deepEqual([...rows.datagrams.slots[row].bytes], bytes);
  assert.equal(rows.take(1, 0, received('10.0.0.1', [...bytes, 1]), 1), -1);
  assert.equal(rows.inUse, 1);
});

test('one client has as many rows as are left for others, and each of some others its share', () => {
  const rows = newRows();
  const flood = takeAll(rows, '10.0.0.1');
  assert.equal(flood.length, directQueriesMax / 2);
  const second = takeAll(rows, '10.0.0.2');
  assert.equal(second.length, directQueriesMax / 4);
  assert.equal(takeAll(rows, '10.0.0.3').length, directQueriesPerClient);
  assert.equal(takeAll(rows, '10.0.0.4').length, directQueriesPerClient);
  assert.equal(rows.inUse, directQueriesMax);
  assert.deepEqual(takeAll(rows, '10.0.0.5'), []);
  rows.free(flood[0]);
  assert.deepEqual(takeAll(rows, '10.0.0.1'), [], 'it has more than is free');
  assert.deepEqual(takeAll(rows, '10.0.0.5'), [flood[0]]);
});

test('a client has its share whatever its ports are', () => {
  const rows = newRows();
  let taken = 0;
  while (rows.take(1, 0, received('10.0.0.1', [1], 1_000 + taken), 1) >= 0) taken++;
  assert.equal(taken, directQueriesMax / 2);
});

test('all rows can be in use at once, and are different', () => {
  const rows = newRows();
  const taken = new Set<number>();
  for (let client = 0; client < directQueriesMax; client++) taken.add(rows.take(1, 0, received(`10.0.0.${client}`), 1));
  assert.equal(taken.size, directQueriesMax);
  assert.ok(!taken.has(-1));
  assert.equal(rows.take(1, 0, received('10.1.0.0'), 1), -1);
});

test('the row that was freed last is used next, so that few are touched', () => {
  const rows = newRows();
  const [first, second] = [0, 1].map(() => rows.take(1, 0, received('10.0.0.1'), 1));
  rows.free(first);
  assert.equal(rows.take(1, 0, received('10.0.0.2'), 1), first);
  rows.free(second);
  rows.free(first);
  assert.equal(rows.inUse, 0);
  assert.equal(rows.take(1, 0, received('10.0.0.1'), 1), first);
});

test('whatever is taken and freed, each row is in use once, with its own packet, and shares are given back', () => {
  const step = fc.record({ does: fc.constantFrom('take', 'take', 'take', 'free'), at: fc.nat(1_000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const rows = newRows();
      const inUse = new Map<number, number>();
      for (const [index, { does, at }] of steps.entries()) {
        if (does === 'free') {
          const row = [...inUse.keys()][at % Math.max(1, inUse.size)];
          if (row === undefined) continue;
          rows.free(row);
          inUse.delete(row);
        } else {
          const row = rows.take(index, index, received(`10.0.0.${at % 3}`, [index & 255]), 1);
          assert.ok(row >= 0 || inUse.size > directQueriesPerClient, `${inUse.size} in use`);
          if (row < 0) continue;
          assert.ok(row < directQueriesMax && !inUse.has(row));
          inUse.set(row, index);
        }
        assert.equal(rows.inUse, inUse.size);
        for (const [row, number] of inUse) {
          assert.deepEqual([rows.socketOf[row], rows.datagrams.slots[row].bytes[0]], [number, number & 255]);
        }
      }
      for (const row of inUse.keys()) rows.free(row);
      assert.equal(takeAll(rows, '10.0.0.1').length, directQueriesMax / 2, 'nobody has a share of nothing');
    }),
    { numRuns: 50 },
  );
});
