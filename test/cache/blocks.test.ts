import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { sizesBytes } from '../../src/cache/allocator.js';
import {
  atLastHit,
  atTouched,
  Blocks,
  cacheMemory,
  chainsFor,
  firstBlockByte,
  type Keep,
  keyCheckingDisabled,
  keyDnssecOk,
  kindDenial,
} from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { hashQuestion } from '../../src/dns/hash.js';
import { nameToWire } from '../../src/dns/names.js';
import { blockHeaderBytes, cacheBytesLeast, cacheBytesMax, headerBytes, zoneIdsMax } from '../../src/limits.js';
import { hashKey } from '../dns/hash-key.js';
import { finishNow } from './answers.js';

const tableKey = hashKey(0x5eed);
const chains = chainsFor(cacheBytesLeast);

/** A header and a question. */
function packet(name: string, type = 1, recordClass = 1): Uint8Array {
  const wire = nameToWire(name);
  const bytes = new Uint8Array(headerBytes + wire.length + 4);
  bytes.set(wire, headerBytes);
  bytes.set([type >> 8, type, recordClass >> 8, recordClass], headerBytes + wire.length);
  return bytes;
}

/** A stored answer without records. */
function stored(message: Uint8Array, zoneId = 1, key = 0): Keep {
  const { length } = message;
  const facts = { messageBytes: length, questionEnd: length, ttlOffsets: new Uint16Array(0), records: 0 };
  return { message, ...facts, kind: kindDenial, zoneId, key, lifetimeMs: 1000 };
}

const find = ({ blocks }: Cache, question: Uint8Array, zoneId = 1, key = 0) =>
  blocks.find(question, question.length, zoneId, key);
const hashOf = (question: Uint8Array, zoneId = 1, key = 0) =>
  hashQuestion(question, headerBytes, question.length, tableKey, (zoneId << 2) | key);

function newCache() {
  const cache = new Cache(new Blocks(cacheMemory(), tableKey));
  return { cache, store: cache.newStore({ successEntriesMax: 1000, denialEntriesMax: 1000 }) };
}

/** Names whose questions have one hash, and names that share a chain with the first of them. */
function collisions(): { sameHash: string[]; sameChain: string[] } {
  const byHash = new Map<number, string>();
  const byChain = new Map<number, string[]>();
  let sameHash: string[] = [];
  for (let index = 0; index < 200_000; index++) {
    // Counted up as they are, so short names hardly ever collide.
    const name = `n${(Math.imul(index, 0x9e3779b1) >>> 0).toString(36)}.test.`;
    const hash = hashOf(packet(name));
    const other = byHash.get(hash);
    if (other !== undefined && sameHash.length === 0) sameHash = [other, name];
    byHash.set(hash, name);
    const chain = hash & (chains - 1);
    byChain.set(chain, [...(byChain.get(chain) ?? []), name]);
  }
  const chain = byChain.get(hashOf(packet(sameHash[0])) & (chains - 1)) as string[];
  return { sameHash, sameChain: chain.filter((name) => !sameHash.includes(name)) };
}

describe('Blocks.find', () => {
  it('finds nothing in empty memory', () => {
    assert.equal(find(newCache().cache, packet('a.test.')), 0);
  });

  it('tells apart types that differ as letters in two cases do', () => {
    const { cache, store } = newCache();
    const [https, other] = [packet('a.test.', 65), packet('a.test.', 97)];
    const ref = cache.keep(store, stored(https), 0);
    assert.deepEqual([find(cache, https), find(cache, other)], [ref, 0]);
    const otherRef = cache.keep(store, stored(other), 0);
    assert.deepEqual([find(cache, https), find(cache, other)], [ref, otherRef]);
    assert.equal(find(cache, packet('a.test.', 65, 3)), 0, 'nor another class');
  });

  it('finds a name in any case, and no other name of the same bytes', () => {
    const { cache, store } = newCache();
    const ref = cache.keep(store, stored(packet('a\\200.b.test.')), 0);
    assert.equal(find(cache, packet('A\\200.B.TEST.')), ref);
    for (const name of ['a\\200\\.b.test.', 'a\\232.b.test.', 'b.test.', 'x.a\\200.b.test.', '.']) {
      assert.equal(find(cache, packet(name)), 0, name);
    }
  });

  it('finds by every part of the key at its largest', () => {
    const { cache, store } = newCache();
    const key = keyDnssecOk | keyCheckingDisabled;
    const ref = cache.keep(store, stored(packet('.'), zoneIdsMax, key), 0);
    assert.equal(find(cache, packet('.'), zoneIdsMax, key), ref);
    assert.equal(cache.blocks.zoneId(ref), zoneIdsMax);
    assert.equal(find(cache, packet('.'), zoneIdsMax - 1, key), 0);
    assert.equal(find(cache, packet('.'), zoneIdsMax, keyDnssecOk), 0);
  });

  it('agrees with a map, whatever is kept and deleted, also where hashes and chains collide', () => {
    const { sameHash, sameChain } = collisions();
    assert.equal(sameHash.length, 2, 'two questions of one hash are among the names');
    const names = [...sameHash, ...sameChain, 'a.test.', 'b.test.', 'a.b.test.'];
    const questions = names.flatMap((name) => [1, 2].map((zoneId) => ({ zoneId, question: packet(name) })));
    const step = fc.record({ at: fc.nat(questions.length - 1), does: fc.constantFrom('keep', 'keep', 'delete') });
    const { cache } = newCache();
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const store = cache.newStore({ successEntriesMax: 1000, denialEntriesMax: 1000 });
        const model = new Map<number, number>();
        for (const { at, does } of steps) {
          const { question, zoneId } = questions[at];
          if (does === 'keep') model.set(at, cache.keep(store, stored(question, zoneId), 0));
          else {
            store.denial.delete(model.get(at) ?? 0);
            model.delete(at);
          }
          questions.forEach(({ question: other, zoneId: zone }, index) => {
            assert.equal(find(cache, other, zone), model.get(index) ?? 0);
          });
        }
        assert.equal(store.denial.size, model.size);
        finishNow(cache.dissolve(store));
        assert.ok(questions.every(({ question, zoneId }) => find(cache, question, zoneId) === 0));
        assert.equal(cache.usedBytes, 0);
      }),
      { numRuns: 100 },
    );
  });

  it('is the same for every thread that has the memory and the key', () => {
    const { cache, store } = newCache();
    const ref = cache.keep(store, stored(packet('a.test.')), 0);
    const { memory } = cache.blocks;
    assert.equal(new Blocks(memory, tableKey).find(packet('a.test.'), packet('a.test.').length, 1, 0), ref);
    assert.equal(new Blocks(memory, hashKey(1)).find(packet('a.test.'), packet('a.test.').length, 1, 0), 0);
  });
});

describe('Blocks', () => {
  it('reads back what was written of an answer', () => {
    const { cache, store } = newCache();
    const message = new Uint8Array(501).fill(7);
    message.set(packet('a.test.'));
    message[3] = 0x83;
    const questionEnd = packet('a.test.').length;
    const ttlOffsets = Uint16Array.from([30, 400, 65_000]);
    const answer = {
      ...stored(message, 9, 1),
      messageBytes: 501,
      questionEnd,
      ttlOffsets,
      records: 3,
      lifetimeMs: 1e12,
    };
    const ref = cache.keep(store, answer, 1234.5);
    const { blocks } = cache;
    assert.deepEqual(
      [blocks.storedAtMs(ref), blocks.expiresAtMs(ref), blocks.recheckAtMs(ref), blocks.lifetimeMs(ref)],
      [1234.5, 1e12 + 1234.5, 0, 2 ** 31 - 1],
    );
    assert.deepEqual(
      [blocks.kind(ref), blocks.rcode(ref), blocks.zoneId(ref), blocks.messageBytes(ref), blocks.records(ref)],
      [kindDenial, 3, 9, 501, 3],
    );
    const first = blocks.ttlOffsets(ref);
    assert.deepEqual(blocks.halves.slice(first, first + 3), ttlOffsets, 'behind a message of odd length');
    cache.refreshFailed(ref, 5000);
    assert.equal(blocks.recheckAtMs(ref), 5000);
  });

  it('counts hits in a row, up to the longest gap, which may seem longer by a sixteenth', () => {
    const { cache, store } = newCache();
    const ref = cache.keep(store, stored(packet('a.test.')), 0);
    const hits = (...times: number[]) => times.map((nowMs) => cache.blocks.touch(ref, nowMs, 1_000));
    assert.deepEqual(hits(100, 200, 1_200, 2_201, 2_201), [1, 2, 3, 1, 2]);
    assert.deepEqual(hits(2_263, 3_201, 4_202), [3, 4, 1], 'the hit at 2,263 is not noted');
    assert.deepEqual(hits(4_264, 5_203), [2, 1]);
  });

  it('writes nothing for a hit that changes nothing, since each write takes the line from all other workers', () => {
    const { cache, store } = newCache();
    const ref = cache.keep(store, stored(packet('a.test.')), 0);
    const header = () => [...cache.blocks.bytes.subarray(ref, ref + blockHeaderBytes)];
    for (const nowMs of [1_000, 1_001]) assert.ok(cache.blocks.touch(ref, nowMs, 60_000, 2) <= 2);
    const before = header();
    for (const nowMs of [1_002, 1_100, 3_000]) assert.equal(cache.blocks.touch(ref, nowMs, 60_000, 2), 2);
    assert.deepEqual(header(), before, 'enough hits, and the last one not long ago');
    assert.equal(cache.blocks.touch(ref, 6_000, 60_000, 2), 2);
    assert.notDeepEqual(header(), before);
    const counted = header();
    for (const nowMs of [9_000, 99_000]) assert.equal(cache.blocks.touch(ref, nowMs, 60_000, 0), 0);
    assert.deepEqual(header(), counted, 'nothing is counted without prefetch');
  });

  it('has memory for the chains and the whole cache', () => {
    for (const bytes of [cacheBytesLeast, cacheBytesMax]) {
      assert.equal(cacheMemory(bytes).byteLength, firstBlockByte + bytes);
      assert.ok(chainsFor(bytes) * 4 <= firstBlockByte, 'the chains end before the first block');
    }
    assert.deepEqual([chainsFor(cacheBytesLeast), chainsFor(cacheBytesLeast + 1)], [131_072, 262_144]);
    assert.throws(() => new Blocks(new SharedArrayBuffer(firstBlockByte - 8), tableKey), /broken invariant/);
    assert.throws(() => new Blocks(new SharedArrayBuffer(firstBlockByte + cacheBytesMax + 8), tableKey), /invariant/);
  });

  it('puts the marks, which every worker writes, into cache lines that only their block has', () => {
    // glibc's malloc returns memory of this size 16 bytes after the beginning of a page.
    const addressOf = (ref: number) => 16 + ref;
    const line = 64;
    for (const size of sizesBytes) {
      for (let index = 0; index < 8; index++) {
        const block = addressOf(firstBlockByte + index * size);
        const from = Math.floor((block + atLastHit) / line) * line;
        const to = Math.ceil((block + atTouched + 4) / line) * line;
        assert.ok(from >= block && to <= block + size, `block ${index} of ${size} bytes`);
      }
    }
  });
});
