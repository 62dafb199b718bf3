import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { procEndpoint, servedElsewhere } from '../../src/host/served-elsewhere.js';
import { ownSockets } from '../../src/outside/own-sockets.js';

const head =
  '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n';
const udp = `${head}  172: 0A14FEA9:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 20213 2 0000000000000000 0
  173: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 20214 2 0000000000000000 0
`;
const udp6 = `${head}  17: 000000FD000000000000000010000000:0035 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 1 2 0 0\n`;

const host = (texts: Record<string, string>, own: readonly number[] = []) => ({
  readFile: (path: string) => texts[path],
  ownSockets: () => new Set(own),
});

test('endpoints as the kernel writes them', () => {
  assert.equal(procEndpoint('169.254.20.10', 53), '0A14FEA9:0035');
  assert.equal(procEndpoint('fd00::10', 53), '000000FD000000000000000010000000:0035');
  assert.equal(procEndpoint('2001:db8:1:2:3:4:5:6', 65535), 'B80D0120020001000400030006000500:FFFF');
  assert.equal(procEndpoint('::', 1), '00000000000000000000000000000000:0001');
});

test('somebody serves an address when there is a socket on it and its port', () => {
  const read = host({ '/proc/net/udp': udp, '/proc/net/udp6': udp6 });
  assert.equal(servedElsewhere(read, { addresses: ['10.96.0.10', '169.254.20.10'], port: 53 }), '169.254.20.10');
  assert.equal(servedElsewhere(read, { addresses: ['fd00::10'], port: 53 }), 'fd00::10');
  assert.equal(servedElsewhere(read, { addresses: ['169.254.20.10'], port: 54 }), undefined);
  assert.equal(servedElsewhere(read, { addresses: ['10.96.0.10', 'fd00::11'], port: 53 }), undefined);
});

test('our own sockets do not count', () => {
  const two = `${udp} 174: 0A14FEA9:0035 00000000:0000 07 0:0 0:0 0 0 0 20215 2 0 0\n`;
  const at = { addresses: ['169.254.20.10'], port: 53 };
  assert.equal(servedElsewhere(host({ '/proc/net/udp': two }, [20213]), at), '169.254.20.10');
  assert.equal(servedElsewhere(host({ '/proc/net/udp': two }, [20213, 20215]), at), undefined);
});

test('where the kernel does not tell, nobody does', () => {
  assert.equal(servedElsewhere(host({}), { addresses: ['169.254.20.10'], port: 53 }), undefined);
});

for (const [type, address] of [
  ['udp4', '127.0.0.1'],
  ['udp6', '::1'],
] as const) {
  test(`a real ${type} socket is seen while it is open`, async () => {
    const socket = createSocket(type).bind({ address, port: 0 });
    await once(socket, 'listening');
    const { port } = socket.address();
    const readFile = (path: string) => readFileSync(path, 'utf8');
    const read = { readFile, ownSockets: () => new Set<number>() };
    assert.equal(servedElsewhere({ readFile, ownSockets }, { addresses: [address], port }), undefined, 'it is ours');
    assert.equal(servedElsewhere(read, { addresses: [address], port }), address);
    socket.close();
    await once(socket, 'close');
    assert.equal(servedElsewhere(read, { addresses: [address], port }), undefined);
  });
}
