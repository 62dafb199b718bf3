import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nameToWire } from '../../src/dns/names.js';
import { NamesOut } from '../../src/dns/names-out.js';
import { expandName, lower, u16 } from '../../src/dns/wire.js';
import { headerBytes, messageBytesMax, nameBytesMax } from '../../src/limits.js';
import { hashKey } from './hash-key.js';

const out = new NamesOut(hashKey());
/** Longer than a message may be, so that what is written too far is seen. */
const message = new Uint8Array(2 * messageBytesMax);

/** Begins a message with this question; returns the offset behind its type and class. */
function begin(name: string): number {
  const wire = nameToWire(name);
  message.fill(0xff);
  message.set(wire, headerBytes);
  out.begin(message, wire.length);
  return headerBytes + wire.length + 4;
}

/** Writes at `at`, checks that it can be read again, and returns the offset behind. */
function write(at: number, name: string | Uint8Array): number {
  const wire = typeof name === 'string' ? nameToWire(name) : name;
  const given = Uint8Array.from([...wire, 0xee]);
  const end = out.write(message, at, given, wire.length);
  assert.ok(end > at && end <= at + wire.length, 'never longer than uncompressed');
  const back = new Uint8Array(nameBytesMax + 1);
  assert.equal(expandName(message, at, end, back), wire.length);
  const folded = (bytes: Uint8Array) => [...bytes.subarray(0, wire.length)].map((byte) => lower[byte]);
  assert.deepEqual(folded(back), folded(wire));
  return end;
}

/** How many bytes the name takes there. */
const bytesFor = (at: number, name: string) => write(at, name) - at;

describe('NamesOut', () => {
  it('points to the question, to any part of it, and in any case', () => {
    const at = begin('www.Example.com');
    assert.deepEqual(
      ['www.example.com', 'EXAMPLE.com', 'com', 'mail.example.com', '.'].map((name) => bytesFor(at, name)),
      [2, 2, 2, 7, 1],
    );
    write(at, 'www.example.com');
    assert.equal(u16(message, at), 0xc000 | headerBytes);
  });

  it('points to what it has written itself, the longest part first', () => {
    let at = begin('a.test');
    at = write(at, 'ns.other.example');
    const before = at;
    at = write(at, 'x.ns.other.example');
    assert.equal(at - before, 4);
    assert.equal(bytesFor(at, 'other.example'), 2);
    assert.equal(bytesFor(at, 'example.other'), 15, 'labels in another order are another name');
  });

  it('forgets the message before', () => {
    const at = begin('a.test');
    write(at, 'gone.example');
    assert.equal(bytesFor(begin('b.test'), 'gone.example'), nameToWire('gone.example').length);
    assert.equal(bytesFor(begin('.'), 'a.test'), 8, 'the root has no part to point to');
  });

  it('does not take a name for another whose bytes are the same', () => {
    const at = begin('a\\.b.test');
    assert.equal(bytesFor(at, 'a.b.test'), 6);
    assert.equal(bytesFor(begin('_a.test'), '\\@b.test'), 5, 'nor for one of the same length and hash');
    assert.equal(bytesFor(begin('ab.c'), '\\001.b\\001c'), nameToWire('\\001.b\\001c').length);
  });

  it('keeps the longest names whole', () => {
    const long = `${`${'x'.repeat(63)}.`.repeat(3)}${'y'.repeat(61)}`;
    const deep = 'a.'.repeat(127);
    assert.deepEqual([nameToWire(long).length, nameToWire(deep).length], [nameBytesMax, nameBytesMax]);
    for (const name of [long, deep]) {
      let at = begin('q.test');
      const first = at;
      at = write(at, name);
      assert.equal(at - first, nameBytesMax);
      assert.equal(bytesFor(at, name), 2);
      assert.equal(bytesFor(begin(name), name), 2);
    }
  });

  it('never points beyond what 14 bits reach', () => {
    begin('a.test');
    const name = 'far.example';
    const { length } = nameToWire(name);
    assert.equal(bytesFor(0x4000, name), length);
    assert.equal(bytesFor(0x4100, name), length, 'the one before cannot be pointed to');
    assert.equal(bytesFor(0x4200, 'a.test'), 2, 'what stands at the front can');
    assert.equal(bytesFor(0x3ffc, name), length);
    assert.equal(bytesFor(0x4300, name), 2, 'its first label stands just within');
    assert.equal(bytesFor(0x4400, 'example'), 9, 'its second does not');
  });

  it('writes any names into any message so that they are read back', () => {
    const label = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('a', 'A', 'b', 'ab', 'svc', 'SVC', 'cluster', 'local', 'x'.repeat(63)) },
      { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes)) },
    );
    const name = fc.array(label, { maxLength: 6 }).map((labels) => {
      const parts = labels.map((each) => Buffer.from(each));
      const wire = parts.flatMap((each) => [each.length, ...each]);
      return Uint8Array.from([...wire.slice(0, wire.length <= 254 ? undefined : 0), 0]);
    });
    const gap = fc.oneof({ weight: 5, arbitrary: fc.nat(20) }, { weight: 1, arbitrary: fc.nat(9_000) });
    fc.assert(
      fc.property(name, fc.array(fc.tuple(name, gap), { maxLength: 60, size: 'max' }), (question, names) => {
        message.set(question, headerBytes);
        out.begin(message, question.length);
        let at = headerBytes + question.length + 4;
        const written: { at: number; wire: Uint8Array }[] = [];
        for (const [wire, bytes] of names) {
          if (at + wire.length + bytes > messageBytesMax) break;
          written.push({ at, wire });
          at = write(at, wire);
          message.fill(0x61, at, at + bytes);
          at += bytes;
        }
        const back = new Uint8Array(nameBytesMax + 1);
        for (const { at: place, wire } of written) {
          assert.equal(expandName(message, place, at, back), wire.length, 'also when the message is complete');
        }
      }),
      { numRuns: 300 },
    );
  });
});
