import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { hashBefore, hashQuestion, hashWords } from '../../src/dns/hash.js';
import { nameToWire } from '../../src/dns/names.js';
import { lower } from '../../src/dns/wire.js';
import { hashKey } from './hash-key.js';

const question = (name: string, type = 1, recordClass = 1) =>
  Uint8Array.from([...nameToWire(name), type >> 8, type & 0xff, recordClass >> 8, recordClass & 0xff]);
const hashOf = (bytes: Uint8Array, key = hashKey(), salt = 4) => hashQuestion(bytes, 0, bytes.length, key, salt);

/** Any bytes are a name's label; the letters of both cases come often. */
const nameBytes = fc.array(fc.oneof(fc.constantFrom(...Buffer.from('azAZ@[`{09-')), fc.integer({ min: 0, max: 255 })), {
  maxLength: 250,
  size: 'max',
});

describe('hashQuestion', () => {
  it('is the same for a name in any case, wherever it stands, in every thread', async () => {
    const pairs: { one: Uint8Array; other: Uint8Array }[] = [];
    fc.assert(
      fc.property(nameBytes, fc.nat(9), fc.infiniteStream(fc.boolean()), (bytes, from, isUpper) => {
        const one = Uint8Array.from([...bytes, 0, 0, 1, 0, 1]);
        const other = Uint8Array.from(one, (byte) =>
          byte >= 0x61 && byte <= 0x7a && isUpper.next().value ? byte - 0x20 : byte,
        );
        for (let at = 0; at < bytes.length; at++) if (isUpper.next().value) other[at] = lower[other[at]];
        assert.equal(hashOf(one), hashOf(other));
        const moved = Uint8Array.from([...new Array(from).fill(7), ...other, 9]);
        assert.equal(hashQuestion(moved, from, from + one.length, hashKey(), 4), hashOf(one));
        pairs.push({ one, other });
      }),
    );
    const program = `
      const { parentPort, workerData: { key, module, questions } } = require('node:worker_threads');
      import(module).then(({ hashQuestion }) =>
        parentPort.postMessage(questions.map((bytes) => hashQuestion(bytes, 0, bytes.length, key, 4))));`;
    const worker = new Worker(program, {
      eval: true,
      workerData: {
        key: hashKey(),
        module: new URL('../../src/dns/hash.js', import.meta.url).href,
        questions: pairs.map(({ other }) => other),
      },
    });
    const there = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    assert.deepEqual(
      there,
      pairs.map(({ one }) => hashOf(one)),
    );
  });

  it('looks at every byte but the case of the name, at the salt and at the key', () => {
    const all = [
      hashOf(question('www.a.test.')),
      hashOf(question('wwx.a.test.')),
      hashOf(question('www.a.test.', 28)),
      hashOf(question('www.a.test.', 1, 3)),
      hashOf(question('www.a.test.'), hashKey(), 5),
      hashOf(question('www.a.test.'), hashKey(2)),
      ...[0x4141, 0x4161, 0x6141, 0x6161].map((type) => hashOf(question('www.a.test.', type))),
      ...[0x4141, 0x4161, 0x6141, 0x6161].map((other) => hashOf(question('www.a.test.', 1, other))),
    ];
    assert.equal(new Set(all).size, all.length);
  });

  it('spreads names that differ in one byte, at every place, over the low bits', () => {
    for (const length of [5, 6, 7, 8]) {
      for (let place = 1; place < length; place++) {
        const low = new Set<number>();
        for (let byte = 0; byte < 256; byte++) {
          const name = new Uint8Array(length + 5);
          name[place] = byte;
          low.add(hashOf(name) & 0xffff);
        }
        // 230 values; by chance one pair in two keys falls together.
        assert.ok(low.size >= 226, `byte ${place} of ${length}: ${low.size}`);
      }
    }
  });

  it('spreads names that are counted up over the places of a table', () => {
    const [names, places] = [20_000, 131_072];
    const used = new Set<number>();
    for (let index = 0; index < names; index++) {
      used.add(hashOf(question(`pod-${index}.default.svc.cluster.local.`)) & (places - 1));
    }
    const expected = places * (1 - Math.exp(-names / places));
    assert.ok(used.size > expected * 0.98, `${used.size} places of ${Math.round(expected)} that chance would give`);
  });
});

describe('hashBefore', () => {
  it('tells apart labels, their order and their borders, and not their case', () => {
    const tail = (name: string) => [...nameToWire(name)].reverse().slice(1);
    const of = (name: string) => tail(name).reduce((hash, byte) => hashBefore(hash, byte, hashKey()), 0);
    assert.equal(of('a.Test'), of('A.tesT'));
    const names = ['a.test', 'b.test', 'test.a', 'at.est', 'atest', 'a', '.'];
    assert.equal(new Set(names.map(of)).size, names.length);
  });
});

test('words have a hash of their own, which tells apart what differs in any byte', () => {
  const key = hashKey();
  const words = Int32Array.from([7, 0x61626364, 0, -1, 9]);
  const hash = hashWords(words, 1, 3, key);
  assert.equal(hashWords(Int32Array.from([0x61626364, 0, -1]), 0, 3, key), hash);
  assert.notEqual(hashWords(words, 1, 3, hashKey(2)), hash);
  for (let at = 1; at < 4; at++) {
    for (let bit = 0; bit < 32; bit++) {
      const other = words.slice();
      other[at] ^= 1 << bit;
      assert.notEqual(hashWords(other, 1, 3, key), hash, `bit ${bit} of word ${at}`);
    }
  }
  assert.notEqual(hashWords(words, 1, 2, key), hash);
});
