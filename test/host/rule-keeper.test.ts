import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRules } from '../../src/host/rule-keeper.js';
import { type FakeNode, newFakeNode } from './fake-node.js';
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
  assert.equal(await on(node).rules.mend(), 'iptables: 12 firewall rules changed');
  const { rules } = on(node);
  assert.equal(await rules.mend(), 'iptables: the firewall rules are in place');
  assert.equal(await rules.mend(), null);
  node.rules.get('iptables-nft raw')!.pop();
  assert.equal(await rules.mend(), 'iptables: 1 firewall rule changed');
  assert.equal(await rules.remove(), 'removed');
  assert.equal(count(node, 'iptables-nft raw'), 0);
});

test('a guess is made again; once Kubernetes has left its mark the rules move there and it is asked no more', async () => {
  const node = newFakeNode();
  const { rules, log } = on(node);
  await rules.mend();
  assert.equal(count(node, 'iptables-nft raw'), 8);
  node.rules.set('iptables-legacy mangle', [canary]);
  assert.equal(await rules.mend(), 'iptables-legacy: 12 firewall rules changed');
  assert.deepEqual([count(node, 'iptables-nft raw'), count(node, 'iptables-legacy raw')], [0, 8]);
  assert(log.lines.includes('iptables-nft: removed the rules of an earlier run'));
  node.ran.length = 0;
  await rules.mend();
  assert.deepEqual(node.ran, ['iptables-legacy-save -t raw', 'iptables-legacy-save -t filter']);
});

test('a start with another -firewall takes out what the one before has left', async () => {
  const node = newFakeNode();
  await on(node, 'nftables').rules.mend();
  await on(node, 'iptables').rules.mend();
  assert.equal(node.nft, null);
  assert.equal(count(node, 'iptables-nft raw'), 8);
  await on(node, 'nftables').rules.mend();
  assert.equal(count(node, 'iptables-nft raw'), 0);
  assert.notEqual(node.nft, null);
});

test('tools that are missing beside the one in use do not matter', async () => {
  const node = newFakeNode();
  for (const name of ['iptables', 'iptables-nft-save', 'iptables-legacy-save']) node.missing.add(name);
  const { rules, log } = on(node, 'nftables');
  assert.equal(await rules.mend(), 'nftables: 4 firewall rules changed');
  assert(log.levels.every((level) => level === 'debug'));
});

test('no tool at all is an error that names it', async () => {
  const node = newFakeNode();
  for (const name of ['iptables', 'iptables-save', 'iptables-nft-save', 'iptables-legacy-save', 'nft']) {
    node.missing.add(name);
  }
  await assert.rejects(on(node).rules.mend(), /iptables-save is not installed/u);
});
