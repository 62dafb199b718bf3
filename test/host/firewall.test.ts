import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseWriter, hasLegacyTable } from '../../src/host/firewall.js';
import { type FakeNode, failed, newFakeNode } from './fake-node.js';

const legacyTables = new Map([
  ['/proc/net/ip_tables_names', 'nat\nmangle\nfilter\n'],
  ['/proc/net/ip6_tables_names', 'filter\n'],
]);
const choose = (
  node: FakeNode,
  firewall: 'auto' | 'iptables' | 'nftables' = 'auto',
  addresses = ['169.254.20.10'],
  files = legacyTables,
) => chooseWriter({ run: node.run, readFile: (path) => files.get(path) }, firewall, addresses);
const sure = (writer: string) => ({ writer, isGuess: false });
const canary = [':KUBE-KUBELET-CANARY - [0:0]'];

test('the iptables that Kubernetes writes to is ours too', async () => {
  for (const backend of ['nft', 'legacy'] as const) {
    for (const table of ['mangle', 'filter']) {
      const node = newFakeNode();
      node.rules.set(`iptables-${backend} ${table}`, [':OTHER - [0:0]', ...canary]);
      assert.deepEqual(await choose(node), sure(backend));
      assert.deepEqual(await choose(node, 'iptables'), sure(backend));
    }
    const ipv6 = newFakeNode();
    ipv6.rules.set(`ip6tables-${backend} filter`, canary);
    assert.deepEqual(await choose(ipv6, 'auto', ['fd00::10']), sure(backend));
    assert.deepEqual(await choose(ipv6), { writer: 'default', isGuess: true });
  }
});

test('marks in both: the one that is newer', async () => {
  const node = newFakeNode();
  node.rules.set('iptables-nft mangle', canary);
  node.rules.set('iptables-legacy mangle', canary);
  assert.deepEqual(await choose(node), sure('nft'));
});

test('a legacy table that nobody has made is not looked at: that would make it', async () => {
  const node = newFakeNode();
  await choose(node, 'auto', ['169.254.20.10', 'fd00::10'], new Map());
  assert(!node.ran.some((line) => line.includes('legacy')));
  const readFile = (path: string) => legacyTables.get(path);
  assert(hasLegacyTable({ readFile }, 'ipv4', 'mangle'));
  assert(!hasLegacyTable({ readFile }, 'ipv6', 'mangle'));
});

test('legacy tables that may not be seen are an error, not somebody else’s', async () => {
  const node = newFakeNode();
  const denied = failed(1, 'iptables-save v1.8.9 (legacy): Cannot initialize: Permission denied (you must be root)\n');
  node.instead.push({ start: 'iptables-legacy-save', end: denied });
  await assert.rejects(choose(node), /iptables-legacy-save -t mangle exited with 1: .*Permission denied/u);
});

test('kube-proxy in nftables mode: nftables, unless the flag says iptables', async () => {
  const node = newFakeNode();
  node.nftTables = 'table inet filter\ntable ip kube-proxy\ntable ip6 kube-proxy\n';
  node.rules.set('iptables-nft mangle', canary);
  assert.deepEqual(await choose(node), sure('nftables'));
  assert.deepEqual(await choose(node, 'iptables'), sure('nft'));
});

test('the flag says nftables: no question', async () => {
  const node = newFakeNode();
  assert.deepEqual(await choose(node, 'nftables'), sure('nftables'));
  assert.deepEqual(node.ran, []);
});

test('without marks the node’s own iptables is a guess, then nft, then the error that iptables gives', async () => {
  const node = newFakeNode();
  node.nftTables = 'table ip not-kube-proxy\n';
  assert.deepEqual(await choose(node), { writer: 'default', isGuess: true });
  for (const name of ['iptables', 'iptables-nft-save', 'iptables-legacy-save']) node.missing.add(name);
  assert.deepEqual(await choose(node), { writer: 'nftables', isGuess: true });
  assert.deepEqual(await choose(node, 'iptables'), { writer: 'default', isGuess: true });
  node.missing.add('nft');
  assert.deepEqual(await choose(node), { writer: 'default', isGuess: true });
});
