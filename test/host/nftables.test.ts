import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newNftables } from '../../src/host/nftables.js';
import type { HostError } from '../../src/host/tools.js';
import { type FakeNode, failed, newFakeNode } from './fake-node.js';
import { newSpokenLog } from './spoken-log.js';

const wish = { addresses: ['169.254.20.10', 'fd00::10'], dnsPort: 53, healthPort: 8080 };
const on = (node: FakeNode, more: Partial<typeof wish> = {}, log = newSpokenLog()) =>
  newNftables(node.run, { ...wish, ...more }, log);
const writes = (node: FakeNode) => node.ran.filter((line) => line === 'nft -f -').length;

test('one transaction makes the table; a second look changes nothing', async () => {
  const node = newFakeNode();
  const writer = on(node);
  assert.equal(await writer.repair(), 7);
  assert.equal(writes(node), 1);
  assert.deepEqual(node.nft!.elements, [
    'to4 { 169.254.20.10 . 53 }',
    'from4 { 169.254.20.10 . 53 }',
    'health4 { 169.254.20.10 . 8080 }',
    'to6 { fd00::10 . 53 }',
    'from6 { fd00::10 . 53 }',
    'health6 { fd00::10 . 8080 }',
  ]);
  assert.deepEqual(
    [...node.nft!.chains].map(([name, rules]) => [name, rules.length]),
    [
      ['prerouting', 4],
      ['output', 12],
    ],
  );
  assert.equal(await writer.repair(), 0);
  assert.equal(writes(node), 1);
});

test('what is missing or altered is put right: table, element, rule', async () => {
  const node = newFakeNode();
  const writer = on(node);
  await writer.repair();
  const right = structuredClone(node.nft);
  node.nft = null;
  assert.equal(await writer.repair(), 7);
  node.nft!.elements.shift();
  assert.equal(await writer.repair(), 1);
  node.nft!.chains.get('output')!.pop();
  assert.equal(await writer.repair(), 1);
  node.nft!.chains.get('output')!.push('drop');
  assert.equal(await writer.repair(), 1);
  assert.deepEqual([...node.nft!.chains], [...right!.chains]);
  assert.deepEqual([...node.nft!.elements].sort(), [...right!.elements].sort());
});

test('the leftovers of a killed one are taken over and are no change', async () => {
  const node = newFakeNode();
  await on(node).repair();
  assert.equal(await on(node).repair(), 0);
});

test('two with different addresses share the table and do not fight; the last takes it out', async () => {
  const node = newFakeNode();
  const one = on(node);
  const other = on(node, { addresses: ['169.254.20.11', '169.254.20.10'] });
  await one.repair();
  await other.repair();
  const before = writes(node);
  for (let round = 0; round < 3; round++) assert.deepEqual([await one.repair(), await other.repair()], [0, 0]);
  assert.equal(writes(node), before);
  assert.equal(await one.remove(), 6);
  assert.deepEqual(node.nft!.elements, [
    'to4 { 169.254.20.11 . 53 }',
    'from4 { 169.254.20.11 . 53 }',
    'health4 { 169.254.20.11 . 8080 }',
  ]);
  await other.remove();
  assert.equal(node.nft, null);
  assert.equal(await other.remove(), 0);
});

test('diverted, questions are tracked again, while answers are not yet', async () => {
  const node = newFakeNode();
  const writer = on(node, { addresses: ['169.254.20.10'] });
  await on(node, { addresses: ['10.96.0.10'] }).repair();
  await writer.repair();
  assert.equal(await writer.divert(), 1);
  assert.deepEqual(node.nft!.elements.slice(-2), ['from4 { 169.254.20.10 . 53 }', 'health4 { 169.254.20.10 . 8080 }']);
  assert.equal(node.nft!.elements.length, 5);
  assert.equal(await writer.divert(), 0);
  node.nft = null;
  assert.equal(await writer.divert(), 0);
});

test('chains of other tables that drop are named once, with what they should accept', async () => {
  const node = newFakeNode();
  node.nftChains = `table ip filter {
\tchain INPUT {
\t\ttype filter hook input priority filter; policy drop;
\t}
\tchain KUBE-SERVICES {
\t}
\tchain FORWARD {
\t\ttype filter hook forward priority filter; policy drop;
\t}
}
table inet zerohop {
\tchain output {
\t\ttype filter hook output priority raw; policy accept;
\t}
}
`;
  const log = newSpokenLog();
  const writer = on(node, {}, log);
  await writer.repair();
  node.nft = null;
  await writer.repair();
  assert.deepEqual(log.lines, [
    'nftables chain INPUT of table ip filter has policy drop, which other tables cannot override: ' +
      'accept in it UDP and TCP port 53 to 169.254.20.10, fd00::10',
  ]);
});

test('a missing or failing nft is an error that counts as iptables', async () => {
  const bare = newFakeNode();
  bare.missing.add('nft');
  await assert.rejects(on(bare).repair(), (error: HostError) => error.errortype === 'iptables');
  const refusing = newFakeNode();
  refusing.instead.push({ start: 'nft -f', end: failed(1, 'Error: Operation not permitted\n') });
  await assert.rejects(on(refusing).repair(), /Operation not permitted/u);
  assert.equal(await on(refusing).repair(), 7);
});
