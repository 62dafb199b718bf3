import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Blocks, cacheMemory } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { wireToName } from '../../src/dns/names.js';
import { entriesChunkBytes, handoverFrameBytesMax } from '../../src/limits.js';
import { endingOf, entriesFormat, writeEntries } from '../../src/takeover/entries.js';
import { answerFor } from '../cache/answers.js';
import { hashKey } from '../dns/hash-key.js';
import { type Entry, readEntries } from './read-entries.js';

function newSource() {
  const blocks = new Blocks(cacheMemory(), hashKey());
  const cache = new Cache(blocks);
  const store = cache.newStore({ successEntriesMax: 10_000, denialEntriesMax: 10 });
  const zoneName = (zoneId: number): string | null => (zoneId === 9 ? null : `zone ${zoneId}`);
  const source = { blocks, holds: (ref: number) => cache.holds(ref), zoneName };
  return { cache, store, source };
}

function readAll(chunks: Iterable<Uint8Array>): Entry[] {
  const entries: Entry[] = [];
  for (const chunk of chunks) {
    assert.ok(chunk.length < handoverFrameBytesMax);
    assert.ok(readEntries(chunk, (entry) => void entries.push(entry)));
  }
  return entries;
}

describe('entries', () => {
  test('come out as they are kept, in their order, over as many chunks as it takes', () => {
    const { cache, store, source } = newSource();
    const names = Array.from({ length: 2_000 }, (_, index) => `n${index}.a.test`);
    for (const [index, name] of names.entries()) {
      cache.keep(store, answerFor(name, { zoneId: index % 3, key: index % 4 }), 1_000.25 + index);
    }
    const chunks = [...writeEntries(source, cache.refs())];
    assert.ok(chunks.length >= 2);
    assert.ok(chunks[0].length >= entriesChunkBytes);
    const entries = readAll(chunks);
    assert.equal(entries.length, names.length);
    for (const [index, entry] of entries.entries()) {
      const { message, messageBytes } = answerFor(names[index]);
      assert.deepEqual([entry.zone, entry.key, entry.storedAtMs], [`zone ${index % 3}`, index % 4, 1_000.25 + index]);
      assert.deepEqual(entry.message, message.slice(0, messageBytes));
    }
  });

  test('what stays is written though others come and go between the chunks, and what has gone is not', () => {
    const step = fc.record({ gone: fc.nat(599), more: fc.nat(40) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), (steps) => {
        const { cache, store, source } = newSource();
        const names = Array.from({ length: 600 }, (_, index) => `n${index}.a.test`);
        const refs = names.map((name, index) => cache.keep(store, answerFor(name), index));
        const chunks: Uint8Array[] = [];
        const gone = new Set<string>();
        let late = 0;
        for (const chunk of writeEntries(source, cache.refs())) {
          chunks.push(chunk);
          const next = steps.shift();
          if (next === undefined) continue;
          store.success.delete(refs[next.gone]);
          gone.add(names[next.gone]);
          // They get the memory of those that are gone.
          for (let count = next.more; count > 0; count--) cache.keep(store, answerFor(`late${late++}.test`), 700);
        }
        const written = readAll(chunks).map(({ message }) => wireToName(message, 12).slice(0, -1));
        assert.equal(new Set(written).size, written.length);
        for (const name of names) assert.ok(gone.has(name) || written.includes(name), name);
      }),
      { numRuns: 30 },
    );
  });

  test('a long answer is as good as a short one, also as the last of a chunk', () => {
    const { cache, store, source } = newSource();
    const sizes = [1, 990, 2, 3_000, 1];
    for (const [index, records] of sizes.entries()) cache.keep(store, answerFor(`n${index}.test`, { records }), index);
    const entries = readAll(writeEntries(source, cache.refs()));
    assert.deepEqual(
      entries.map(({ message }) => message.length),
      sizes.map((records, index) => answerFor(`n${index}.test`, { records }).messageBytes),
    );
  });

  test('endings are answers without records', () => {
    const { cache, store, source } = newSource();
    const ref = cache.keep(store, answerFor('a.test', { zoneId: 2, key: 3 }), 1);
    const ending = endingOf(source.blocks, ref, 7.5);
    store.success.delete(ref);
    const [entry] = readAll(writeEntries(source, [[ref, ending], [], [{ ...ending, zoneId: 9 }]]));
    assert.deepEqual([entry.zone, entry.key, entry.storedAtMs], ['zone 2', 3, 7.5]);
    const header = Buffer.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual(
      Buffer.from(entry.message),
      Buffer.concat([header, Buffer.from('\x01a\x04test\0\0\x01\0\x01', 'latin1')]),
    );
  });

  test('what has gone in the meantime, and zones that are served no more, are left out', () => {
    const { cache, store, source } = newSource();
    cache.keep(store, answerFor('a.test'), 1);
    cache.keep(store, answerFor('b.test', { zoneId: 9 }), 1);
    cache.keep(store, answerFor('c.test'), 1);
    const refs = [...cache.refs()];
    store.success.delete(refs[0][2]);
    let wrote = 0;
    assert.equal(readAll(writeEntries({ ...source, wrote: () => void wrote++ }, refs)).length, 1);
    assert.equal(wrote, 1);
    assert.deepEqual([...writeEntries(source, [])], []);
  });

  test('a chunk that is cut, changed or of another form is noticed or read as other entries, and never throws', () => {
    const { cache, store, source } = newSource();
    for (let index = 0; index < 20; index++) cache.keep(store, answerFor(`n${index}.test`), index);
    const [chunk] = [...writeEntries(source, cache.refs())];
    for (let end = 0; end < chunk.length; end++) {
      let seen = 0;
      const isWhole = readEntries(chunk.subarray(0, end), () => seen++);
      assert.ok(!isWhole || seen < 20);
    }
    const other = Uint8Array.from(chunk);
    other[0] = entriesFormat + 1;
    assert.equal(
      readEntries(other, () => assert.fail('nothing is read')),
      false,
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(chunk.length - 1), fc.nat(255)), { maxLength: 20, size: 'max' }),
        (changes) => {
          const changed = Uint8Array.from(chunk);
          for (const [at, value] of changes) changed[at] = value;
          readEntries(changed, ({ message }) => assert.ok(message.length >= 12));
        },
      ),
    );
  });
});
