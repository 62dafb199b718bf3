import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientKey, configValue, longValue, numberKey } from '../../src/lane/elements.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('keys and values are in this machine’s order, addresses and ports as in a packet', () => {
  assert.equal(hex(numberKey(0x01020304)), '04030201');
  assert.equal(hex(longValue(0x0102n)), '0201000000000000');
  assert.equal(hex(clientKey(7, '10.0.0.2')), '0700000000000000000000000000ffff0a000002');
  assert.equal(hex(clientKey(7, 'fd00::2')), '07000000fd000000000000000000000000000002');
  const config = configValue({
    heartbeatNs: 1n,
    deadAfterNs: 2n,
    inertFromNs: 3n,
    seed: 4n,
    generation: 5,
    digest: 6n,
    places: [
      { address: '169.254.20.10', port: 53 },
      { address: 'fd00::a', port: 5353 },
    ],
  });
  assert.equal(config.length, 256);
  assert.equal(hex(config.subarray(0, 48)), [1, 2, 3, 4, 5, 6].map((part) => `0${part}00000000000000`).join(''));
  assert.equal(hex(config.subarray(64, 88)), '00000000000000000000ffffa9fe140a0035000000000000');
  assert.equal(hex(config.subarray(88, 112)), 'fd00000000000000000000000000000a14e9000000000000');
  assert.ok(config.subarray(112).every((byte) => byte === 0));
});
