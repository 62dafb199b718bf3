import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  absentAddresses,
  HeldPorts,
  isIpv6,
  literalLookup,
  plainEndpoint,
  withoutIpv6,
} from '../../src/os/families.js';
import type { Endpoint } from '../../src/os/network.js';

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
