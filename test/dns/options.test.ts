import assert from 'node:assert/strict';
import { test } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import { encodeOptions, optionOf } from '../../src/dns/options.js';

function withOptions(options: readonly { readonly code: number; readonly data: Buffer }[]): Buffer {
  const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options };
  return packets.encode({
    type: 'response',
    questions: [{ name: 'a.test', type: 'A' }],
    answers: [{ name: 'a.test', type: 'A', ttl: 1, data: '192.0.2.1' }],
    additionals: [opt as unknown as packets.Answer],
  });
}

test('an option is found by its code, the first of them', () => {
  const message = withOptions([
    { code: 0xffee, data: Buffer.from('one') },
    { code: 3, data: Buffer.alloc(0) },
    { code: 0xffee, data: Buffer.from('two') },
  ]);
  assert.equal(Buffer.from(optionOf(message, 0xffee)!).toString(), 'one');
  assert.deepEqual(optionOf(message, 3), new Uint8Array(0));
  assert.equal(optionOf(message, 8), null);
  assert.equal(optionOf(packets.encode({ type: 'query', questions: [{ name: 'a.test', type: 'A' }] }), 3), null);
});

test('options are written one behind the other, as they are found', () => {
  const options = new Map([
    [3, new Uint8Array(0)],
    [0xffee, Uint8Array.from([1, 2, 3])],
  ]);
  assert.deepEqual([...encodeOptions(options)], [0, 3, 0, 0, 0xff, 0xee, 0, 3, 1, 2, 3]);
  assert.equal(encodeOptions(new Map()).length, 0);
});

test('no bytes make it throw, and what is cut has no options', () => {
  const message = withOptions([{ code: 9, data: Buffer.from('data') }]);
  for (let length = 0; length < message.length; length++) assert.equal(optionOf(message.subarray(0, length), 9), null);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(message.length), (junk, at) => {
      const broken = Buffer.from(message);
      broken.set(junk.subarray(0, broken.length - at), at);
      const data = optionOf(broken, 9);
      assert.ok(data === null || data.length < broken.length);
    }),
  );
});
