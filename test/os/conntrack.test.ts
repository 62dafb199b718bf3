import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { conntrackNumbers } from '../../src/os/conntrack.js';

const stat = `entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error
00000100  00000000 00000000 00000000 00000002 00000000 00000000 00000000 00000000 0000000a 00000001 00000000 00000000
00000100  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000010 00000002 000000ff 00000000
`;
const files: Readonly<Record<string, string>> = {
  '/proc/sys/net/netfilter/nf_conntrack_count': '256\n',
  '/proc/sys/net/netfilter/nf_conntrack_max': '262144\n',
  '/proc/net/stat/nf_conntrack': stat,
};

test('the table of connections is what the kernel says, summed over its processors', () => {
  assert.deepEqual(
    conntrackNumbers((path) => files[path]),
    { entries: 256, entriesMax: 262_144, insertFailed: 26, drop: 3, earlyDrop: 255 },
  );
});

test('what the kernel does not say is not known', () => {
  assert.equal(
    conntrackNumbers(() => undefined),
    null,
  );
  const without = (missing: string, text?: string) =>
    conntrackNumbers((path) => (path.endsWith(missing) ? text : files[path]));
  assert.equal(without('_count'), null);
  assert.equal(without('_max', 'many\n'), null);
  const unknown = { entries: 256, entriesMax: 262_144, insertFailed: null, drop: null, earlyDrop: null };
  assert.deepEqual(without('stat/nf_conntrack'), unknown);
  assert.deepEqual(without('stat/nf_conntrack', ''), unknown);
  const cut = without('stat/nf_conntrack', stat.slice(0, 200));
  assert.equal(cut?.drop, 0);
});

test('here it can be read, or there is none', () => {
  const read = (path: string): string | undefined => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return undefined;
    }
  };
  const numbers = conntrackNumbers(read);
  assert.ok(numbers === null || (numbers.entries >= 0 && numbers.entriesMax >= 0));
});
