/** kube-proxy's mode: by its own word, else by what it has made; none where others are in its place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubeProxyOf } from '../../src/doctor/kube-proxy.js';
import { linksText, listLinks, lookingAt } from './outsides.js';

const page = 'http://127.0.0.1:10249/proxyMode';

test('kube-proxy says its mode', async () => {
  for (const mode of ['iptables', 'ipvs', 'nftables'] as const) {
    const outsides = lookingAt({ pages: { [page]: `${mode}\n` } });
    assert.equal((await kubeProxyOf(outsides)).mode, mode);
    assert.deepEqual(outsides.lines, [], 'no program is run for it');
  }
});

test('where it says nothing, its link, its table or its chain does', async () => {
  const ipvs = linksText({ name: 'kube-ipvs0', kind: 'dummy', addresses: ['10.96.0.1'] });
  assert.equal((await kubeProxyOf(lookingAt({ programs: { [listLinks]: ipvs } }))).mode, 'ipvs');
  const tables = { 'nft list tables': 'table inet zerohop\ntable ip6 kube-proxy\n' };
  assert.equal((await kubeProxyOf(lookingAt({ programs: tables }))).mode, 'nftables');
  const chains = { 'iptables-nft-save -t nat': '*nat\n:KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES -j X\n' };
  assert.equal((await kubeProxyOf(lookingAt({ programs: chains }))).mode, 'iptables');
});

test('kube-proxy of today shows in the small table, and the large one is not listed', async () => {
  const outsides = lookingAt({ programs: { 'iptables-nft-save -t mangle': ':KUBE-PROXY-CANARY - [0:0]\n' } });
  assert.equal((await kubeProxyOf(outsides)).mode, 'iptables');
  assert(!outsides.lines.some((line) => line.endsWith('-t nat')));
});

test('the canary of the kubelet is none of kube-proxy', async () => {
  const programs = { 'iptables-nft-save -t mangle': ':KUBE-KUBELET-CANARY - [0:0]\n:KUBE-IPTABLES-HINT - [0:0]\n' };
  assert.equal((await kubeProxyOf(lookingAt({ programs }))).mode, null);
});

test('a legacy table is listed only where it is there: listing it would make it', async () => {
  const programs = { 'iptables-legacy-save -t nat': ':KUBE-SERVICES - [0:0]\n' };
  const without = lookingAt({ programs });
  assert.equal((await kubeProxyOf(without)).mode, null);
  assert(!without.lines.some((line) => line.startsWith('iptables-legacy')));
  const there = lookingAt({ programs, files: { '/proc/net/ip_tables_names': 'filter\nnat\n' } });
  assert.equal((await kubeProxyOf(there)).mode, 'iptables');
});

test('nothing, or a stale link without addresses, is no kube-proxy', async () => {
  const stale = linksText({ name: 'kube-ipvs0', kind: 'dummy' }, { name: 'cilium_host', kind: 'veth' });
  assert.deepEqual(await kubeProxyOf(lookingAt({ programs: { [listLinks]: stale }, pages: { [page]: '<html>' } })), {
    mode: null,
    how: 'Cilium is here, and no kube-proxy',
  });
  assert.deepEqual(await kubeProxyOf(lookingAt()), { mode: null, how: 'no trace of kube-proxy is here' });
});
