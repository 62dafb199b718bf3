import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ThreadAsker } from '../../src/listen/thread-asker.js';
import { encodeSocketAddress } from '../../src/os/socket-address.js';

test('is who has asked, and is answered once', () => {
  const words = new Int32Array(8);
  new Uint8Array(words.buffer).set(encodeSocketAddress({ address: '192.0.2.7', port: 5353 }));
  const socket = { listener: { local: { address: '192.0.2.1', port: 53 } } };
  const answers: unknown[] = [];
  const peer = { words, nameBytes: 16, controlBytes: 0 };
  const asker = new ThreadAsker(socket, peer, 5, (...settled) => void answers.push(settled));
  assert.deepEqual(
    [asker.remote, asker.local, asker.receivedAtMs],
    [{ address: '192.0.2.7', port: 5353 }, { address: '192.0.2.1', port: 53 }, 5],
  );
  const bytes = Buffer.from('answer');
  asker.reply(bytes);
  assert.deepEqual(answers, [[socket, bytes, peer]]);
  assert.throws(() => asker.reply(null), /answered once/);
});
