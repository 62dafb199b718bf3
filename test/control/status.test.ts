import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { type StatusParts, statusItem, statusText } from '../../src/control/status.js';
import { fixture, loadOptions } from '../resolve/context-fixture.js';

const corefile = `cluster.local in-addr.arpa ip6.arpa other.test {
    cache
    aaaa nodata
    forward . 10.96.0.10
}
`;

function partsOf(change: Partial<StatusParts> = {}): StatusParts {
  const { cache, store, listener } = fixture(corefile);
  const config = parseConfig(corefile, 'Corefile', loadOptions);
  const state = { to: '10.96.0.10:53', from: '.', isTls: true, isFailing: true, isDown: false, isLooping: false };
  const states = () => [{ ...state, open: 3, suspects: 1, averageMs: 1_200, heardAgoMs: 5 }];
  return {
    listeners: [listener],
    blocks: [{ config: config.blocks[0], store, forwards: { states } }],
    cached: cache.blocks,
    ...{ nowMs: 0, version: '1.2.3', pid: 7, wallMs: 100_000, startedAtMs: 0, role: 'serving', standBys: 2 },
    ...{ config, inForceSinceMs: 40_000, lastReload: null, missing: ['upstream'], cacheUsedBytes: 4_096 },
    ...{ cacheBytesMax: 2 ** 26, residentBytes: 2 ** 26, heapUsedBytes: 2 ** 24, memoryLimitBytes: 2 ** 29 },
    ...{ tcpClients: 1, waitingClients: 0, kernelLane: null },
    ...change,
  };
}

test('the status has everything, as a value and as text', () => {
  const item = statusItem(partsOf());
  assert.deepEqual([item.upSeconds, item.startedAt, item.isReady], [100, '1970-01-01T00:00:00.000Z', false]);
  assert.deepEqual(item.memory, { residentBytes: 2 ** 26, heapUsedBytes: 2 ** 24, limitBytes: 2 ** 29 });
  assert.equal(item.blocks[0].cache?.success.entriesMax, 100);
  const text = statusText(item, { isColored: false });
  assert.match(
    text,
    /^zerohop 1\.2\.3 serves, pid 7, up 1 min 40 s\n {2}stand-bys +2\n {2}ready +no, waits for upstream\n/,
  );
  assert.match(text, /memory +64 MiB of 512 MiB, of it 16 MiB heap\n {2}kernel lane +off \(-kernellane\)\n/);
  assert.match(text, /failing +1\.2 s +3 connections \(TLS\), 1 suspect +for cluster\.local\. and 3 more$/);
});

test('the kernel lane is off with its reason, or on with its numbers', () => {
  const lane = {
    isOn: true,
    why: '',
    answers: 1_234,
    stale: 0,
    denied: 0,
    passed: {},
    refreshes: 0,
    refreshesDenied: 0,
    entries: 5,
    links: 1,
    linksRefused: 0,
  };
  const row = (kernelLane: StatusParts['kernelLane']) =>
    /kernel lane +(.*)/.exec(statusText(statusItem(partsOf({ kernelLane })), { isColored: false }))?.[1];
  assert.equal(row(lane), 'on: 1,234 answers given, 5 entries at 1 interface');
  assert.equal(row({ ...lane, isOn: false, why: 'no folder' }), 'off: no folder');
});

test('other roles, reloads and a server without upstreams are said as well', () => {
  const text = (change: Partial<StatusParts>) => statusText(statusItem(partsOf(change)), { isColored: false });
  assert.match(text({ role: 'standing by' }), /^zerohop 1\.2\.3 stands by,/);
  assert.match(
    text({ lastReload: { atMs: 90_000, result: 'unchanged', error: null } }),
    /reload +10 s ago: unchanged\n/,
  );
  const evil = { atMs: 0, result: 'refused', error: 'Corefile:1: \x1b]0;x\x07' } as const;
  assert.ok(!text({ lastReload: evil }).includes('\x1b'));
  const [block] = partsOf().blocks;
  const lonely = [{ ...block, forwards: { states: () => [] } }];
  assert.match(text({ blocks: lonely }), /Upstreams\n {2}none is known for cluster\.local\. in-addr\.arpa\. [^\n]*$/);
  assert.match(text({ missing: [], standBys: 0 }), /stand-bys +none\n {2}ready +yes\n/);
});
