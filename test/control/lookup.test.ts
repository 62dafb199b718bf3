import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyCheckingDisabled, keyDnssecOk } from '../../src/cache/blocks.js';
import { parseConfig } from '../../src/config/load.js';
import { foldedLine, labelledRows, lookupItem, lookupText, readLookup } from '../../src/control/lookup.js';
import type { ControlError } from '../../src/control/protocol.js';
import { blockItem, upstreamItem } from '../../src/control/serving.js';
import { answerFor } from '../cache/answers.js';
import { fixture, loadOptions } from '../resolve/context-fixture.js';

const corefile = `. {
    cache 100
    hosts {
        192.0.2.9 own.test
        fallthrough
    }
    forward . 192.0.2.1 192.0.2.2
}
`;
const plain = { isColored: false };
const up = { to: '192.0.2.1:53', from: '.', isTls: false, isDown: false, isFailing: false, isLooping: false };
const state = { ...up, open: 2, suspects: 0, averageMs: 0.42, heardAgoMs: 10 };

function newLookup() {
  const { cache, store, listener, zone } = fixture(corefile);
  const [config] = parseConfig(corefile, 'Corefile', loadOptions).blocks;
  const states = () => [state, { ...state, to: '192.0.2.2:53', isDown: true }];
  const parts = {
    listeners: [listener, { ...listener, server: 'dns://192.0.2.10:53' }],
    blocks: [{ config, store, forwards: { states } }],
    cached: cache.blocks,
    wallMs: Date.UTC(2026, 0, 1),
    sourceOf: (ref: number) => cache.sourceOf(ref),
    isInKernel: (ref: number) => cache.blocks.key(ref) === 0,
  };
  const lookUp = (nowMs: number, type = 'A') =>
    lookupItem({ ...parts, nowMs }, readLookup({ name: 'www.example.test.', type }));
  return { cache, store, lookUp, zoneId: zone('.').zoneId };
}

test('every variant is shown, with what can be known of it', () => {
  const { cache, store, lookUp, zoneId } = newLookup();
  for (const key of [0, keyDnssecOk, keyDnssecOk | keyCheckingDisabled]) {
    cache.keep(store, answerFor('www.example.test', { zoneId, key, lifetimeMs: 60_000 }), 0);
  }
  const { homes } = lookUp(15_500);
  assert.equal(homes.length, 1, 'both listeners share the answers');
  const [home] = homes;
  assert.deepEqual([home.listeners.length, home.plugins, home.isCached], [2, ['may answer it'], true]);
  assert.deepEqual(
    home.entries.map(({ dnssecOk, checkingDisabled, isInKernel }) => [dnssecOk, checkingDisabled, isInKernel]),
    [
      [false, false, true],
      [true, false, false],
      [true, true, false],
    ],
  );
  const [entry] = home.entries;
  assert.deepEqual([entry.from, entry.hits, entry.storedAt], [null, null, '2025-12-31T23:59:44.500Z']);
  assert.deepEqual([entry.ttlSeconds, entry.records[0].ttlSeconds], [45, 45]);
  const text = lookupText(lookUp(15_500), plain);
  assert.match(text, /upstream +192\.0\.2\.1:53 \(up, 0\.4 ms\), 192\.0\.2\.2:53 \(down, 0\.4 ms\)/);
  assert.match(text, /cached for queries with DO and CD: NOERROR, 45 s left of 1 min\n/);
  assert.match(text, /not asked for since, given by the kernel too\n {4}www\.example\.test\. +45 +A +192\.0\.2\.1\n/);
});

test('long data is folded, and a lot of records are cut', () => {
  const { cache, store, lookUp, zoneId } = newLookup();
  cache.keep(store, answerFor('www.example.test', { zoneId, records: 120 }), 0);
  const [entry] = lookUp(1).homes[0].entries;
  assert.deepEqual([entry.records.length, entry.moreRecords], [100, 20]);
  assert.match(lookupText(lookUp(1), plain), /\n {4}and 20 more records$/);
  const lines = foldedLine(`    ${'x'.repeat(200)}`, 6);
  assert.ok(lines.length === 3 && lines.every((line) => line.length <= 80) && lines[1].startsWith('      x'));
  assert.equal(
    labelledRows([
      ['a', 'one'],
      ['long', 'two'],
    ]),
    '  a     one\n  long  two',
  );
});

test('the answer of -ask stands at the end, and steers no terminal', () => {
  const { lookUp } = newLookup();
  const record = { section: 'answer', name: 'a\x1b[2J.', ttlSeconds: 3, type: 'TXT', data: '"\x9b"' } as const;
  const asked = { ok: true, server: '192.0.2.10:53', transport: 'tcp', rcode: 'NOERROR', tookMs: 12 } as const;
  const text = lookupText({ ...lookUp(0), asked: { ...asked, records: [record] } }, plain);
  assert.ok(
    text.endsWith('  asked 192.0.2.10:53 over TCP: NOERROR after 12 ms\n    a\\u{1b}[2J.  3  TXT  "\\u{9b}"'),
    text,
  );
  const failed = lookupText({ ...lookUp(0), asked: { ok: false, sentence: 'nothing came.' } }, plain);
  assert.match(failed, /\n {2}asked: nothing came\.$/);
});

test('blocks and upstreams have the same words in every command', () => {
  const [config] = parseConfig(corefile.replace('. {', 'a.test b.test:5353 {'), 'Corefile', loadOptions).blocks;
  assert.deepEqual(blockItem(config).zones, ['a.test.:53', 'b.test.:5353']);
  assert.equal(blockItem({ ...config, at: { file: '(built-in)', line: 0 } }).at, '(built-in)');
  const word = (change: Partial<typeof state>) => upstreamItem({ ...state, ...change }, config).state;
  assert.deepEqual(
    [
      word({}),
      word({ isDown: true }),
      word({ isFailing: true }),
      word({ isLooping: true }),
      word({ heardAgoMs: null as never }),
    ],
    ['up', 'down', 'failing', 'looping', 'not asked yet'],
  );
  assert.deepEqual(upstreamItem({ ...state, from: 'a.test.' }, config).zones, ['a.test.']);
});

test('what is no question is refused', () => {
  for (const given of [{}, { name: 'a' }, { name: 'a', type: 'x' }, { name: 'a..', type: 'A' }]) {
    assert.throws(
      () => readLookup(given),
      (error: ControlError) => error.kind === 'usage',
    );
  }
});

test('an answer is from the upstream that sent it, where several may have', () => {
  const { cache, store, lookUp, zoneId } = newLookup();
  const ref = cache.keep(store, answerFor('www.example.test', { zoneId }), 0);
  const from = (): unknown => lookUp(1).homes[0].entries[0].from;
  assert.equal(from(), null);
  cache.cameFrom(ref, '192.0.2.2:53');
  assert.equal(from(), '192.0.2.2:53');
  cache.keep(store, answerFor('www.example.test', { zoneId }), 1);
  assert.equal(from(), null, 'nobody knows of another answer in the same memory');
});
