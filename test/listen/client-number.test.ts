import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientNumber } from '../../src/listen/client-number.js';
import { encodeSocketAddress, socketAddressBytes } from '../../src/os/socket-address.js';
import { hashKey } from '../dns/hash-key.js';
import { chosenAddress, fold } from './chosen-address.js';

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
