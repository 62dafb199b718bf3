import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseWriter, hasLegacyTable, newRules } from '../../src/host/firewall.js';
import { type FakeNode, failed, newFakeNode } from './fake-node.js';
import { newSpokenLog } from './spoken-log.js';

type Wanted = 'auto' | 'iptables' | 'nftables';
const files = new Map([['/proc/net/ip_tables_names', 'raw\nmangle\nfilter\n']]);
const canary = ':KUBE-KUBELET-CANARY - [0:0]';

function on(node: FakeNode, firewall: Wanted = 'auto') {
  const log = newSpokenLog();
  const world = { run: node.run, readFile: (path: string) => files.get(path), log };
  const wish = { addresses: ['169.254.20.10'], dnsPort: 53, healthPort: 8080, firewall };
  return { rules: newRules(world, wish), log };
}
const count = (node: FakeNode, key: string) =>
  (node.rules.get(key) ?? []).filter((line) => line.includes('NodeLocal')).length;

test('the first look says that they are in place, later ones only what was changed', async () => {
  const node = newFakeNode();
  assert.equal(await on(node).rules.repair(), 'iptables: 12 firewall rules changed');
  const { rules } = on(node);
  assert.equal(await rules.repair(), 'iptables: the firewall rules are in place');
  assert.equal(await rules.repair(), null);
  node.rules.get('iptables-nft raw')!.pop();
  assert.equal(await rules.repair(), 'iptables: 1 firewall rule changed');
  assert.equal(await rules.remove(), 'removed');
  assert.equal(count(node, 'iptables-nft raw'), 0);
});

test('a guess is made again; once Kubernetes has left its mark the rules move there and it is asked no more', async () => {
  const node = newFakeNode();
  const { rules, log } = on(node);
  await rules.repair();
  assert.equal(count(node, 'iptables-nft raw'), 8);
  node.rules.set('iptables-legacy mangle', [canary]);
  assert.equal(await rules.repair(), 'iptables-legacy: 12 firewall rules changed');
  assert.deepEqual([count(node, 'iptables-nft raw'), count(node, 'iptables-legacy raw')], [0, 8]);
  assert(log.lines.includes('iptables-nft: removed the rules of an earlier run'));
  node.ran.length = 0;
  await rules.repair();
  assert.deepEqual(node.ran, ['iptables-legacy-save -t raw', 'iptables-legacy-save -t filter']);
});

test('a start with another -firewall takes out what the one before has left', async () => {
  const node = newFakeNode();
  await on(node, 'nftables').rules.repair();
  await on(node, 'iptables').rules.repair();
  assert.equal(node.nft, null);
  assert.equal(count(node, 'iptables-nft raw'), 8);
  await on(node, 'nftables').rules.repair();
  assert.equal(count(node, 'iptables-nft raw'), 0);
  assert.notEqual(node.nft, null);
});

test('tools that are missing beside the one in use do not matter', async () => {
  const node = newFakeNode();
  for (const name of ['iptables', 'iptables-nft-save', 'iptables-legacy-save']) node.missing.add(name);
  const { rules, log } = on(node, 'nftables');
  assert.equal(await rules.repair(), 'nftables: 4 firewall rules changed');
  assert(log.levels.every((level) => level === 'debug'));
});

test('no tool at all is an error that names it', async () => {
  const node = newFakeNode();
  for (const name of ['iptables', 'iptables-save', 'iptables-nft-save', 'iptables-legacy-save', 'nft']) {
    node.missing.add(name);
  }
  await assert.rejects(on(node).rules.repair(), /iptables-save is not installed/u);
});

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
const canaryChain = [':KUBE-KUBELET-CANARY - [0:0]'];

test('the iptables that Kubernetes writes to is ours too', async () => {
  for (const backend of ['nft', 'legacy'] as const) {
    for (const table of ['mangle', 'filter']) {
      const node = newFakeNode();
      node.rules.set(`iptables-${backend} ${table}`, [':OTHER - [0:0]', ...canaryChain]);
      assert.deepEqual(await choose(node), sure(backend));
      assert.deepEqual(await choose(node, 'iptables'), sure(backend));
    }
    const ipv6 = newFakeNode();
    ipv6.rules.set(`ip6tables-${backend} filter`, canaryChain);
    assert.deepEqual(await choose(ipv6, 'auto', ['fd00::10']), sure(backend));
    assert.deepEqual(await choose(ipv6), { writer: 'default', isGuess: true });
  }
});

test('marks in both: the one that is newer', async () => {
  const node = newFakeNode();
  node.rules.set('iptables-nft mangle', canaryChain);
  node.rules.set('iptables-legacy mangle', canaryChain);
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
  node.rules.set('iptables-nft mangle', canaryChain);
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
