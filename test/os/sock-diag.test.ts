import assert from 'node:assert/strict';
import { fstatSync } from 'node:fs';
import { describe, test } from 'node:test';
import { boundPort, openSocket, openStreamSocket, type SocketOptions } from '../../src/os/bound-socket.js';
import type { Endpoint } from '../../src/os/network.js';
import { openFilesMax } from '../../src/os/open-files.js';
import type { Protocol } from '../../src/os/proc.js';
import { lookAtSockets, type SocketsAt } from '../../src/os/sock-diag.js';
import type { SystemCalls } from '../../src/os/system-calls.js';
import { calls, skip } from './loopback-sockets.js';

const wish = (at: Endpoint): SocketOptions => ({ at, ipv6Only: 'no', sharedWith: 'us' });
const inodeOf = (fd: number): number => fstatSync(fd).ino;
/** Where it comes out if the kernel did not tell. */
const notTold: SocketsAt = () => [-1];
const look = (protocol: Protocol, at: Endpoint) => [...lookAtSockets(calls, notTold)(protocol, at)!].sort();

describe('lookAtSockets', { skip }, () => {
  for (const [address, other] of [
    ['127.0.0.1', '127.0.0.2'],
    ['::1', '::'],
  ]) {
    test(`finds all sockets at ${address} and no others on the same port`, () => {
      const first = openSocket(calls, wish({ address, port: 0 }));
      const at = first.local;
      const second = openSocket(calls, wish(at));
      const elsewhere = openSocket(calls, wish({ address: other, port: at.port }));
      const inodes = [first, second].map(({ fd }) => inodeOf(fd)).sort();
      assert.deepEqual(look('udp', at), inodes);
      assert.deepEqual(look('udp', { address: other, port: at.port }), [inodeOf(elsewhere.fd)]);
      assert.deepEqual([...lookAtSockets(null)('udp', at)!].sort(), inodes, 'as /proc/net has it');
      for (const { fd } of [first, second, elsewhere]) calls.close(fd);
      assert.deepEqual(look('udp', at), []);
    });

    test(`takes only those for TCP that listen at ${address}`, () => {
      const fd = openStreamSocket(calls, wish({ address, port: 0 }));
      const at = { address, port: boundPort(calls, fd) };
      assert.deepEqual(look('tcp', at), []);
      calls.listen(fd, 1);
      assert.deepEqual(look('tcp', at), [inodeOf(fd)]);
      calls.close(fd);
    });
  }

  test('asks the kernel once about a port, and anew with the next look', () => {
    let asked = 0;
    const counted: SystemCalls = {
      ...calls,
      netlinkSocket(protocol) {
        asked++;
        return calls.netlinkSocket(protocol);
      },
    };
    const first = openSocket(calls, wish({ address: '127.0.0.1', port: 0 }));
    const { port } = first.local;
    const sockets = lookAtSockets(counted, notTold);
    for (const address of ['127.0.0.1', '127.0.0.2', '127.0.0.1']) sockets('udp', { address, port });
    assert.equal(asked, 1);
    sockets('udp', { address: '::1', port });
    sockets('tcp', { address: '127.0.0.1', port });
    assert.equal(asked, 3);
    calls.close(first.fd);
    assert.equal(sockets('udp', first.local)?.length, 1, 'it is one look');
    assert.deepEqual(lookAtSockets(counted, notTold)('udp', first.local), []);
  });

  test('reads about that port alone, where thousands of sockets are on others', {
    skip: (openFilesMax() ?? 0) < 6_000 && 'needs 6000 open files',
  }, () => {
    // An address that no other test has, as ports of that one are many.
    const many = Array.from({ length: 5_000 }, () => openSocket(calls, wish({ address: '127.9.8.7', port: 0 })));
    const { local } = many[2_500];
    // The kernel may give a port of ours to another socket of ours, as all of them share.
    const inodes = many.filter((each) => each.local.port === local.port).map(({ fd }) => inodeOf(fd));
    let readBytes = 0;
    const counted: SystemCalls = {
      ...calls,
      receiveBytes(socket, bytes) {
        const count = calls.receiveBytes(socket, bytes);
        readBytes += Math.max(0, count);
        return count;
      },
    };
    assert.deepEqual([...lookAtSockets(counted, notTold)('udp', local)!].sort(), inodes.sort());
    assert.equal(lookAtSockets(null)('udp', local), undefined, '/proc/net is read so far and no further');
    for (const each of many) calls.close(each.fd);
    assert.ok(readBytes > 0 && readBytes < 4_096, `${readBytes} bytes`);
  });

  test('leaves it to /proc/net where the kernel does not tell', () => {
    const at = { address: '127.0.0.1', port: 53 };
    const error = new DataView(new ArrayBuffer(36));
    const ended = new DataView(new ArrayBuffer(20));
    for (const [view, type] of [
      [error, 2],
      [ended, 3],
    ] as const) {
      view.setUint32(0, view.byteLength, true);
      view.setUint16(4, type, true);
      view.setInt32(16, -2, true);
    }
    const says = (message: DataView) => (_: number, bytes: Uint8Array) => {
      bytes.set(new Uint8Array(message.buffer));
      return message.byteLength;
    };
    const refusals: Partial<SystemCalls>[] = [
      { netlinkSocket: () => -97 },
      { sendBytes: () => -1 },
      { receiveBytes: () => -11 },
      { receiveBytes: () => 0 },
      { receiveBytes: says(error) },
      { receiveBytes: says(ended) },
      { receiveBytes: (_, bytes) => bytes.fill(0xff).length },
      { receiveBytes: (_, bytes) => bytes.fill(0).length },
    ];
    for (const [index, refusal] of refusals.entries()) {
      assert.deepEqual(lookAtSockets({ ...calls, ...refusal }, notTold)('udp', at), [-1], `${index}`);
    }
  });
});
