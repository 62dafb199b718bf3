import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { fstatSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, it, test } from 'node:test';
import { connectionsReadBytesMax } from '../../src/limits.js';
import { boundPort, openSocket, openStreamSocket } from '../../src/os/bound-socket.js';
import { memoryLimitBytes, ownSockets, type Protocol, socketsAt, userOfPeer } from '../../src/os/proc.js';
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

test('a socket is ours from its opening to its closing', async () => {
  const before = ownSockets();
  const socket = createSocket('udp4').bind({ address: '127.0.0.1', port: 0 });
  await once(socket, 'listening');
  const opened = [...ownSockets()].filter((inode) => !before.has(inode));
  assert.equal(opened.length, 1);
  assert(opened[0] > 0);
  socket.close();
  await once(socket, 'close');
  assert(!ownSockets().has(opened[0]));
});

const row = (from: string, to: string, user: number, inode: number): string =>
  `   1: ${from} ${to} 01 00000000:00000000 00:00000000 00000000 ${String(user).padStart(5)}        0 ${inode} 1 0000 20 4 30 10 -1`;

describe('userOfPeer', () => {
  const remote = { address: '127.0.0.1', port: 0xc001 };
  const local = { address: '127.0.0.1', port: 6053 };

  const bytesMax = 4_096;
  type User = ReturnType<typeof userOfPeer>;
  /** The tables come in chunks of so many bytes. */
  const userIn = (tcp: string, tcp6 = '', chunkBytes = bytesMax): User =>
    userOfPeer(
      { remote, local },
      {
        bytesMax,
        async *read(name) {
          const text = Buffer.from(name === 'tcp' ? tcp : tcp6);
          for (let at = 0; at < text.length; at += chunkBytes) yield text.subarray(at, at + chunkBytes);
        },
      },
    );

  it('is that of the socket at the other end, and not that of ours', async () => {
    const ours = row('0100007F:17A5', '0100007F:C001', 0, 7);
    assert.equal(await userIn(`header\n${ours}\n${row('0100007F:C001', '0100007F:17A5', 1000, 8)}\n`), 1000);
    assert.equal(await userIn(`header\n${ours}\n`), null);
  });

  it('is found where one end is a socket of both families', async () => {
    const mapped = '0000000000000000FFFF00000100007F';
    assert.equal(await userIn('', row(`${mapped}:C001`, `${mapped}:17A5`, 1001, 8)), 1001);
  });

  it('is unknown of a socket that was closed, of other ports, and where there is no table', async () => {
    assert.equal(await userIn(row('0100007F:C001', '0100007F:17A5', 0, 0)), null);
    assert.equal(await userIn(row('0100007F:C002', '0100007F:17A5', 0, 8)), null);
    assert.equal(await userIn(''), null);
  });

  it('is found wherever the chunks of a table end', async () => {
    const table = `header\n${row('0100007F:C002', '0100007F:17A5', 0, 7)}\n${row('0100007F:C001', '0100007F:17A5', 1000, 8)}`;
    for (const text of [table, `${table}\n`]) {
      for (let bytes = 1; bytes < text.length; bytes++) assert.equal(await userIn(text, text, bytes), 1000, `${bytes}`);
    }
  });

  it('is not looked for beyond a bound, and nothing is read or kept for it', async () => {
    const other = Buffer.from(`${row('0200007F:C002', '0100007F:17A5', 0, 7)}\n`);
    let [chunks, isClosed] = [0, false];
    async function* read(): AsyncGenerator<Buffer> {
      try {
        for (; ; chunks++) yield other;
      } finally {
        isClosed = true;
      }
    }
    assert.equal(await userOfPeer({ remote, local }, { bytesMax, read }), 'too many');
    assert.deepEqual([chunks, isClosed], [Math.floor(bytesMax / other.length), true]);
    const theirs = row('0100007F:C001', '0100007F:17A5', 1000, 8);
    const filler = (bytes: number) => `${'x'.repeat(bytes - 1)}\n`;
    assert.equal(await userIn(filler(bytesMax - theirs.length) + theirs), 1000, 'the last within it');
    assert.equal(await userIn(filler(bytesMax - theirs.length + 1) + theirs, '', 16), 'too many');
    assert.equal(await userIn(filler(bytesMax - 100), theirs), 'too many', 'both tables together');
  });

  it('is looked for in the table of IPv6 alone where the ends are of IPv6', async () => {
    const asked: string[] = [];
    const one = { address: '::1', port: 1 };
    async function* read(name: string): AsyncGenerator<Buffer> {
      asked.push(name);
      yield Buffer.alloc(0);
    }
    assert.equal(await userOfPeer({ remote: one, local: one }, { bytesMax, read }), null);
    assert.deepEqual(asked, ['tcp6']);
  });

  for (const address of ['127.0.0.1', '::1']) {
    it(`is ours when we ask ourselves at ${address}`, async () => {
      const server = createServer().listen(0, address);
      await once(server, 'listening');
      const client = connect((server.address() as AddressInfo).port, address);
      const [socket] = await once(server, 'connection');
      const ends = {
        remote: { address, port: socket.remotePort },
        local: { address, port: socket.localPort },
      };
      assert.equal(await userOfPeer(ends, { bytesMax: connectionsReadBytesMax }), process.getuid?.());
      client.destroy();
      socket.destroy();
      server.close();
    });
  }
});

describe('memoryLimitBytes', () => {
  const limit = (files: Readonly<Record<string, string>>) => memoryLimitBytes((path) => files[path]);
  const own = '/sys/fs/cgroup/kubepods/pod1';

  test('is that of the own group, or of the root that a container sees', () => {
    const groups = { '/proc/self/cgroup': '0::/kubepods/pod1\n' };
    assert.equal(limit({ ...groups, [`${own}/memory.max`]: '536870912\n' }), 536_870_912);
    assert.equal(limit({ ...groups, '/sys/fs/cgroup/memory.max': '134217728\n' }), 134_217_728);
    assert.equal(limit({ ...groups, [`${own}/memory.max`]: 'max\n' }), null);
  });

  test('is read of control groups of version 1, too', () => {
    const groups = { '/proc/self/cgroup': '12:cpu,cpuacct:/a\n9:memory:/kubepods/pod1\n' };
    const file = '/sys/fs/cgroup/memory/kubepods/pod1/memory.limit_in_bytes';
    assert.equal(limit({ ...groups, [file]: '1048576\n' }), 1_048_576);
    assert.equal(limit({ ...groups, [file]: '9223372036854771712\n' }), null);
  });

  test('is none where nobody tells', () => {
    assert.equal(limit({}), null);
    assert.equal(limit({ '/sys/fs/cgroup/memory.max': 'what?' }), null);
  });
});
