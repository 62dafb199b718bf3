import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { receiveSlotBytes } from '../../src/limits.js';
import { Datagrams, peerWords } from '../../src/listen/message-batch.js';
import {
  clientNumber,
  type EntryKind,
  kindAnswer,
  kindQuestion,
  kindRefresh,
  RingReader,
  RingWriter,
  ringMemory,
} from '../../src/listen/ring.js';
import { encodeSocketAddress, socketAddressBytes } from '../../src/os/addresses.js';
import { hashKey } from '../dns/hash-key.js';
import { chosenAddress, fold } from './chosen-address.js';

const ringSize = 16_384;

interface Entry {
  readonly kind: EntryKind;
  readonly socket: number;
  readonly arrivedMs: number;
  readonly packet: number[];
}

/** A received datagram at index 0. */
function received(packet: readonly number[], seed = 0): Datagrams {
  const datagrams = new Datagrams({ addressOf: () => 4096 }, 1024, 1);
  datagrams.slots[0].bytes.set(packet);
  datagrams.words[14] = packet.length;
  datagrams.words[2] = 16;
  datagrams.words[10] = 40;
  for (let word = 0; word < peerWords; word++) datagrams.words[datagrams.peerAt(0) + word] = seed + word;
  return datagrams;
}

test('what was put in comes out with its sender, once', () => {
  const memory = ringMemory(ringSize);
  const writer = new RingWriter(memory, hashKey());
  const reader = new RingReader(memory);
  assert.equal(reader.next(), false);
  assert.ok(writer.put(kindRefresh, 7, 12.5, received([1, 2, 3], 100), 0));
  assert.ok(reader.next());
  assert.deepEqual([reader.kind, reader.socket, reader.arrivedMs], [kindRefresh, 7, 12.5]);
  assert.deepEqual([reader.nameBytes, reader.controlBytes, ...reader.packet], [16, 40, 1, 2, 3]);
  const peer = new Int32Array(peerWords);
  reader.copyPeer(peer);
  assert.deepEqual(
    [...peer],
    Array.from({ length: peerWords }, (_, word) => 100 + word),
  );
  assert.equal(reader.next(), false);
  assert.equal(reader.next(), false);
});

test('refreshes leave half of the room to questions', () => {
  const writer = new RingWriter(ringMemory(ringSize), hashKey());
  const bytes = Array.from({ length: 100 }, () => 1);
  const putAll = (kind: EntryKind): number => {
    let count = 0;
    while (writer.put(kind, 1, 0, received(bytes, count), 0)) count++;
    return count;
  };
  const refreshes = putAll(kindRefresh);
  assert.ok(refreshes > 4);
  const questions = putAll(kindQuestion);
  assert.ok(Math.abs(refreshes - questions) <= 1);
  assert.equal(putAll(kindRefresh), 0);
});

test('an answer comes out with its socket, its orders and its time, in its turn', () => {
  const memory = ringMemory(ringSize);
  const writer = new RingWriter(memory, hashKey());
  const reader = new RingReader(memory);
  assert.ok(writer.put(kindQuestion, 1, 1, received([1], 100), 0));
  assert.ok(writer.putAnswer(2, 77, 2.5, Uint8Array.of(4, 5, 6)));
  assert.ok(writer.putAnswer(3, 78, 3.5, new Uint8Array(0)));
  assert.ok(writer.put(kindRefresh, 4, 4, received([7], 200), 0));
  const entries: unknown[] = [];
  while (reader.next()) {
    const { kind, socket, arrivedMs, packet } = reader;
    entries.push([kind, socket, arrivedMs, [...packet], kind === kindAnswer ? reader.orders : reader.nameBytes]);
  }
  assert.deepEqual(entries, [
    [kindQuestion, 1, 1, [1], 16],
    [kindAnswer, 2, 2.5, [4, 5, 6], 77],
    [kindAnswer, 3, 3.5, [], 78],
    [kindRefresh, 4, 4, [7], 16],
  ]);
});

test('an answer may be as long as what the reader copies', () => {
  const memory = ringMemory();
  const writer = new RingWriter(memory, hashKey());
  const reader = new RingReader(memory);
  const answer = Uint8Array.from({ length: receiveSlotBytes }, (_, index) => index & 255);
  assert.ok(writer.putAnswer(1, 1, 0, answer));
  assert.ok(reader.next());
  assert.deepEqual(reader.packet, answer);
});

test('answers leave half of the room to questions', () => {
  const memory = ringMemory(ringSize);
  const writer = new RingWriter(memory, hashKey());
  const reader = new RingReader(memory);
  const putAnswers = (): number => {
    let count = 0;
    while (writer.putAnswer(1, 1, 0, new Uint8Array(100))) count++;
    return count;
  };
  const answers = putAnswers();
  // Each takes what a question of its length does: a header, its sender's place and its bytes.
  assert.ok(Math.abs(answers - ringSize / 2 / (100 + 112)) < 2, `${answers}`);
  let questions = 0;
  // Each from another client, as one may not have all of the second half.
  while (writer.put(kindQuestion, 1, 0, received(new Array(100).fill(1), questions * 1_000), 0)) questions++;
  assert.ok(Math.abs(questions - answers) <= 1, `${questions} questions and ${answers} answers`);
  assert.equal(putAnswers(), 0);
  for (let left = questions; left > 0; left--) reader.next();
  assert.equal(putAnswers(), 0, 'the last questions fill half');
  while (reader.next());
  assert.ok(Math.abs(putAnswers() - answers) <= 1);
});

test('of the second half one client gets a quarter, and as much again when that has been taken out', () => {
  const memory = ringMemory(ringSize);
  const writer = new RingWriter(memory, hashKey());
  const reader = new RingReader(memory);
  const from = (client: number): Datagrams => {
    const datagrams = received(Array.from({ length: 100 }, () => 1));
    datagrams.bytes.set(encodeSocketAddress({ address: `10.0.0.${client}`, port: client }), datagrams.peerAt(0) * 4);
    return datagrams;
  };
  const putAll = (client: number): number => {
    let count = 0;
    while (writer.put(kindQuestion, 1, 0, from(client), 0)) count++;
    return count;
  };
  const flood = putAll(1);
  const others = [2, 3, 4].map(putAll);
  assert.ok(Math.abs(flood - (ringSize / 2 + ringSize / 8) / (100 + 140)) < 5, `${flood}`);
  for (const count of others) assert.ok(Math.abs(count - ringSize / 8 / (100 + 140)) < 3, `${others}`);
  assert.ok(putAll(5) + putAll(1) < 4, 'it is full');
  for (let left = 20; left > 0; left--) reader.next();
  assert.ok(putAll(1) <= others[0]);
  assert.ok(putAll(6) > 0);
  while (reader.next());
  assert.ok(Math.abs(putAll(1) - flood) <= 1, 'an empty ring has forgotten');
});

test('each of 256 neighbours has a share of its own, whatever the others take', () => {
  for (const network of ['10.244.7', '192.168.255', '100.64.0']) {
    const memory = ringMemory(256 * 1024);
    const writer = new RingWriter(memory, hashKey());
    const from = (client: number, bytes: number): Datagrams => {
      const datagrams = received(new Array<number>(bytes).fill(1));
      const address = `${network}.${client}`;
      datagrams.bytes.set(encodeSocketAddress({ address, port: 53 }), datagrams.peerAt(0) * 4);
      return datagrams;
    };
    for (let flood = 0; flood < 256; flood += 51) {
      const reader = new RingReader(memory);
      while (reader.next());
      while (writer.put(kindQuestion, 1, 0, from(flood, 900), 0));
      const refused = Array.from({ length: 256 }, (_, client) => client).filter(
        (client) => client !== flood && !writer.put(kindQuestion, 1, 0, from(client, 20), 0),
      );
      assert.deepEqual(refused, [], `${network}.${flood} floods`);
    }
  }
});

test('addresses that were chosen to share a place with somebody take nothing from its share', () => {
  const memory = ringMemory(256 * 1024);
  const writer = new RingWriter(memory, hashKey(5));
  const from = (words: readonly number[], bytes: number): Datagrams => {
    const datagrams = received(new Array<number>(bytes).fill(1));
    datagrams.words.set(words, datagrams.peerAt(0));
    return datagrams;
  };
  const wordsOf = (address: string): readonly number[] => {
    const bytes = new Uint8Array(socketAddressBytes);
    bytes.set(encodeSocketAddress({ address, port: 53 }));
    return [...new Int32Array(bytes.buffer)];
  };
  const victim = wordsOf('10.244.1.7');
  const chosen = Array.from({ length: 200 }, (_, index) => chosenAddress([0xfd, index, 0], victim[1]));
  const filler = wordsOf('10.244.9.9');
  while (writer.put(kindQuestion, 1, 0, from(filler, 900), 0));
  for (const words of chosen) writer.put(kindQuestion, 1, 0, from(words, 300), 0);
  assert.equal(writer.put(kindQuestion, 1, 0, from(victim, 900), 0), true);
});

test('a waking is wanted once until the reader looks', () => {
  const memory = ringMemory(ringSize);
  const writer = new RingWriter(memory, hashKey());
  assert.equal(writer.mustWake(), true);
  assert.equal(writer.mustWake(), false);
  new RingReader(memory).awake();
  assert.equal(writer.mustWake(), true);
});

test('it is a queue with a bound, wherever its positions are', () => {
  const packet = fc.array(fc.nat(255), { minLength: 0, maxLength: 900 });
  const kind = fc.constantFrom(kindQuestion, kindQuestion, kindAnswer);
  const step = fc.oneof(fc.record({ packet, socket: fc.nat(1000), kind }), fc.constant('take' as const));
  const start = fc.constantFrom(0, 8 * 100, 2 ** 31 - 2048, -2048, -8);
  fc.assert(
    fc.property(start, fc.array(step, { maxLength: 120 }), (position, steps) => {
      const memory = ringMemory(ringSize);
      const words = new Int32Array(memory);
      words[16] = position;
      words[32] = position;
      const writer = new RingWriter(memory, hashKey());
      const reader = new RingReader(memory);
      const model: Entry[] = [];
      const take = (): void => {
        const expected = model.shift();
        assert.equal(reader.next(), expected !== undefined);
        if (expected === undefined) return;
        const { kind, socket, arrivedMs } = reader;
        if (kind === kindAnswer) assert.equal(reader.orders, arrivedMs + 7);
        assert.deepEqual({ kind, socket, arrivedMs, packet: [...reader.packet] }, expected);
      };
      for (const [index, each] of steps.entries()) {
        if (each === 'take') {
          take();
          continue;
        }
        const entry: Entry = { arrivedMs: index, ...each };
        const isIn =
          each.kind === kindAnswer
            ? writer.putAnswer(each.socket, index + 7, index, Uint8Array.from(each.packet))
            : writer.put(each.kind, each.socket, index, received(each.packet), 0);
        if (isIn) model.push(entry);
        else assert.ok(model.length > 0, 'an empty ring takes any packet');
      }
      while (model.length > 0) take();
      take();
    }),
  );
});

function wordsOf(address: string, port = 53): Int32Array {
  const bytes = new Uint8Array(socketAddressBytes);
  bytes.set(encodeSocketAddress({ address, port }));
  return new Int32Array(bytes.buffer);
}

function numberOf(address: string, key = hashKey(), port = 53): number {
  return clientNumber(wordsOf(address, port), 0, key);
}

test('a client has one number, whatever its port and the family of the socket, and few share it', () => {
  for (const address of ['10.244.1.7', 'fd00::7', '::ffff:10.244.1.7', '10.244.1.200', 'ff02::1']) {
    assert.equal(numberOf(address, hashKey(), 1), numberOf(address, hashKey(), 65535));
    assert.ok(Number.isInteger(numberOf(address)));
    assert.notEqual(numberOf(address, hashKey(1)), numberOf(address, hashKey(2)));
  }
  assert.equal(numberOf('::ffff:10.244.1.7'), numberOf('10.244.1.7'));
  const addresses = Array.from({ length: 256 }, (_, index) => [
    `10.244.1.${index}`,
    `10.244.${index}.1`,
    `fd00::${(index + 2).toString(16)}`,
    `fd00::${(index + 2).toString(16)}:0:1`,
    `fd00:0:0:${(index + 2).toString(16)}::1`,
  ]).flat();
  const different = new Set(addresses);
  assert.equal(new Set([...different].map((address) => numberOf(address))).size, different.size);
});

test('addresses of every kind of network are spread evenly, by the low bits of their numbers and by the high ones', () => {
  const hex = (number: number) => number.toString(16);
  const networks: Readonly<Record<string, (index: number) => string>> = {
    'one /20': (index) => `10.244.${index >> 8}.${index & 255}`,
    'one address of each /24': (index) => `10.${index >> 8}.${index & 255}.9`,
    'one /116': (index) => `fd00::${hex(index)}`,
    'one address of each /64': (index) => `fd00:0:0:${hex(index)}::1`,
    'letters of both cases': (index) => `65.${65 + (index & 63)}.${65 + ((index >> 6) & 63)}.97`,
  };
  fc.assert(
    fc.property(fc.integer({ min: 1 }), fc.constantFrom(...Object.keys(networks)), (seed, name) => {
      const key = hashKey(seed);
      const numbers = Array.from({ length: 4_096 }, (_, index) => numberOf(networks[name](index), key));
      // Of 4,096 numbers of 32 bits two are the same in one of 500 keys.
      assert.ok(new Set(numbers).size >= numbers.length - 3, name);
      for (const place of [(number: number) => number & 255, (number: number) => number >>> 24]) {
        const counts = new Uint16Array(256);
        for (const number of numbers) counts[place(number)]++;
        // Sixteen each on average; by chance none of 256 has fifty.
        assert.ok(Math.max(...counts) < 50, `${name}: ${Math.max(...counts)}`);
        assert.ok(counts.filter((count) => count === 0).length < 3, name);
      }
    }),
    { numRuns: 30 },
  );
});

test('nobody can choose an address with the number of another client', () => {
  const victim = wordsOf('10.244.1.7')[1];
  const known = new Set<number>();
  for (let tries = 0; tries < 1_000; tries++) {
    const words = Int32Array.from(chosenAddress([0xfd, tries, tries * 7], victim));
    assert.equal(words.subarray(2, 6).reduce(fold, 0), victim, 'it was so easy');
    known.add(clientNumber(words, 0, hashKey(3)));
  }
  assert.equal(known.has(numberOf('10.244.1.7', hashKey(3))), false);
  assert.equal(known.size, 1_000, 'nor are they one client');
});
