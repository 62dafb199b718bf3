import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import { atMessage, atTouched, Blocks, cacheMemory, kindDenial, touchedForOrder } from '../../src/cache/blocks.js';
import { Cache, type Store } from '../../src/cache/cache.js';
import { entriesSparedMax, slabBytes } from '../../src/limits.js';
import { hashKey } from '../dns/hash-key.js';
import { answerFor, finishNow, queryFor } from './answers.js';

function makeCache(capacity = 100, bytesMax?: number, evicted?: () => void): { cache: Cache; store: Store } {
  const cache = new Cache(new Blocks(cacheMemory(), hashKey(42)), bytesMax, undefined, { evictedForMemory: evicted });
  return { cache, store: cache.newStore({ successEntriesMax: capacity, denialEntriesMax: capacity }) };
}

function find(cache: Cache, name: string, zoneId = 1, key = 0): number {
  const packet = queryFor(name);
  return cache.blocks.find(packet, packet.length, zoneId, key);
}

function dataOf(cache: Cache, ref: number): unknown {
  const { bytes } = cache.blocks;
  const message = Buffer.from(bytes.slice(ref + atMessage, ref + atMessage + cache.blocks.messageBytes(ref)));
  return (packets.decode(message).answers as packets.StringAnswer[])[0].data;
}

describe('Cache', () => {
  it('finds what was kept, whatever the case of the name', () => {
    const { cache, store } = makeCache();
    const ref = cache.keep(store, answerFor('www.example.com'), 1000);
    assert.notEqual(ref, 0);
    assert.equal(find(cache, 'WWW.example.COM'), ref);
    assert.equal(cache.blocks.storedAtMs(ref), 1000);
    assert.equal(cache.blocks.expiresAtMs(ref), 31_000);
    assert.equal(cache.blocks.records(ref), 1);
  });

  it('tells zones, DO and CD apart', () => {
    const { cache, store } = makeCache();
    cache.keep(store, answerFor('a.test', { zoneId: 1, key: 0 }), 0);
    assert.equal(find(cache, 'a.test', 2, 0), 0);
    assert.equal(find(cache, 'a.test', 1, 1), 0);
    assert.equal(find(cache, 'a.test', 1, 2), 0);
    assert.equal(find(cache, 'b.test'), 0);
    assert.equal(find(cache, 'a.tes'), 0);
    assert.equal(find(cache, 'a.testt'), 0);
    assert.notEqual(find(cache, 'a.test'), 0);
  });

  it('replaces the answer to the same question, of whatever kind it is', () => {
    const { cache, store } = makeCache();
    cache.keep(store, answerFor('a.test', { data: '192.0.2.1' }), 0);
    cache.keep(store, answerFor('a.test', { data: '192.0.2.2' }), 0);
    assert.equal(dataOf(cache, find(cache, 'a.test')), '192.0.2.2');
    assert.equal(store.success.size, 1);
    cache.keep(store, answerFor('a.test', { kind: kindDenial }), 0);
    assert.deepEqual([store.success.size, store.denial.size], [0, 1]);
    assert.equal(store.evictedSuccess + store.evictedDenial, 0);
  });

  it('throws out the one unused for longest, and what threads touched is used', () => {
    const { cache, store } = makeCache(3);
    for (const name of ['a.test', 'b.test', 'c.test']) cache.keep(store, answerFor(name), 0);
    cache.blocks.touch(find(cache, 'a.test'), 1, 1000);
    cache.keep(store, answerFor('d.test'), 2);
    assert.deepEqual(
      ['a.test', 'b.test', 'c.test', 'd.test'].map((name) => find(cache, name) !== 0),
      [true, false, true, true],
    );
    assert.equal(store.evictedSuccess, 1);
  });

  it('looks at a few entries only for the one that goes, however many were used', () => {
    const { cache, store } = makeCache(1_000);
    const refs = Array.from({ length: 1_000 }, (_, number) => cache.keep(store, answerFor(`n${number}.test`), 0));
    for (const ref of refs) cache.blocks.touch(ref, 1, 1_000);
    cache.keep(store, answerFor('new.test'), 2);
    const marked = (ref: number) => (cache.blocks.words[(ref + atTouched) >> 2] & touchedForOrder) !== 0;
    assert.deepEqual([refs.filter(marked).length, store.evictedSuccess], [1_000 - entriesSparedMax, 1]);
    assert.equal(find(cache, `n${entriesSparedMax}.test`), 0, 'the oldest that was not looked at goes');
    assert.equal(find(cache, 'n0.test'), refs[0]);
  });

  it('keeps the hot names while many names are asked once, also if nobody asks for the hot ones meanwhile', () => {
    for (const areAskedMeanwhile of [false, true]) {
      const { cache, store } = makeCache(10_000);
      const hot = Array.from({ length: 3_000 }, (_, number) => `hot${number}.test`);
      const askFor = (name: string) => {
        const ref = find(cache, name);
        if (ref !== 0) cache.blocks.touch(ref, 1, 1_000);
      };
      for (const name of hot) cache.keep(store, answerFor(name), 0);
      for (const name of hot) askFor(name);
      for (let number = 0; number < 100_000; number++) {
        cache.keep(store, answerFor(`scan${number}.test`), 2);
        if (areAskedMeanwhile) askFor(hot[number % hot.length]);
      }
      // One in entriesSparedMax goes where hot names alone are at the old end: no eviction looks at more.
      const stay = hot.filter((name) => find(cache, name) !== 0).length;
      assert.ok(stay >= 2_950, `${stay} of 3,000`);
      assert.equal(store.success.size, 10_000);
    }
  });

  it('evicts names that were hot once, when others are', () => {
    const { cache, store } = makeCache(100);
    const round = (prefix: string) => {
      const names = Array.from({ length: 100 }, (_, number) => `${prefix}${number}.test`);
      for (const name of names) {
        cache.keep(store, answerFor(name), 0);
        cache.blocks.touch(find(cache, name), 1, 1_000);
      }
      return names;
    };
    const before = round('before');
    for (const prefix of ['one', 'two', 'three']) round(prefix);
    assert.equal(before.filter((name) => find(cache, name) !== 0).length, 0);
    assert.equal(store.success.size, 100);
  });

  it('evicts nothing else for a newer answer, and keeps what was hit protected through it', () => {
    const { cache, store } = makeCache(10);
    const names = Array.from({ length: 10 }, (_, number) => `n${number}.test`);
    for (const name of names) cache.keep(store, answerFor(name), 0);
    cache.blocks.touch(find(cache, 'n0.test'), 1, 1_000);
    for (const name of names) cache.keep(store, answerFor(name), 1);
    assert.deepEqual([store.success.size, store.evictedSuccess], [10, 0]);
    for (let number = 0; number < 100; number++) cache.keep(store, answerFor(`scan${number}.test`), 2);
    assert.deepEqual(
      names.filter((name) => find(cache, name) !== 0),
      ['n0.test'],
    );
  });

  it('keeps hot names protected in another store, as after a reload', () => {
    const { cache, store } = makeCache(100);
    const hot = Array.from({ length: 30 }, (_, number) => `hot${number}.test`);
    for (const name of hot) cache.keep(store, answerFor(name), 0);
    for (const name of hot) cache.blocks.touch(find(cache, name), 1, 1_000);
    for (let number = 0; number < 200; number++) cache.keep(store, answerFor(`scan${number}.test`), 2);
    const next = cache.newStore({ successEntriesMax: 100, denialEntriesMax: 100 });
    finishNow(cache.move(store, () => next));
    for (let number = 200; number < 1_000; number++) cache.keep(next, answerFor(`scan${number}.test`), 3);
    assert.deepEqual([hot.filter((name) => find(cache, name) !== 0).length, next.success.size], [30, 100]);
  });

  it('counts hits in a row and begins again after a gap', () => {
    const { cache, store } = makeCache();
    const ref = cache.keep(store, answerFor('a.test'), 0);
    assert.equal(cache.blocks.touch(ref, 100, 1000), 1);
    assert.equal(cache.blocks.touch(ref, 600, 1000), 2);
    assert.equal(cache.blocks.touch(ref, 1601, 1000), 1);
  });

  it('keeps within its memory, and gives memory to the sizes that are asked for', () => {
    let evicted = 0;
    const { cache, store } = makeCache(100_000, 4 * slabBytes, () => evicted++);
    for (let index = 0; index < 12_000; index++) cache.keep(store, answerFor(`small-${index}.test`), index);
    const full = cache.usedBytes;
    assert.ok(full <= 4 * slabBytes);
    assert.ok(evicted > 0);
    for (let index = 0; index < 200; index++) {
      const ref = cache.keep(store, answerFor(`large-${index}.test`, { records: 300 }), index);
      assert.notEqual(ref, 0, 'a large answer finds room among small ones');
    }
    assert.ok(cache.usedBytes <= 4 * slabBytes);
    assert.equal(
      store.success.size,
      [...store.success.oldestFirst()].flat().filter((ref) => cache.blocks.bytes[ref + 52] === 1).length,
    );
  });

  it('answers from borrowed memory without anybody finding it', () => {
    const { cache } = makeCache();
    const ref = cache.borrow(answerFor('a.test'), 0);
    assert.equal(dataOf(cache, ref), '192.0.2.1');
    assert.equal(find(cache, 'a.test'), 0);
    cache.release(ref);
    assert.equal(cache.usedBytes, 0);
  });

  it('drops what has ended, and says so while it is still there', () => {
    const told: unknown[] = [];
    const blocks = new Blocks(cacheMemory(), hashKey(42));
    const cache: Cache = new Cache(blocks, undefined, undefined, {
      ended: (ref) => void told.push(dataOf(cache, ref)),
    });
    const stores = [1, 2].map(() => cache.newStore({ successEntriesMax: 9, denialEntriesMax: 9 }));
    cache.keep(stores[0], answerFor('a.test'), 0);
    cache.keep(stores[1], answerFor('b.test'), 0);
    cache.keep(stores[1], answerFor('c.test', { kind: kindDenial }), 0);
    for (const name of ['b.test', 'c.test']) cache.end(find(cache, name));
    assert.deepEqual(
      ['a.test', 'b.test', 'c.test'].map((name) => find(cache, name) !== 0),
      [true, false, false],
    );
    assert.deepEqual([told.length, [...cache.refs()].flat().length], [2, 1]);
    assert.deepEqual([stores[1].evictedSuccess, stores[1].evictedDenial], [0, 0]);
  });

  it('moves entries to the stores of zones that remain; the others stay until they are forgotten', () => {
    const { cache, store } = makeCache();
    cache.keep(store, answerFor('a.test', { zoneId: 1 }), 0);
    cache.keep(store, answerFor('b.test', { zoneId: 2 }), 0);
    cache.keep(store, answerFor('c.test', { zoneId: 1, kind: kindDenial }), 0);
    const next = cache.newStore({ successEntriesMax: 10, denialEntriesMax: 10 });
    finishNow(cache.move(store, (zoneId) => (zoneId === 1 ? next : null)));
    assert.deepEqual([next.success.size, next.denial.size, store.success.size, store.denial.size], [1, 1, 1, 0]);
    assert.notEqual(find(cache, 'b.test', 2), 0);
    finishNow(cache.dissolve(store));
    assert.notEqual(find(cache, 'a.test', 1), 0);
    assert.notEqual(find(cache, 'c.test', 1), 0);
    assert.equal(find(cache, 'b.test', 2), 0);
    assert.deepEqual([next.success.size, next.denial.size, store.success.size, store.denial.size], [1, 1, 0, 0]);
  });

  it('forgets of a store what it is told to, and frees its memory', () => {
    const { cache, store } = makeCache();
    const empty = cache.usedBytes;
    cache.keep(store, answerFor('a.test'), 0);
    cache.keep(store, answerFor('b.test', { kind: kindDenial }), 0);
    cache.keep(store, answerFor('c.test'), 0);
    const [a, b] = [find(cache, 'a.test'), find(cache, 'b.test')];
    finishNow(cache.forget(store, (ref) => ref === a || ref === b));
    assert.deepEqual(
      ['a.test', 'b.test', 'c.test'].map((name) => find(cache, name) !== 0),
      [false, false, true],
    );
    finishNow(cache.forget(store, () => true));
    assert.equal(cache.usedBytes, empty);
  });

  it('forgets some each turn, and looks at nothing that has gone meanwhile', () => {
    const { cache, store } = makeCache(2_000);
    const names = Array.from({ length: 1_000 }, (_, index) => `n${index}.test`);
    for (const name of names) cache.keep(store, answerFor(name), 0);
    const seen = new Set<number>();
    const turns = cache.forget(store, (ref) => seen.add(ref).size % 2 === 0);
    let count = 0;
    for (; turns.next().done !== true; count++) {
      if (count === 2) cache.keep(store, answerFor('late.test'), 0);
    }
    assert.ok(count >= 5, `${count} turns`);
    assert.deepEqual([seen.size, store.success.size], [1_000, 501]);
    const others = cache.forget(store, () => assert.fail('it has gone'));
    others.next();
    finishNow(cache.dissolve(store));
    finishNow(others);
  });

  it('moves a whole store at once to one of the same capacity, with what that one has got meanwhile', () => {
    const { cache, store } = makeCache(2_000);
    const names = Array.from({ length: 1_500 }, (_, index) => `n${index}.test`);
    for (const name of names) cache.keep(store, answerFor(name), 0);
    const next = cache.newStore({ successEntriesMax: 2_000, denialEntriesMax: 10 });
    const sizes = new Set<number>();
    let turns = 0;
    for (const _ of cache.move(store, () => next)) {
      sizes.add(next.success.size);
      if (++turns === 3) cache.keep(next, answerFor('late.test'), 1);
      if (turns === 5) cache.keep(next, answerFor('n7.test', { data: '192.0.2.7' }), 1);
    }
    assert.ok(sizes.size <= 5, `${[...sizes]}`);
    assert.deepEqual([store.success.size, next.success.size, [...cache.refs()].flat().length], [0, 1_501, 1_501]);
    assert.ok([...names, 'late.test'].every((name) => find(cache, name) !== 0));
    assert.equal(dataOf(cache, find(cache, 'n7.test')), '192.0.2.7');
    finishNow(cache.dissolve(next));
    assert.equal(cache.usedBytes, 0);
  });

  it('keeps the youngest when the new store is smaller', () => {
    const { cache, store } = makeCache();
    for (const name of ['a.test', 'b.test', 'c.test']) cache.keep(store, answerFor(name), 0);
    const next = cache.newStore({ successEntriesMax: 2, denialEntriesMax: 2 });
    finishNow(cache.move(store, () => next));
    assert.deepEqual(
      ['a.test', 'b.test', 'c.test'].map((name) => find(cache, name) !== 0),
      [false, true, true],
    );
  });

  it('behaves like a map with a limit', () => {
    const names = fc.constantFrom(...Array.from({ length: 12 }, (_, index) => `n${index}.test`));
    const command = fc.record({ name: names, touch: fc.boolean(), records: fc.integer({ min: 1, max: 60 }) });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 120, size: 'max' }), (commands) => {
        const { cache, store } = makeCache(8, 2 * slabBytes);
        const model = new Map<string, number>();
        commands.forEach(({ name, touch, records }, index) => {
          if (touch) {
            const ref = find(cache, name);
            if (ref !== 0) cache.blocks.touch(ref, index, 1000);
          } else {
            cache.keep(store, answerFor(name, { records, data: `192.0.2.${index % 250}` }), index);
            model.set(name, index % 250);
          }
          assert.ok(store.success.size <= 8);
        });
        let found = 0;
        for (const [name, last] of model) {
          const ref = find(cache, name);
          if (ref === 0) continue;
          found++;
          assert.equal(dataOf(cache, ref), `192.0.2.${last}`, 'never an older answer');
        }
        assert.equal(found, store.success.size);
      }),
      { numRuns: 100 },
    );
  });
});

describe('Cache.move and back', () => {
  it('leaves a store at work as it was, also for what asks the cache and not the store', () => {
    const { cache, store } = makeCache();
    const kept = cache.keep(store, answerFor('a.test'), 0);
    const next = cache.newStore({ successEntriesMax: 10, denialEntriesMax: 10 });
    finishNow(cache.move(store, () => next));
    assert.deepEqual([store.success.size, next.success.size, cache.holds(kept)], [0, 1, true]);
    finishNow(cache.move(next, () => store));
    assert.deepEqual([store.success.size, next.success.size, cache.holds(kept)], [1, 0, true]);
    assert.deepEqual([[...cache.refs()].flat(), find(cache, 'a.test')], [[kept], kept]);
    const later = cache.keep(store, answerFor('b.test'), 0);
    assert.deepEqual([...cache.refs()].flat(), [kept, later]);
  });
});
