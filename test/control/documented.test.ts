/** docs/COMMANDS.md names every field of the JSON that commands print, in the section of the command. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { explainItems } from '../../src/control/explain.js';
import { flushItem, readFlushRequest } from '../../src/control/flush.js';
import { lookupItem, readLookup } from '../../src/control/lookup.js';
import { statusItem } from '../../src/control/status.js';
import { answerFor } from '../cache/answers.js';
import { page } from '../docs/pages.js';
import { fixture, loadOptions } from '../resolve/context-fixture.js';

const corefile = '. {\n    cache 30\n    forward . 192.0.2.1\n}\n';
const { cache, store, listener, zone } = fixture(corefile);
cache.keep(store, answerFor('a.test', { zoneId: zone('.').zoneId }), 0);
const config = parseConfig(corefile, 'Corefile', loadOptions);
const state = { to: '192.0.2.1:53', from: '.', isTls: false, isDown: false, isFailing: false, isLooping: false };
const states = () => [{ ...state, open: 1, suspects: 0, averageMs: 1, heardAgoMs: 1 }];
const serving = {
  listeners: [listener],
  blocks: [{ config: config.blocks[0], store, forwards: { states } }],
  cached: cache.blocks,
  ...{ nowMs: 1, wallMs: 1, isInKernel: () => false },
};
const lane = {
  isOn: true,
  why: '',
  answers: 1,
  stale: 0,
  denied: 0,
  passed: {},
  refreshes: 0,
  refreshesDenied: 0,
  entries: 1,
  links: 1,
  linksRefused: 0,
};
const asked = { ok: true, server: '', transport: 'udp', rcode: '', tookMs: 1, records: [] };

const items = {
  status: statusItem({
    ...serving,
    ...{ version: '1', pid: 1, startedAtMs: 0, role: 'serving', standBys: 0, config, inForceSinceMs: 0, missing: [] },
    lastReload: { atMs: 0, result: 'refused', error: 'x' },
    ...{ cacheUsedBytes: 0, cacheBytesMax: 0, residentBytes: 0, heapUsedBytes: 0, memoryLimitBytes: 0 },
    ...{ tcpClients: 0, waitingClients: 0, kernelLane: lane },
  }),
  lookup: { ...lookupItem({ ...serving, sourceOf: () => null }, readLookup({ name: 'a.test.', type: 'A' })), asked },
  explain: explainItems(serving, { name: 'a', search: ['test.'], ndots: 1 })[0],
  flush: [
    flushItem(readFlushRequest({ name: 'a' }), { entries: 0, kernelEntries: 0 }),
    flushItem(readFlushRequest({ zone: 'a' }), { entries: 0, kernelEntries: 0 }),
  ],
};

function fieldsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(fieldsOf);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, field]) => [name, ...fieldsOf(field)]);
}

for (const [command, item] of Object.entries(items)) {
  test(`${command}: every field is documented`, () => {
    const [, section] = page('docs/COMMANDS.md').split(`\n## ${command}\n`);
    // A server block and an upstream are described with `status`.
    const shared = command === 'lookup' ? page('docs/COMMANDS.md').split('\n## status\n')[1].split('\n## ')[0] : '';
    const text = section.split('\n## ')[0] + shared;
    const fields = new Set(fieldsOf(item));
    assert.ok(fields.size > 3);
    assert.deepEqual(
      [...fields].filter((name) => !new RegExp(`[\`.]${name}\\b`).test(text)),
      [],
    );
  });
}
