import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prefixes } from '../../src/dns/prefixes.js';
import { udpBytesDefault } from '../../src/limits.js';

test('a prefix has its length, shares the memory, and is the same view each time', () => {
  const whole = Uint8Array.from({ length: 64 }, (_, index) => index);
  const prefixes = new Prefixes(whole);
  for (let length = 0; length <= whole.length; length++) {
    assert.deepEqual([...prefixes.of(length)], [...whole.subarray(0, length)]);
    assert.equal(prefixes.of(length), prefixes.of(length));
  }
  whole[0] = 9;
  assert.equal(prefixes.of(1)[0], 9);
});

test('views longer than a UDP message are not kept', () => {
  const prefixes = new Prefixes(new Uint8Array(udpBytesDefault + 1));
  assert.equal(prefixes.of(udpBytesDefault), prefixes.of(udpBytesDefault));
  assert.notEqual(prefixes.of(udpBytesDefault + 1), prefixes.of(udpBytesDefault + 1));
  assert.equal(prefixes.of(udpBytesDefault + 1).length, udpBytesDefault + 1);
});
