import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Blocks, cacheMemory } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { flushItem, flushText, isFlushed, isFlushedEntry, readFlushRequest } from '../../src/control/flush.js';
import type { ControlError } from '../../src/control/protocol.js';
import { nameToWire } from '../../src/dns/names.js';
import { answerFor } from '../cache/answers.js';
import { hashKey } from '../dns/hash-key.js';

test('a name is itself, a zone all at and below it', () => {
  const meant = (given: Parameters<typeof readFlushRequest>[0], ...names: string[]): boolean[] =>
    names.map((name) => isFlushed(readFlushRequest(given))(Buffer.from([7, ...nameToWire(name)]), 1));
  const names = ['www.example.', 'a.www.example.', 'awww.example.', 'example.', 'www.example.org.', '.'];
  assert.deepEqual(meant({ name: 'WWW.example' }, ...names), [true, false, false, false, false, false]);
  assert.deepEqual(meant({ zone: 'www.example.' }, ...names), [true, true, false, false, false, false]);
  assert.deepEqual(meant({ zone: '.' }, ...names), [true, true, true, true, true, true]);
  assert.deepEqual(meant({ name: '.' }, ...names), [false, false, false, false, false, true]);
});

test('an entry is meant by its name, whatever its type', () => {
  const cache = new Cache(new Blocks(cacheMemory(), hashKey()));
  const store = cache.newStore({ successEntriesMax: 10, denialEntriesMax: 10 });
  const ref = cache.keep(store, answerFor('a.test'), 0);
  assert.equal(isFlushedEntry(readFlushRequest({ name: 'a.test' }), cache.blocks)(ref), true);
  assert.equal(isFlushedEntry(readFlushRequest({ name: 'b.test' }), cache.blocks)(ref), false);
});

test('what went is said in one line', () => {
  const wanted = readFlushRequest({ name: 'a.test.' });
  const item = flushItem(wanted, { entries: 1, kernelEntries: 2 });
  assert.deepEqual(item, { name: 'a.test.', entries: 1, kernelEntries: 2 });
  const inKernel = ', and 2 answers of an earlier process in the kernel';
  assert.equal(flushText(item), `dropped 1 cached answer of a.test.${inKernel}`);
  const none = flushItem(readFlushRequest({ zone: 'x\x1b.' }), { entries: 0, kernelEntries: 0 });
  assert.equal(flushText(none), 'dropped 0 cached answers at and below x\\u{1b}.');
});

test('what is neither name nor zone is refused', () => {
  for (const given of [{}, { name: '' }, { name: 7 }, { zone: 'a..b' }]) {
    assert.throws(
      () => readFlushRequest(given),
      (error: ControlError) => error.kind === 'usage',
    );
  }
});
