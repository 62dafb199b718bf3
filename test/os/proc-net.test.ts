import assert from 'node:assert/strict';
import { fstatSync } from 'node:fs';
import { describe, test } from 'node:test';
import { boundPort, openSocket, openStreamSocket } from '../../src/os/bound-socket.js';
import { type Protocol, socketsAt } from '../../src/os/proc-net.js';
import { calls, skip } from './loopback-sockets.js';

const udp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1010: 0A14FEA9:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 111 2 0000000000000000 0
 1010: 0A14FEA9:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 112 2 0000000000000000 9
 1011: 0B14FEA9:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 113 2 0000000000000000 0
 1012: 0A14FEA9:0036 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 114 2 0000000000000000 0
`;
const tcp6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: B80D01200000000000000000010000FF:0035 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21 1
   1: B80D01200000000000000000010000FF:0035 B80D0120000000000000000002000000:9C40 01 00000000:00000000 00:00000000 00000000     0        0 22 1
`;

describe('socketsAt', () => {
  const tables: Readonly<Record<string, string>> = { udp, tcp6 };
  const sockets = (protocol: Protocol, address: string) =>
    socketsAt(protocol, { address, port: 53 }, (name) => tables[name]);

  test('finds the sockets of one endpoint in the table of its family', () => {
    assert.deepEqual(sockets('udp', '169.254.20.10'), [111, 112]);
    assert.deepEqual(sockets('udp', '169.254.20.12'), []);
  });

  test('knows endpoints as the kernel writes them', () => {
    for (const [address, port, text] of [
      ['169.254.20.10', 53, '0A14FEA9:0035'],
      ['fd00::10', 53, '000000FD000000000000000010000000:0035'],
      ['2001:db8:1:2:3:4:5:6', 65_535, 'B80D0120020001000400030006000500:FFFF'],
      ['::', 1, '00000000000000000000000000000000:0001'],
    ] as const) {
      const line = `  17: ${text} 0:0 07 0:0 0:0 0 0 0 71 2 0 0\n`;
      assert.deepEqual(
        socketsAt('udp', { address, port }, () => line),
        [71],
      );
    }
  });

  test('takes only those for TCP that listen', () => {
    assert.deepEqual(sockets('tcp', '2001:db8::ff00:1'), [21]);
  });

  test('knows nothing where the table cannot be read', () => {
    assert.equal(sockets('tcp', '169.254.20.10'), undefined);
  });

  test('reads the real tables', { skip }, () => {
    for (const address of ['127.0.0.1', '::1']) {
      const wish = { at: { address, port: 0 }, ipv6Only: 'no', sharedWith: 'nobody' } as const;
      const { fd, local } = openSocket(calls, wish);
      assert.deepEqual(socketsAt('udp', local), [fstatSync(fd).ino]);
      calls.close(fd);
      const stream = openStreamSocket(calls, wish);
      const at = { address, port: boundPort(calls, stream) };
      assert.deepEqual(socketsAt('tcp', at), []);
      calls.listen(stream, 1);
      assert.deepEqual(socketsAt('tcp', at), [fstatSync(stream).ino]);
      calls.close(stream);
    }
  });
});
