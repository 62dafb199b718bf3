/**
 * A client fills the cache with names that it has built to fall on one place, so that finding any of them means walking
 * past all others. What a look-up costs is counted in blocks walked, not in time.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type BlockRef, Blocks, cacheMemory, kindDenial } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { hashQuestion } from '../../src/dns/hash.js';
import { lower } from '../../src/dns/wire.js';
import { chainEntriesMax, headerBytes } from '../../src/limits.js';
import { hashKey } from '../dns/hash-key.js';
import { collidingNames, questionFor } from './colliding-fixture.js';

const names = 6_000;
const zoneId = 1;

/** A public hash in which a seed's low byte alone decides which names fall together. */
function fnv(question: Uint8Array, seed: number): number {
  let hash = seed;
  for (const byte of question) hash = Math.imul(hash ^ lower[byte], 0x01000193);
  return hash;
}

/** The cache's own hash with one of these keys. */
const keyed = (question: Uint8Array, number: number) =>
  hashQuestion(question, 0, question.length, keys[number], zoneId << 2);
const keys = [0, 1, 2, 3].map(hashKey);
/** The key of the cache under attack, and the value with which each of its hashes begins. */
const ours = 1;
const begin = keys[ours][keys[ours].length - 1] ^ (zoneId << 2);

/** Keeps an answer without records for each of the names. */
function attacked(all: readonly string[]) {
  let crowded = 0;
  const cache = new Cache(new Blocks(cacheMemory(), keys[ours]), undefined, undefined, { crowded: () => crowded++ });
  const store = cache.newStore({ successEntriesMax: 1, denialEntriesMax: 10_000 });
  const refs = all.map((name) => cache.keep(store, answerTo(questionFor(name)), 0));
  return { cache, store, refs, crowded: () => crowded };
}

function answerTo(question: Uint8Array, key = 0) {
  const message = Uint8Array.from([...new Uint8Array(headerBytes), ...question]);
  const { length } = message;
  const facts = { messageBytes: length, questionEnd: length, ttlOffsets: new Uint16Array(0), records: 0 };
  return { message, ...facts, kind: kindDenial, zoneId, key, lifetimeMs: 1_000 } as const;
}

function find({ blocks }: Cache, question: Uint8Array): BlockRef {
  const packet = Uint8Array.from([...new Uint8Array(headerBytes), ...question]);
  return blocks.find(packet, packet.length, zoneId, 0);
}

const longest = (blocks: Blocks, refs: readonly BlockRef[]) =>
  Math.max(...refs.filter((ref) => ref !== 0).map((ref) => blocks.chainBlocks(ref)));

/** With 6,000 blocks in 131,072 chains, chance gives one chain of five in 5,000 caches. */
const byChance = 4;

describe('names that are built to collide', () => {
  const attacks: Record<string, (question: Uint8Array) => number> = {
    'in FNV-1a, its seed guessed right as far as it matters': (question) => fnv(question, begin & 0xff),
    'in our hash with another key': (question) => keyed(question, 2),
    'in our hash with a third key': (question) => keyed(question, 3),
    'in what everybody knows of our hash': (question) => {
      const key = keys[ours].map((_, index) => index);
      return hashQuestion(question, 0, question.length, key, 0);
    },
  };
  for (const [what, hash] of Object.entries(attacks)) {
    it(`${what}: are found in as few steps as any others`, () => {
      const all = collidingNames(names, 'a.test.', hash);
      assert.equal(new Set(all.map((name) => hash(questionFor(name)))).size, 1, 'there they do collide');
      const { cache, refs, crowded } = attacked(all);
      assert.equal(crowded(), 0);
      assert.ok(longest(cache.blocks, refs) <= byChance, `a chain of ${longest(cache.blocks, refs)} blocks`);
    });
  }

  it('one name asked with all types and classes: the same', () => {
    const { cache, store } = attacked([]);
    const name = [...questionFor('a.test.').slice(0, -4)];
    const refs = Array.from({ length: names }, (_, type) =>
      cache.keep(store, answerTo(Uint8Array.from([...name, type & 0xff, type >> 8, 0x41 | (type & 0x20), 1])), 0),
    );
    assert.ok(longest(cache.blocks, refs) <= byChance);
  });

  it('with the key in hand: 32 of them are kept, the others are given and counted, and nobody else is hindered', () => {
    const all = collidingNames(names, 'a.test.', (question) => keyed(question, ours));
    const { cache, store, refs, crowded } = attacked(all);
    assert.deepEqual([refs.filter((ref) => ref !== 0).length, crowded()], [chainEntriesMax, names - chainEntriesMax]);
    assert.equal(longest(cache.blocks, refs), chainEntriesMax);
    const used = cache.usedBytes;
    const again = cache.keep(store, answerTo(questionFor(all[3])), 1);
    assert.notEqual(again, 0, 'a newer answer takes the place of an older one');
    assert.deepEqual([cache.usedBytes, longest(cache.blocks, [again])], [used, chainEntriesMax]);
    assert.notEqual(cache.keep(store, answerTo(questionFor('other.test.')), 1), 0);
    assert.notEqual(find(cache, questionFor('other.test.')), 0);
    cache.end(find(cache, questionFor(all[3])));
    assert.notEqual(cache.keep(store, answerTo(questionFor(all[100])), 1), 0, 'there is a place again');
  });
});
