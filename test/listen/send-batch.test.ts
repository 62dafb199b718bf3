import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { sendSlotBytes } from '../../src/limits.js';
import { peerWords } from '../../src/listen/message-batch.js';
import { type Peer, Replies } from '../../src/listen/send-batch.js';
import { openSocket } from '../../src/os/bound-socket.js';
import { encodeSocketAddress } from '../../src/os/socket-address.js';
import { calls, openClient, skip } from '../os/loopback-sockets.js';

function peerAt(port: number): Peer {
  const words = new Int32Array(peerWords);
  new Uint8Array(words.buffer).set(encodeSocketAddress({ address: '127.0.0.1', port }));
  return { words, nameBytes: 16, controlBytes: 0 };
}

describe('Replies', { skip }, () => {
  const open = () => openSocket(calls, { at: { address: '127.0.0.1', port: 0 }, ipv6Only: 'no', sharedWith: 'nobody' });

  test('sends what one turn gave at its end, from the sockets that were named', async () => {
    const sockets = [open(), open()];
    const client = await openClient();
    const counters = new Counters(countersMemory(0));
    const replies = new Replies(calls, counters);
    const wanted: string[] = [];
    for (let index = 0; index < 150; index++) {
      const { fd, local } = sockets[index % 3 === 0 ? 1 : 0];
      replies.add(fd, Buffer.from(`answer ${index}`), peerAt(client.port));
      wanted.push(`answer ${index} from ${local.port}`);
    }
    const got: string[] = [];
    for (const _ of wanted) {
      const { text, port } = await client.receiveFrom();
      got.push(`${text} from ${port}`);
    }
    assert.deepEqual(got.sort(), wanted.sort());
    assert.equal(counters.total('sendFailed'), 0);
    client.close();
    for (const { fd } of sockets) calls.close(fd);
  });

  test('counts what cannot be sent and sends the rest', async () => {
    const { fd } = open();
    const client = await openClient();
    const counters = new Counters(countersMemory(0));
    const replies = new Replies(calls, counters);
    replies.add(fd, Buffer.from('to nobody'), peerAt(0));
    replies.add(fd, new Uint8Array(sendSlotBytes + 1), peerAt(client.port));
    replies.add(fd, Buffer.from('to a client'), peerAt(client.port));
    replies.flush();
    assert.equal(await client.receive(), 'to a client');
    assert.equal(counters.total('sendFailed'), 2);
    client.close();
    calls.close(fd);
  });
});
