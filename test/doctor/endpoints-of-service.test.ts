/** From kube-proxy's mode and rules to the endpoints of a Service, and what a failing program leaves of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rulesOfService, type ServiceRules, withoutEqualEndpoints } from '../../src/doctor/endpoints-of-service.js';
import type { CommandEnd } from '../../src/os/commands.js';
import { type ClusterSeen, clusterSeen } from './cluster.js';
import { filterTable, natTable, nftLists, virtualServers } from './kube-proxy-texts.js';

const mode = (name: string | null) => ({ 'http://127.0.0.1:10249/proxyMode': name });
const iptables = { 'iptables-nft-save -t nat': natTable, 'iptables-nft-save -t filter': filterTable };
const failed: CommandEnd = { ran: true, status: 1, stdout: '', stderr: 'Permission denied (you must be root)\n' };

function look(address: string, seen: ClusterSeen): Promise<ServiceRules> {
  const outsides = clusterSeen(seen);
  return outsides.clock.until(rulesOfService(outsides, { address, port: 53 }));
}

async function known(address: string, seen: ClusterSeen): Promise<Extract<ServiceRules, { known: true }>> {
  const rules = await look(address, seen);
  assert.ok(rules.known, JSON.stringify(rules));
  return rules;
}

test('of iptables', async () => {
  const { udp, tcp, mode: found } = await known('10.96.0.10', { pages: mode('iptables'), programs: iptables });
  assert.equal(found, 'iptables');
  assert.deepEqual(
    [udp.state, udp.endpoints.length, udp.affinity, udp.service],
    ['served', 2, { seconds: 10_800 }, 'kube-system/kube-dns'],
  );
  assert.deepEqual([tcp.state, tcp.endpoints, tcp.affinity], ['served', [{ address: '10.244.0.7', port: 53 }], null]);
  const rejected = await known('10.96.0.11', { pages: mode('iptables'), programs: iptables });
  assert.deepEqual([rejected.udp.state, rejected.udp.service], ['rejected', 'kube-system/kube-dns-upstream']);
  const absent = await known('10.96.0.12', { pages: mode('iptables'), programs: iptables });
  assert.deepEqual([absent.udp.state, absent.tcp.state], ['absent', 'absent']);
});

test('of iptables, in the legacy tables if they are in use, and of an iptables without variants', async () => {
  const legacy = {
    'iptables-nft-save -t nat': '',
    'iptables-legacy-save -t nat': natTable,
    'iptables-legacy-save -t filter': filterTable,
  };
  const files = { '/proc/net/ip_tables_names': 'filter\nnat\n' };
  const { udp } = await known('10.96.0.10', { pages: mode('iptables'), programs: legacy, files });
  assert.equal(udp.endpoints.length, 2);
  const plain = { 'iptables-save -t nat': natTable, 'iptables-save -t filter': filterTable };
  const missing: CommandEnd = { ran: false, why: 'missing', text: 'iptables-nft-save is not installed' };
  const programs = { ...plain, 'iptables-nft-save -t nat': missing };
  const found = await known('10.96.0.10', { pages: mode('iptables'), programs });
  assert.equal(found.udp.endpoints.length, 2);
});

test('of iptables: a chain that leads nowhere is no chain without endpoints', async () => {
  const flushed = natTable.replace(/^-A KUBE-SVC-.*\n/gmu, '');
  const programs = { ...iptables, 'iptables-nft-save -t nat': flushed };
  const { udp, tcp } = await known('10.96.0.10', { pages: mode('iptables'), programs });
  assert.deepEqual([udp.state, tcp.state], ['empty', 'empty']);
});

test('of nftables', async () => {
  const { udp, tcp } = await known('10.96.0.10', { pages: mode('nftables'), programs: nftLists });
  assert.deepEqual([udp.endpoints.map(({ address }) => address), udp.affinity], [['10.244.0.7', '10.244.1.8'], null]);
  assert.deepEqual([tcp.endpoints.length, tcp.affinity, tcp.service], [1, { seconds: 10_800 }, 'kube-system/kube-dns']);
  const rejected = await known('10.96.0.11', { pages: mode('nftables'), programs: nftLists });
  assert.deepEqual([rejected.udp.state, rejected.tcp.state], ['rejected', 'rejected']);
  const absent = await known('10.96.0.12', { pages: mode('nftables'), programs: nftLists });
  assert.equal(absent.udp.state, 'absent');
});

test('of IPVS', async () => {
  const files = { '/proc/net/ip_vs': virtualServers };
  const { udp, tcp } = await known('10.96.0.10', { pages: mode('ipvs'), files });
  assert.deepEqual([udp.state, udp.endpoints.length], ['served', 2]);
  assert.deepEqual(tcp.affinity, { seconds: 10_800 });
  const bare = await known('10.96.0.11', { pages: mode('ipvs'), files });
  assert.deepEqual([bare.udp.state, bare.tcp.state], ['rejected', 'absent']);
});

test('what cannot be listed is not known, rather than absent', async () => {
  const cases: [ClusterSeen, RegExp][] = [
    [{ pages: mode('ipvs') }, /ip_vs cannot be read/],
    [{ pages: mode('nftables') }, /service-ips/],
    [{ pages: mode('iptables'), programs: { 'iptables-nft-save -t nat': failed } }, /Permission denied/],
    [
      { pages: mode('iptables'), programs: { ...iptables, 'iptables-nft-save -t filter': failed } },
      /failed: Permission/,
    ],
  ];
  for (const [seen, why] of cases) {
    const rules = await look('10.96.0.10', seen);
    assert.ok(!rules.known);
    assert.match(rules.why, why);
  }
  const chain = 'nft list chain ip kube-proxy service-FY5PMXPG-kube-system/kube-dns/udp/dns';
  const half = await look('10.96.0.10', { pages: mode('nftables'), programs: { ...nftLists, [chain]: failed } });
  assert.equal(half.known, false);
});

test('without a trace of kube-proxy nothing is known', async () => {
  const rules = await look('10.96.0.10', { pages: mode(null), programs: { 'iptables-nft-save -t nat': '' } });
  assert.ok(!rules.known);
  assert.match(rules.why, /no trace of kube-proxy/);
});

test('equal endpoints are one', () => {
  const [one, other] = [
    { address: '10.0.0.1', port: 53 },
    { address: '10.0.0.1', port: 54 },
  ];
  assert.deepEqual(withoutEqualEndpoints([one, other, { ...one }]), [one, other]);
});
