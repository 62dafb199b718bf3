import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  absentAddresses,
  decodeSocketAddress,
  encodeSocketAddress,
  endpointOf,
  familyAt,
  HeldPorts,
  isIpv6,
  literalLookup,
  plainEndpoint,
  withoutIpv6,
} from '../../src/os/addresses.js';
import type { Endpoint } from '../../src/os/network.js';

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

test('IPv6 sockets are IPv6 only on ports that are held for IPv4, until the last holder lets go', () => {
  const ports = new HeldPorts();
  const both = { address: '::', port: 53 };
  assert.equal(ports.mustBeIpv6Only(both), false);
  ports.hold({ address: '0.0.0.0', port: 53 });
  ports.hold({ address: '127.0.0.1', port: 53 });
  ports.hold({ address: '::1', port: 54 });
  assert.equal(ports.mustBeIpv6Only(both), true);
  assert.equal(ports.mustBeIpv6Only({ address: '127.0.0.2', port: 53 }), false);
  assert.equal(ports.mustBeIpv6Only({ address: '::', port: 54 }), false);
  ports.release({ address: '0.0.0.0', port: 53 });
  assert.equal(ports.mustBeIpv6Only(both), true);
  ports.release({ address: '127.0.0.1', port: 53 });
  ports.release({ address: '127.0.0.1', port: 53 });
  assert.equal(ports.mustBeIpv6Only(both), false);
});

test('a port is ours where a packet could be for one that is held', () => {
  const ports = new HeldPorts();
  const isOurs = (address: string, port = 53): boolean => ports.has({ address, port });
  ports.hold({ address: '127.0.0.1', port: 53 });
  assert.deepEqual([isOurs('127.0.0.1'), isOurs('0.0.0.0'), isOurs('127.0.0.2')], [true, true, false]);
  assert.deepEqual([isOurs('127.0.0.1', 54), isOurs('::'), isOurs('::1')], [false, false, false]);
  ports.hold({ address: '::', port: 54 });
  assert.deepEqual([isOurs('::1', 54), isOurs('127.0.0.1', 54), isOurs('0.0.0.0', 54)], [true, true, true]);
  ports.release({ address: '::', port: 54 });
  ports.hold({ address: '0.0.0.0', port: 54 });
  assert.deepEqual([isOurs('127.0.0.1', 54), isOurs('::', 54)], [true, false]);
});

test('addresses that no interface has are told, each once', () => {
  const at = (address: string) => ({ address, port: 53 });
  const endpoints = ['169.254.20.10', '169.254.20.10', '127.0.0.2', '::', '0.0.0.0', 'fd00::1', 'fe80::1%eth0'].map(at);
  assert.deepEqual(absentAddresses(endpoints, ['127.0.0.1', 'fe80::1']), ['169.254.20.10', 'fd00::1']);
  assert.deepEqual(absentAddresses(endpoints, ['169.254.20.10', 'fd00::1', 'fe80::1']), []);
});

test('without IPv6 on the machine :: becomes 0.0.0.0, and nothing else changes', async () => {
  const opened: string[] = [];
  const failing = (code: string) => async (at: Endpoint) => {
    opened.push(at.address);
    if (at.address.includes(':')) throw Object.assign(new Error(code), { code });
    return at;
  };
  assert.deepEqual(await withoutIpv6({ address: '::', port: 53 }, failing('EAFNOSUPPORT')), {
    address: '0.0.0.0',
    port: 53,
  });
  await assert.rejects(withoutIpv6({ address: '::', port: 53 }, failing('EADDRINUSE')), { code: 'EADDRINUSE' });
  await assert.rejects(withoutIpv6({ address: '::1', port: 53 }, failing('EADDRNOTAVAIL')), { code: 'EADDRNOTAVAIL' });
  assert.deepEqual(opened, ['::', '0.0.0.0', '::', '::1']);
});

test('literal addresses are looked up at once, IPv4 on IPv6 sockets in mapped form', () => {
  const looked: string[] = [];
  for (const [address, family] of [
    ['10.0.0.1', 4],
    ['10.0.0.1', 6],
    ['fe80::1%lo', 6],
  ] as const) {
    literalLookup(address, family, (error, result) => looked.push(`${error} ${result}`));
  }
  assert.deepEqual(looked, ['null 10.0.0.1', 'null ::ffff:10.0.0.1', 'null fe80::1%lo']);
});

test('mapped addresses become plain ones', () => {
  assert.deepEqual(plainEndpoint('::ffff:10.0.0.1', 5), { address: '10.0.0.1', port: 5 });
  assert.deepEqual(plainEndpoint('fd00::1', 5), { address: 'fd00::1', port: 5 });
  assert.deepEqual([isIpv6('fe80::1%eth0'), isIpv6('10.0.0.1')], [true, false]);
});
