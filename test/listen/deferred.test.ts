import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handedOverMax, handOverTurnMs } from '../../src/limits.js';
import { DeferredQueue } from '../../src/listen/deferred.js';
import { Datagrams } from '../../src/listen/message-batch.js';
import { kindQuestion, RingReader, RingWriter, ringMemory } from '../../src/listen/ring.js';
import { encodeSocketAddress } from '../../src/os/socket-address.js';
import { hashKey } from '../dns/hash-key.js';

/** A ring, and its end in the control lane, where serving one packet takes `serveMs`. */
function newWorld({ serveMs, ringBytes }: { serveMs: number; ringBytes?: number }) {
  const memory = ringMemory(ringBytes);
  const writer = new RingWriter(memory, hashKey());
  const reader = new RingReader(memory);
  const datagrams = new Datagrams({ addressOf: () => 4096 }, 1024, 1);
  const served: string[] = [];
  const refused: string[] = [];
  let nowMs = 0;
  const deferred = new DeferredQueue<string>({
    hashKey: hashKey(),
    nowMs: () => nowMs,
    read: ({ packet }) => (packet[0] === 0 ? null : Buffer.from(packet).toString()),
    keep: (item) => `${item} kept`,
    serve(item) {
      served.push(item.split(' ')[0]);
      nowMs += serveMs;
    },
    refuse: (item) => void refused.push(item.split(' ')[0]),
  });
  return {
    served,
    refused,
    take: () => deferred.take([reader]),
    put(address: string, text: string): boolean {
      const packet = Buffer.from(text);
      datagrams.slots[0].bytes.set(packet);
      datagrams.words[14] = packet.length;
      datagrams.bytes.set(encodeSocketAddress({ address, port: 53 }), datagrams.peerAt(0) * 4);
      return writer.put(kindQuestion, 1, 0, datagrams, 0);
    },
  };
}

test('what there is time for is served as it comes, in one turn', () => {
  const { served, put, take } = newWorld({ serveMs: handOverTurnMs / 1000 });
  for (let index = 0; index < 500; index++) put(`10.0.0.${index % 3}`, `q${index}`);
  assert.equal(take(), true);
  assert.deepEqual(
    served,
    Array.from({ length: 500 }, (_, index) => `q${index}`),
  );
  assert.equal(take(), true);
});

test('an entry for which nobody waits any more is passed over', () => {
  const { served, put, take } = newWorld({ serveMs: 0 });
  put('10.0.0.1', '\0gone');
  put('10.0.0.1', 'here');
  assert.equal(take(), true);
  assert.deepEqual(served, ['here']);
});

test('behind a flood another client is served in the next turn, and a turn ends when its time is over', () => {
  const { served, put, take } = newWorld({ serveMs: handOverTurnMs / 16 });
  for (let index = 0; index < 500; index++) put('10.0.0.1', `flood${index}`);
  put('10.0.0.2', 'other');
  assert.equal(take(), false);
  assert.equal(served.length, 16);
  assert.equal(take(), false);
  assert.equal(served.length, 32);
  // The first of the two clients' turns is the flood's.
  assert.equal(served.indexOf('other'), 17);
  let turns = 2;
  while (!take()) turns++;
  assert.equal(turns, Math.floor(501 / 16));
  assert.equal(served.length, 501);
});

test('more than may wait: the flood is refused, the other client is not', () => {
  const { served, refused, put, take } = newWorld({ serveMs: handOverTurnMs });
  let flooded = 0;
  let others = 0;
  while (refused.length < 1_000) {
    for (let index = 0; index < 1_000; index++) if (put('10.0.0.1', `flood${flooded}`)) flooded++;
    if (put('10.0.0.2', `other${others}`)) others++;
    take();
    assert.ok(flooded + others - served.length - refused.length <= handedOverMax + 1_001);
  }
  while (!take());
  assert.equal(refused.filter((text) => text.startsWith('other')).length, 0);
  assert.equal(served.filter((text) => text.startsWith('other')).length, others);
  assert.equal(served.length + refused.length, flooded + others);
});
