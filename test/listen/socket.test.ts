import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { openSocket } from '../../src/listen/socket.js';
import { calls, skip } from './loopback-sockets.js';

describe('openSocket', { skip }, () => {
  const open = (address: string, port = 0) => openSocket(calls, { at: { address, port }, ipv6Only: 'no' });

  test('binds what was asked for and tells the real port, which others of us may share', () => {
    const first = open('127.0.0.1');
    assert.equal(first.local.address, '127.0.0.1');
    assert.ok(first.local.port > 0);
    assert.equal(first.hasPacketInfo, false);
    const second = open('127.0.0.1', first.local.port);
    assert.equal(second.local.port, first.local.port);
    calls.close(first.fd);
    calls.close(second.fd);
  });

  test('on all addresses it has each datagram tell which it came to', () => {
    const socket = open('0.0.0.0');
    assert.equal(socket.hasPacketInfo, true);
    calls.close(socket.fd);
  });

  test('binds an address that is not there yet', () => {
    const { fd } = open('169.254.77.77');
    calls.close(fd);
  });

  test("a port that somebody else has is the system's error", async () => {
    const other = createSocket('udp4');
    other.bind({ port: 0, address: '127.0.0.1', exclusive: true });
    await once(other, 'listening');
    assert.throws(() => open('127.0.0.1', other.address().port), { code: 'EADDRINUSE', syscall: 'bind' });
    other.close();
  });
});
