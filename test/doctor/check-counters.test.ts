/** Counters of the kernel by two readings: a rise is a finding, what rose long ago is history. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countersCheck } from '../../src/doctor/check-counters.js';
import { doctorCountersApartMs } from '../../src/limits.js';
import { type LookedAt, lookingAt, type SeenNode, verdicts } from './outsides.js';

interface Counts {
  readonly insertFailed?: number;
  readonly drop?: number;
  readonly entries?: number;
  readonly softnet?: number;
  readonly queue?: number;
}

function filesOf({
  insertFailed = 0,
  drop = 0,
  entries = 1_000,
  softnet = 0,
  queue = 0,
}: Counts): Record<string, string> {
  const hex = (value: number): string => value.toString(16).padStart(8, '0');
  return {
    '/proc/net/stat/nf_conntrack': `entries insert_failed drop early_drop\n${hex(entries)} ${hex(insertFailed)} ${hex(drop)} 00000000\n`,
    '/proc/sys/net/netfilter/nf_conntrack_count': `${entries}\n`,
    '/proc/sys/net/netfilter/nf_conntrack_max': '262144\n',
    '/proc/net/softnet_stat': `0311a6a4 ${hex(softnet)} 00000000\n`,
    '/proc/net/udp': `  sl\n 1: 0A14FEA9:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 152 2 0 ${queue}\n`,
    '/proc/net/snmp': 'Udp: InDatagrams RcvbufErrors\nUdp: 5 1\n',
  };
}

/** The first reading sees `before`, the second one `after`. */
function between(before: Counts, after: Counts, seen: SeenNode = {}): LookedAt {
  const files = filesOf(before);
  const outsides = lookingAt({ ...seen, files });
  outsides.clock.after(doctorCountersApartMs - 1, () => Object.assign(files, filesOf(after)));
  return outsides;
}

const well = { 'conntrack-full': 'ok', 'insert-failed': 'ok', 'queue-full': 'ok', 'softnet-drops': 'ok' };

async function seenBetween(before: Counts, after: Counts) {
  const outsides = between(before, after);
  const findings = await outsides.clock.until(countersCheck.run(outsides));
  return Object.fromEntries(findings.map((finding) => [finding.code, finding]));
}

test('counters that stand still are well, however high', async () => {
  const high = { insertFailed: 9_999, drop: 77, softnet: 12, queue: 8 };
  assert.deepEqual(await verdicts(countersCheck, between(high, high)), well);
  assert.deepEqual(await verdicts(countersCheck, between(high, {})), well, 'and those that begin anew');
});

test('a conntrack table that is nearly full, and one that drops', async () => {
  const nearly = await seenBetween({}, { entries: 250_000 });
  assert.equal(nearly['conntrack-full'].verdict, 'warn');
  const full = (await seenBetween({}, { entries: 261_900, drop: 1_312 }))['conntrack-full'];
  assert.equal(full.verdict, 'fail');
  assert.equal(full.seen, '261,900 of 262,144 conntrack entries are taken; 1,312 flows dropped in 5 s');
  assert.equal(full.command, 'sysctl net.netfilter.nf_conntrack_max=524288');
});

test('insert_failed that rises much, and once in a while', async () => {
  assert.equal((await seenBetween({ insertFailed: 5 }, { insertFailed: 30 }))['insert-failed'].verdict, 'warn');
  assert.equal((await seenBetween({ insertFailed: 5 }, { insertFailed: 7 }))['insert-failed'].verdict, 'ok');
});

test('queries that found our receive queues full, and packets those of their processor', async () => {
  const found = await seenBetween({ queue: 1 }, { queue: 4, softnet: 2 });
  assert.match(found['queue-full'].seen, /^3 queries found the receive queues of zerohop full/);
  assert.deepEqual([found['queue-full'].verdict, found['softnet-drops'].verdict], ['warn', 'warn']);
});

test('without conntrack, without our sockets, and elsewhere, they are skipped', async () => {
  const skipped = Object.fromEntries(Object.keys(well).map((code) => [code, 'skipped']));
  assert.deepEqual(await verdicts(countersCheck, { files: {} }), skipped);
  assert.deepEqual(await verdicts(countersCheck, between({}, {}, { networkNamespace: 'net:[2]' })), skipped);
  const strange = {
    '/proc/net/stat/nf_conntrack': '\0garbage',
    '/proc/sys/net/netfilter/nf_conntrack_max': '0',
    '/proc/sys/net/netfilter/nf_conntrack_count': 'x',
  };
  assert.deepEqual(await verdicts(countersCheck, { files: strange }), { ...skipped, 'insert-failed': 'ok' });
});
