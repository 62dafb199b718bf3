import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeSocketAddress, encodeSocketAddress, endpointOf, familyAt } from '../../src/os/socket-address.js';

test('an IPv4 endpoint is a sockaddr_in', () => {
  const bytes = encodeSocketAddress({ address: '169.254.20.10', port: 53 });
  assert.deepEqual([...bytes], [2, 0, 0, 53, 169, 254, 20, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test('an IPv6 endpoint is a sockaddr_in6, its scope by number', () => {
  const bytes = encodeSocketAddress({ address: 'fe80::1%7', port: 0x1234 });
  assert.equal(Buffer.from(bytes).toString('hex'), `0a00123400000000fe80${'00'.repeat(13)}0107000000`);
});

test('an IPv4 client of an IPv6 socket has its plain address', () => {
  const bytes = encodeSocketAddress({ address: '::ffff:10.1.2.3', port: 9 });
  assert.deepEqual(decodeSocketAddress(bytes), { address: '10.1.2.3', port: 9 });
  assert.equal(familyAt(bytes, 0), 0);
  assert.equal(familyAt(encodeSocketAddress({ address: '::1', port: 9 }), 0), 1);
});

test('what is written is read again', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6().filter(isIPv6));
  fc.assert(
    fc.property(address, fc.nat(65535), (text, port) => {
      const once = decodeSocketAddress(encodeSocketAddress({ address: text, port }));
      assert.deepEqual(decodeSocketAddress(encodeSocketAddress(once)), once);
      assert.equal(once.port, port);
    }),
  );
});

test('the words of a peer say what its bytes say, however many neighbours have been seen', () => {
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter(isIPv6),
    fc.nat(255).map((last) => `10.244.0.${last}`),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(address, fc.nat(65535)), { size: 'max', maxLength: 50 }), (peers) => {
      for (const [text, port] of peers) {
        const bytes = new Uint8Array(80);
        bytes.set(encodeSocketAddress({ address: text, port }));
        assert.deepEqual(endpointOf(new Int32Array(bytes.buffer)), decodeSocketAddress(bytes));
      }
    }),
  );
});
