import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameReader, writeFrame } from '../../src/dns/frame.js';

function framed(messages: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(messages.reduce((sum, message) => sum + 2 + message.length, 0));
  messages.reduce((at, message) => writeFrame(bytes, at, message), 0);
  return bytes;
}

function read(chunks: readonly Uint8Array[]): { messages: number[][]; unfinished: boolean } {
  const reader = new FrameReader();
  const messages: number[][] = [];
  for (const chunk of chunks) reader.push(chunk, (message) => messages.push([...message]));
  return { messages, unfinished: reader.unfinished };
}

test('one chunk holds many messages, whole ones without a copy', () => {
  const bytes = framed([Uint8Array.of(1, 2, 3), Uint8Array.of(4), new Uint8Array(0), Uint8Array.of(5, 6)]);
  const views: ArrayBufferLike[] = [];
  const reader = new FrameReader();
  const messages: number[][] = [];
  reader.push(bytes, (message) => {
    views.push(message.buffer);
    messages.push([...message]);
  });
  assert.deepEqual(messages, [[1, 2, 3], [4], [], [5, 6]]);
  assert(views.every((buffer) => buffer === bytes.buffer));
});

test('two messages split at every pair of places come out the same', () => {
  const bytes = framed([Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.of(9)]);
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const chunks = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
      assert.deepEqual(read(chunks), { messages: [[1, 2, 3], [], [9]], unfinished: false });
    }
  }
});

test('an unfinished message is known as such', () => {
  const bytes = framed([Uint8Array.of(1, 2, 3)]);
  for (let cut = 1; cut < bytes.length; cut++) assert.equal(read([bytes.subarray(0, cut)]).unfinished, true);
  assert.equal(read([]).unfinished, false);
});

test('the largest message fits', () => {
  const message = new Uint8Array(65_535).fill(7);
  const bytes = framed([message]);
  const { messages } = read([bytes.subarray(0, 40_000), bytes.subarray(40_000)]);
  assert.equal(messages.length, 1);
  assert.equal(messages[0].length, 65_535);
});

test('a reader that has had enough drops the rest of the chunk', () => {
  const bytes = framed([Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)]);
  for (const chunks of [[bytes], [bytes.subarray(0, 1), bytes.subarray(1)]]) {
    const reader = new FrameReader();
    const messages: number[][] = [];
    for (const chunk of chunks) {
      reader.push(chunk, (message) => {
        messages.push([...message]);
        return false;
      });
    }
    assert.deepEqual(messages, [[1]]);
  }
});

test('any messages in any chunks come out as they went in', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 20 }),
      (messages, sizes) => {
        const bytes = framed(messages);
        const chunks: Uint8Array[] = [];
        for (let at = 0, next = 0; at < bytes.length; next++) {
          const size = sizes[next % sizes.length];
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        assert.deepEqual(read(chunks), { messages: messages.map((message) => [...message]), unfinished: false });
      },
    ),
    { numRuns: 200 },
  );
});

test('what a message makes its taker throw is thrown when the others are taken, and the stream stays in step', () => {
  const frames = new FrameReader();
  const taken: number[] = [];
  const take = (message: Uint8Array): void => {
    taken.push(message[0]);
    if (message[0] === 2) throw new Error('planted');
  };
  assert.throws(() => frames.push(Uint8Array.of(0, 1, 1, 0, 1, 2, 0, 1, 3, 0, 2, 4), take), /^Error: planted$/u);
  assert.deepEqual(taken, [1, 2, 3]);
  frames.push(Uint8Array.of(0, 0, 1, 5), take);
  assert.deepEqual(taken, [1, 2, 3, 4, 5]);
});

test('of a longer message only the beginning is handed on, wherever chunks end, and no more is held', () => {
  const message = fc.uint8Array({ maxLength: 40 });
  const cuts = fc.array(fc.nat(400), { maxLength: 12 });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 10 }),
      cuts,
      fc.integer({ min: 1, max: 20 }),
      (messages, at, bytesMax) => {
        const bytes = framed(messages);
        const ends = [...new Set([...at.filter((cut) => cut < bytes.length), bytes.length])].sort((a, b) => a - b);
        const reader = new FrameReader(bytesMax);
        const got: number[][] = [];
        let from = 0;
        for (const end of ends) {
          reader.push(bytes.subarray(from, end), (one) => {
            assert.ok(one.length <= bytesMax);
            got.push([...one]);
          });
          from = end;
        }
        assert.deepEqual(
          got,
          messages.map((one) => [...one.subarray(0, bytesMax)]),
        );
        assert.equal(reader.unfinished, false);
      },
    ),
  );
});
