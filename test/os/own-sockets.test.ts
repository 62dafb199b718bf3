import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { ownSockets } from '../../src/os/own-sockets.js';

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
