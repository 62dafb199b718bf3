import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { handoverFrameBytesMax } from '../../src/limits.js';
import { entriesFrame, FrameReader, type Message, messageFrame, readMessage } from '../../src/takeover/protocol.js';

const introduction = { version: '1.2.3', pid: 7, network: 'net:[1]', clockMs: 12.5, entriesFormat: 1 };
const all: Message[] = [
  { type: 'hello', as: 'successor', ...introduction },
  { type: 'hello', as: 'stand-by', ...introduction },
  { type: 'welcome', layout: { 'udp 192.0.2.1 53': [1, 0, 3] }, ...introduction },
  { type: 'sockets', groups: ['udp 192.0.2.1 53'] },
  { type: 'give' },
  { type: 'given' },
  { type: 'serving' },
  { type: 'serve', layout: {} },
  { type: 'leaving' },
  { type: 'go' },
  { type: 'left' },
];

describe('frames', () => {
  test('come out as they went in, however the stream cuts them', () => {
    const sent = [...all.map(messageFrame), entriesFrame(Buffer.from('chunk')), entriesFrame(Buffer.alloc(0))];
    const bytes = Buffer.concat(sent);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 50, size: 'max' }), (cuts) => {
        const reader = new FrameReader();
        const frames = [];
        for (let at = 0, next = 0; at < bytes.length; next++) {
          const end = at + cuts[next % cuts.length];
          frames.push(...(reader.read(bytes.subarray(at, end)) ?? assert.fail('it is our language')));
          at = end;
        }
        const messages = frames.flatMap((frame) => (frame.kind === 'message' ? [frame.message] : []));
        const chunks = frames.flatMap((frame) => (frame.kind === 'entries' ? [frame.chunk.toString()] : []));
        assert.deepEqual([messages, chunks], [all, ['chunk', '']]);
      }),
    );
  });

  test('one that is too long, of another kind, or not JSON is no frame', () => {
    const long = Buffer.alloc(5);
    long.writeUInt32LE(handoverFrameBytesMax + 1);
    long[4] = 2;
    const kind = Buffer.from([0, 0, 0, 0, 9]);
    const text = Buffer.from([3, 0, 0, 0, 1, 0x7b, 0x7b, 0x7b]);
    for (const bytes of [long, kind, text]) assert.equal(new FrameReader().read(bytes), null);
  });

  test('random bytes never do more than end the conversation', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500, size: 'max' }), (bytes) => {
        new FrameReader().read(bytes);
      }),
    );
  });
});

describe('readMessage', () => {
  const read = (value: unknown): Message | null => readMessage(JSON.stringify(value));

  test('passes over what a newer version may say, and what it adds', () => {
    assert.deepEqual(read({ type: 'sing' }), { type: 'unknown' });
    assert.deepEqual(read({ type: 'go', slowly: true }), { type: 'go' });
  });

  test('refuses what misses something or has it wrong', () => {
    const hello = { type: 'hello', as: 'successor', ...introduction };
    const wrong: unknown[] = [null, 1, [], {}, { type: 1 }, { ...hello, as: 'king' }, { ...hello, pid: 'x' }];
    wrong.push({ ...hello, version: 'v'.repeat(101) }, { ...hello, clockMs: null }, { ...hello, network: 5 });
    wrong.push(
      { type: 'welcome', ...introduction },
      { type: 'serve', layout: { a: 'b' } },
      { type: 'serve', layout: { a: [1.5] } },
    );
    wrong.push({ ...hello, entriesFormat: 0.5 }, { type: 'serve', layout: [] });
    for (const value of wrong) assert.equal(read(value), null, JSON.stringify(value));
  });
});
