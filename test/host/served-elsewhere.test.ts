import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { type SocketsOfHost, servedElsewhere } from '../../src/host/served-elsewhere.js';
import { ownSockets } from '../../src/os/own-sockets.js';
import { socketsAt as realSocketsAt } from '../../src/os/proc-net.js';

const host = (sockets: Record<string, readonly number[]> | null, own: readonly number[] = []): SocketsOfHost => ({
  socketsAt: ({ address, port }) => (sockets === null ? undefined : (sockets[`${address} ${port}`] ?? [])),
  ownSockets: () => new Set(own),
});

test('somebody serves an address when there is a socket on it and its port', () => {
  const read = host({ '169.254.20.10 53': [20213], '0.0.0.0 53': [20214], 'fd00::10 53': [1] });
  assert.equal(servedElsewhere(read, ['10.96.0.10', '169.254.20.10'], 53), '169.254.20.10');
  assert.equal(servedElsewhere(read, ['fd00::10'], 53), 'fd00::10');
  assert.equal(servedElsewhere(read, ['169.254.20.10'], 54), undefined);
  assert.equal(servedElsewhere(read, ['10.96.0.10', 'fd00::11'], 53), undefined);
});

test('our own sockets do not count', () => {
  const two = { '169.254.20.10 53': [20213, 20215] };
  assert.equal(servedElsewhere(host(two, [20213]), ['169.254.20.10'], 53), '169.254.20.10');
  assert.equal(servedElsewhere(host(two, [20213, 20215]), ['169.254.20.10'], 53), undefined);
});

test('where the kernel does not tell, nobody does', () => {
  assert.equal(servedElsewhere(host(null), ['169.254.20.10'], 53), undefined);
});

for (const [type, address] of [
  ['udp4', '127.0.0.1'],
  ['udp6', '::1'],
] as const) {
  test(`a real ${type} socket is seen while it is open`, async () => {
    const socket = createSocket(type).bind({ address, port: 0 });
    await once(socket, 'listening');
    const { port } = socket.address();
    const socketsAt: SocketsOfHost['socketsAt'] = (at) => realSocketsAt('udp', at);
    const read = { socketsAt, ownSockets: () => new Set<number>() };
    assert.equal(servedElsewhere({ socketsAt, ownSockets }, [address], port), undefined, 'it is ours');
    assert.equal(servedElsewhere(read, [address], port), address);
    socket.close();
    await once(socket, 'close');
    assert.equal(servedElsewhere(read, [address], port), undefined);
  });
}
