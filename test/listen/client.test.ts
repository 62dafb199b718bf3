import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overUdp } from '../../src/counters.js';
import { PacketClient } from '../../src/listen/client.js';
import { encodeSocketAddress, endpointOf } from '../../src/os/addresses.js';

test('a client is who sent the packet, and is answered once', () => {
  const words = new Int32Array(8);
  new Uint8Array(words.buffer).set(encodeSocketAddress({ address: '192.0.2.7', port: 5353 }));
  const socket = { local: { address: '192.0.2.1', port: 53 } };
  const answers: unknown[] = [];
  let reads = 0;
  const peer = { socket, words };
  const receiver = {
    localOf: ({ socket: { local } }: typeof peer) => local,
    remoteOf: ({ words: address }: typeof peer) => {
      reads++;
      return endpointOf(address);
    },
    answered: (...answered: unknown[]) => void answers.push(answered),
  };
  const client = new PacketClient(overUdp, receiver, peer, 5);
  assert.deepEqual(
    [client.transport, client.remote, client.local, client.receivedAtMs],
    [overUdp, { address: '192.0.2.7', port: 5353 }, { address: '192.0.2.1', port: 53 }, 5],
  );
  assert.equal(client.remote, client.remote);
  assert.equal(reads, 1, 'the address is read once');
  const bytes = Buffer.from('answer');
  client.reply(bytes);
  assert.deepEqual(answers, [[bytes, peer]]);
  assert.throws(() => client.reply(null), /answered once/);
});
