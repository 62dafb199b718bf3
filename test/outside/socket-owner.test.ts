import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { userOfPeer } from '../../src/outside/socket-owner.js';

const row = (from: string, to: string, user: number, inode: number): string =>
  `   1: ${from} ${to} 01 00000000:00000000 00:00000000 00000000 ${String(user).padStart(5)}        0 ${inode} 1 0000 20 4 30 10 -1`;

describe('userOfPeer', () => {
  const remote = { address: '127.0.0.1', port: 0xc001 };
  const local = { address: '127.0.0.1', port: 6053 };

  const userIn = (tcp: string, tcp6 = ''): Promise<number | null> =>
    userOfPeer({ remote, local }, async (name) => (name === 'tcp' ? tcp : tcp6));

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
    assert.equal(await userOfPeer({ remote, local }, async () => undefined), null);
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
      assert.equal(await userOfPeer(ends), process.getuid?.());
      client.destroy();
      socket.destroy();
      server.close();
    });
  }
});
