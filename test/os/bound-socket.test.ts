import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { describe, test } from 'node:test';
import { receiveBufferBytes, sendBufferBytes } from '../../src/limits.js';
import { openSocket, openStreamSocket, type SocketOptions } from '../../src/os/bound-socket.js';
import { calls, skip } from './loopback-sockets.js';

type Sharing = SocketOptions['sharedWith'];

describe('openSocket', { skip }, () => {
  const open = (address: string, port = 0, sharedWith: Sharing = 'nobody') =>
    openSocket(calls, { at: { address, port }, ipv6Only: 'no', sharedWith });

  test('binds what was asked for and tells the real port, which others of us may share', () => {
    const first = open('127.0.0.1');
    assert.equal(first.local.address, '127.0.0.1');
    assert.ok(first.local.port > 0);
    assert.equal(first.hasPacketInfo, false);
    const second = open('127.0.0.1', first.local.port, 'us');
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
    for (const address of ['169.254.77.77', 'fd00:77::77']) calls.close(open(address).fd);
  });

  test('has buffers as large as it wants, or as the kernel allows', () => {
    const { fd } = open('127.0.0.1');
    const socket = createSocket('udp4').bind({ fd });
    // The kernel tells twice what it was asked for.
    const wanted = [2 * receiveBufferBytes, 2 * sendBufferBytes];
    const allowed = ['rmem_max', 'wmem_max'].map(
      (name) => 2 * Number(readFileSync(`/proc/sys/net/core/${name}`, 'utf8')),
    );
    const least = process.getuid?.() === 0 ? wanted : wanted.map((bytes, index) => Math.min(bytes, allowed[index]));
    assert.deepEqual([socket.getRecvBufferSize(), socket.getSendBufferSize()], least);
    socket.close();
  });

  test("a port that somebody else has is the system's error, be it shared or not", async () => {
    const other = createSocket('udp4');
    other.bind({ port: 0, address: '127.0.0.1', exclusive: true });
    await once(other, 'listening');
    assert.throws(() => open('127.0.0.1', other.address().port), { code: 'EADDRINUSE', syscall: 'bind' });
    other.close();
    const sharing = open('127.0.0.1');
    assert.throws(() => open('127.0.0.1', sharing.local.port), { code: 'EADDRINUSE', syscall: 'bind' });
    assert.throws(() => open('0.0.0.0', sharing.local.port), { code: 'EADDRINUSE', syscall: 'bind' });
    calls.close(sharing.fd);
  });
});

describe('openStreamSocket', { skip }, () => {
  const open = (address: string, port = 0, sharedWith: Sharing = 'nobody') =>
    openStreamSocket(calls, { at: { address, port }, ipv6Only: 'no', sharedWith });

  async function listen(fd: number): Promise<{ server: Server; port: number }> {
    const server = createServer((socket) => socket.end('hello')).listen({ fd });
    await once(server, 'listening');
    return { server, port: (server.address() as AddressInfo).port };
  }

  test('gives Node.js a descriptor to listen on, which others of us may share', async () => {
    for (const address of ['127.0.0.1', '::1']) {
      const first = await listen(open(address));
      const second = await listen(open(address, first.port, 'us'));
      assert.equal(second.port, first.port);
      const client = connect(first.port, address).setEncoding('utf8');
      const [text] = (await once(client, 'data')) as [string];
      assert.equal(text, 'hello');
      client.destroy();
      for (const { server } of [first, second]) server.close();
    }
  });

  test('binds an address that is not there yet', async () => {
    for (const address of ['169.254.77.77', 'fd00:77::77']) (await listen(open(address))).server.close();
  });

  test("a port that somebody else has is the system's error, be it shared or not", async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    assert.throws(() => open('127.0.0.1', (other.address() as AddressInfo).port), { code: 'EADDRINUSE' });
    other.close();
    const sharing = await listen(open('127.0.0.1'));
    assert.throws(() => open('127.0.0.1', sharing.port), { code: 'EADDRINUSE', syscall: 'bind' });
    sharing.server.close();
  });

  test('a port whose last connections are not forgotten yet can be had', async () => {
    const before = await listen(open('127.0.0.1'));
    const client = connect(before.port, '127.0.0.1').resume();
    await once(client, 'close');
    before.server.close();
    await once(before.server, 'close');
    (await listen(open('127.0.0.1', before.port))).server.close();
  });
});
