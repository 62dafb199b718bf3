import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nameToWire, wireToName } from '../../src/dns/names.js';
import {
  copyOf,
  expandName,
  lower,
  messageFlags,
  messageId,
  messageRcode,
  sameName,
  setU16,
  setU32,
  skipName,
  skipPlainName,
  u16,
  u32,
} from '../../src/dns/wire.js';
import { headerBytes, nameBytesMax } from '../../src/limits.js';

/** A header of twelve zeros, then these bytes. */
const behindHeader = (...bytes: number[]) => Uint8Array.from([...new Uint8Array(headerBytes), ...bytes]);
const out = new Uint8Array(nameBytesMax + 1);
const expand = (bytes: Uint8Array, at: number, end = bytes.length) => expandName(bytes, at, end, out);

/** A name of 255 bytes, and one of 256. */
const longest = nameToWire('a.'.repeat(127));
const tooLong = Uint8Array.from([2, 97, 97, ...longest.subarray(2)]);

describe('numbers', () => {
  it('are written and read in network order', () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffffffff), (half, word) => {
        const bytes = new Uint8Array(8).fill(0xaa);
        setU16(bytes, 1, half);
        setU32(bytes, 3, word);
        assert.deepEqual([u16(bytes, 1), u32(bytes, 3)], [half, word]);
        assert.deepEqual([bytes[0], bytes[7]], [0xaa, 0xaa]);
        assert.equal(Buffer.from(bytes).readUInt32BE(3), word);
      }),
    );
  });

  it('are 0 behind the end', () => {
    assert.deepEqual([u16(new Uint8Array(2), 2), u32(new Uint8Array(4), 4)], [0, 0]);
  });

  it('are found in a header', () => {
    const header = Uint8Array.from([0xab, 0xcd, 0x81, 0xa3]);
    assert.deepEqual([messageId(header), messageFlags(header), messageRcode(header)], [0xabcd, 0x81a3, 3]);
  });
});

describe('lower', () => {
  it('folds A to Z and nothing else', () => {
    for (let byte = 0; byte < 256; byte++) {
      const letter = String.fromCharCode(byte);
      assert.equal(lower[byte], /[A-Z]/.test(letter) ? letter.toLowerCase().charCodeAt(0) : byte);
    }
  });
});

describe('skipPlainName', () => {
  it('ends behind the root label', () => {
    assert.equal(skipPlainName(behindHeader(0), 12, 13), 13);
    assert.equal(skipPlainName(behindHeader(1, 97, 0, 9), 12, 16), 15);
    assert.equal(skipPlainName(longest, 0, 255), 255);
  });

  it('takes no pointer, no other label type, nothing cut, nothing too long', () => {
    assert.equal(skipPlainName(behindHeader(1, 97, 0xc0, 12), 12, 16), -1);
    for (const kind of [0x40, 0x80, 64]) assert.equal(skipPlainName(behindHeader(kind, 0, 0), 12, 15), -1);
    assert.equal(skipPlainName(behindHeader(1, 97), 12, 14), -1);
    assert.equal(skipPlainName(behindHeader(5, 97, 0), 12, 15), -1);
    assert.equal(skipPlainName(behindHeader(), 12, 12), -1);
    assert.equal(skipPlainName(tooLong, 0, 256), -1);
  });
});

describe('skipName', () => {
  it('ends behind the root label or a pointer, wherever that leads', () => {
    assert.equal(skipName(behindHeader(1, 97, 0), 12, 15), 15);
    assert.equal(skipName(behindHeader(1, 97, 0xff, 0xff), 12, 16), 16);
    assert.equal(skipName(longest, 0, 255), 255);
  });

  it('is -1 for what is cut, of an unknown kind, or too long', () => {
    assert.equal(skipName(behindHeader(0xc0), 12, 13), -1);
    assert.equal(skipName(behindHeader(1, 97), 12, 14), -1);
    assert.equal(skipName(behindHeader(1, 97, 0), 12, 14), -1, 'behind the end given');
    for (const kind of [0x40, 0x80, 0xbf]) assert.equal(skipName(behindHeader(kind, 0, 0), 12, 15), -1);
    assert.equal(skipName(tooLong, 0, 256), -1);
  });
});

describe('expandName', () => {
  it('follows pointers backwards, keeps case, and says how long the name is', () => {
    const bytes = behindHeader(3, 99, 79, 77, 0, 1, 97, 0xc0, 12, 1, 98, 0xc0, 17, 0xc0, 21);
    assert.equal(expand(bytes, 25), 9);
    assert.equal(wireToName(out, 0), 'b.a.cOM.');
    assert.equal(expand(bytes, 16), 1, 'the root');
    assert.equal(expand(longest, 0), nameBytesMax);
  });

  it('is 0 for pointers that lead to themselves, forwards, round in a ring, into the header, or are cut', () => {
    assert.equal(expand(behindHeader(0xc0, 12), 12), 0);
    assert.equal(expand(behindHeader(0xc0, 14, 0), 12), 0);
    assert.equal(expand(behindHeader(1, 97, 0xc0, 12), 12), 0, 'to the name’s own beginning');
    assert.equal(expand(behindHeader(1, 97, 0xc0, 12, 0xc0, 12), 16), 0);
    assert.equal(expand(behindHeader(0xc0, 3), 12), 0);
    assert.equal(expand(behindHeader(0, 0xc0), 13), 0);
  });

  it('is 0 for names that are cut, of an unknown kind, or too long once expanded', () => {
    assert.equal(expand(behindHeader(1), 12), 0);
    assert.equal(expand(behindHeader(1, 97), 12), 0);
    assert.equal(expand(behindHeader(0x80, 0), 12), 0);
    assert.equal(expand(tooLong, 0), 0);
    const pointing = Uint8Array.from([...behindHeader(...longest.subarray(2)), 2, 97, 97, 0xc0, 12]);
    assert.equal(expand(pointing, headerBytes + 253), 0, '256 bytes with what the pointer adds');
    pointing[headerBytes + 253] = 1;
    pointing.copyWithin(headerBytes + 255, headerBytes + 256);
    assert.equal(expand(pointing, headerBytes + 253, headerBytes + 257), nameBytesMax);
  });

  it('looks at nothing behind the end it is given', () => {
    assert.equal(expand(behindHeader(1, 97, 0), 12, 14), 0);
    assert.equal(expand(behindHeader(0, 0xc0, 12), 13, 14), 0);
  });

  it('agrees with the reader of configuration names on any bytes, and ends', () => {
    const byte = fc.constantFrom(0, 1, 2, 3, 12, 13, 14, 16, 20, 63, 64, 97, 0xc0, 0xc1, 255);
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 40, size: 'max' }), fc.nat(40), (bytes, offset) => {
        const message = behindHeader(...bytes);
        const at = headerBytes + offset;
        const length = expand(message, at);
        const skipped = skipName(message, at, message.length);
        assert.ok(length >= 0 && length <= nameBytesMax);
        if (length > 0) {
          assert.ok(skipped > at && skipped <= message.length, 'what can be read can be skipped');
          assert.equal(skipPlainName(out, 0, length), length, 'it is a plain name');
          assert.equal(wireToName(message, at), wireToName(out, 0));
        }
        const plain = skipPlainName(message, at, message.length);
        if (plain >= 0) assert.deepEqual([length, skipped], [plain - at, plain]);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('sameName', () => {
  it('compares without regard to case, and only so many bytes', () => {
    const [one, other] = [nameToWire('www.Example.com'), nameToWire('x.EXAMPLE.net')];
    assert.equal(sameName(one, 4, other, 2, 8), true);
    assert.equal(sameName(one, 4, other, 2, 12), false);
    assert.equal(sameName(nameToWire('\\200'), 0, nameToWire('\\232'), 0, 3), false, 'only ASCII has case');
    assert.equal(sameName(one, 0, other, 0, 0), true);
  });
});

describe('copyOf', () => {
  it('has memory of its own, also when it comes from a Buffer', () => {
    const packet = Buffer.from([1, 2, 3, 4]);
    const copy = copyOf(packet, 1, 3);
    packet.fill(9);
    assert.deepEqual(copy, Uint8Array.from([2, 3]));
    assert.equal(copy.buffer.byteLength, 2);
  });
});
