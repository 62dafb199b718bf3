/** What kube-proxy's rules say about a Service: of each mode and several versions, and texts that are none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  destinationsIn,
  endpointChainsIn,
  isDispatchLine,
  serviceRulesIn,
} from '../../src/doctor/kube-proxy-iptables.js';
import { virtualServersIn } from '../../src/doctor/kube-proxy-ipvs.js';
import { affinityOf, dnatDestinationsIn, elementsFor, serviceChainIn } from '../../src/doctor/kube-proxy-nftables.js';
import { seededRandom } from '../simulation/random.js';
import {
  filterTable,
  natTable,
  natTableOf120,
  natTableOfLargeCluster,
  nftLists,
  serviceChainOf136,
  virtualServers,
} from './kube-proxy-texts.js';

const kubeDns = { address: '10.96.0.10', port: 53 };
const upstream = { address: '10.96.0.11', port: 53 };

test('iptables: the rules of a Service, the chains behind them, and session affinity', () => {
  assert.deepEqual(serviceRulesIn(natTable, kubeDns), [
    { over: 'udp', chain: 'KUBE-SVC-TCOU7JCQXEZGVUNU', service: 'kube-system/kube-dns:dns' },
    { over: 'tcp', chain: 'KUBE-SVC-ERIFXISQEP7F7OF4', service: 'kube-system/kube-dns:dns-tcp' },
  ]);
  const udp = endpointChainsIn(natTable, 'KUBE-SVC-TCOU7JCQXEZGVUNU');
  assert.deepEqual(udp, { chains: ['KUBE-SEP-AAAA', 'KUBE-SEP-BBBB'], affinity: { seconds: 10_800 } });
  assert.deepEqual(destinationsIn(natTable, udp.chains), [
    { address: '10.244.0.7', port: 53 },
    { address: '10.244.1.8', port: 53 },
  ]);
  assert.equal(endpointChainsIn(natTable, 'KUBE-SVC-ERIFXISQEP7F7OF4').affinity, null);
  assert.deepEqual(serviceRulesIn(natTable, { address: '10.96.0.10', port: 5353 }), []);
});

test('iptables: a Service without endpoints is rejected by the table filter', () => {
  assert.deepEqual(serviceRulesIn(filterTable, upstream), [
    { over: 'udp', chain: null, service: 'kube-system/kube-dns-upstream:dns' },
    { over: 'tcp', chain: null, service: 'kube-system/kube-dns-upstream:dns-tcp' },
  ]);
});

test('iptables: rules of Kubernetes 1.20, of large clusters and of IPv6, and lines with counters', () => {
  const old = { over: 'udp', chain: 'KUBE-SVC-TCOU7JCQXEZGVUNU', service: 'kube-system/kube-dns:dns' };
  assert.deepEqual(serviceRulesIn(natTableOf120, kubeDns), [old]);
  const [local] = serviceRulesIn(natTableOfLargeCluster, { address: 'fd00:96::a', port: 53 });
  assert.equal(local.chain, 'KUBE-SVL-TCOU7JCQXEZGVUNU');
  const { chains } = endpointChainsIn(natTableOfLargeCluster, 'KUBE-SVL-TCOU7JCQXEZGVUNU');
  assert.deepEqual(destinationsIn(natTableOfLargeCluster, chains), [{ address: 'fd00:244::7', port: 5353 }]);
  const counted = natTableOf120.replace(/^-A/gmu, '[12:840] -A');
  assert.deepEqual(serviceRulesIn(counted, kubeDns), [old]);
});

test('iptables: lines about the address or the chain are kept while the tables stream by', () => {
  const kept = natTable.split('\n').filter((line) => isDispatchLine(line, '10.96.0.10'));
  assert.equal(kept.length, 3);
  assert.equal(isDispatchLine('-A KUBE-SERVICES -d 10.96.0.100/32 -p udp -j KUBE-SVC-X', '10.96.0.10'), false);
});

test('iptables: what is no rule is left out', () => {
  for (const text of [
    '',
    '\0',
    '-A',
    '-A KUBE-SERVICES',
    '-A KUBE-SERVICES -d',
    '-A KUBE-SERVICES -d 10.96.0.10/32 -j',
  ]) {
    assert.deepEqual(serviceRulesIn(text, kubeDns), []);
  }
  assert.deepEqual(endpointChainsIn('-A KUBE-SVC-X -m recent --rcheck --seconds -j KUBE-SEP-Y', 'KUBE-SVC-X'), {
    chains: ['KUBE-SEP-Y'],
    affinity: { seconds: null },
  });
  assert.deepEqual(destinationsIn('-A KUBE-SEP-Y -j DNAT --to-destination nowhere', ['KUBE-SEP-Y']), []);
});

test('IPVS: virtual servers with their real ones, and affinity in ticks', () => {
  const servers = virtualServersIn(virtualServers);
  const at = (over: string, address: string) =>
    servers.find((each) => each.over === over && each.at.address === address && each.at.port === 53)!;
  assert.deepEqual(at('udp', '10.96.0.10').endpoints, [
    { address: '10.244.0.7', port: 53 },
    { address: '10.244.1.8', port: 53 },
  ]);
  assert.equal(at('udp', '10.96.0.10').affinity, null);
  assert.deepEqual(at('tcp', '10.96.0.10').affinity, { seconds: 10_800 });
  assert.deepEqual(at('udp', '10.96.0.11').endpoints, [], 'a weight of 0 gets nothing');
  assert.deepEqual(at('udp', 'fd00:96::a').endpoints, [{ address: 'fd00:244::7', port: 53 }]);
});

test('IPVS: other times and what is no virtual server', () => {
  const [other] = virtualServersIn('UDP  0A60000A:0035 rr persistent 12345 FFFFFFFF\n');
  assert.deepEqual(other.affinity, { seconds: null });
  assert.deepEqual(virtualServersIn('FWM  00000001 rr\n  -> 0AF40007:0035 Masq 1 0 0\nSCTP 0A60000A:0035 rr\n'), []);
  assert.deepEqual(virtualServersIn('  -> 0AF40007:0035 Masq 1 0 0\nUDP 0A60000A rr\nUDP XX:0035 rr\n'), []);
});

test('nftables: maps, chains of Services, destinations and the time of a set', () => {
  const served = elementsFor(nftLists['nft list map ip kube-proxy service-ips'], kubeDns);
  assert.deepEqual(
    served.map(({ over, chain }) => [over, chain]),
    [
      ['tcp', 'service-NWBZK7IH-kube-system/kube-dns/tcp/dns-tcp'],
      ['udp', 'service-FY5PMXPG-kube-system/kube-dns/udp/dns'],
    ],
  );
  const rejected = elementsFor(nftLists['nft list map ip kube-proxy no-endpoint-services'], upstream);
  assert.deepEqual(rejected, [
    { over: 'tcp', chain: 'reject-chain', service: 'kube-system/kube-dns-upstream' },
    { over: 'udp', chain: null, service: 'kube-system/kube-dns-upstream' },
  ]);
  const tcp = serviceChainIn(nftLists[`nft list chain ip kube-proxy ${served[0].chain}`]);
  assert.equal(tcp.chains.length, 1);
  assert.match(tcp.affinitySet ?? '', /^affinity-CCCCCCCC-/);
  assert.deepEqual(affinityOf('\t\ttimeout 1d2h3m4s\n'), { seconds: 93_784 });
  assert.deepEqual(affinityOf('flags dynamic,timeout\n'), { seconds: null });
});

test('nftables: of Kubernetes 1.36, of IPv6, and what is no rule', () => {
  assert.deepEqual(serviceChainIn(serviceChainOf136).destinations, [
    { address: '10.244.0.9', port: 53 },
    { address: '10.244.1.7', port: 5353 },
  ]);
  assert.deepEqual(dnatDestinationsIn('meta l4proto udp dnat to [fd00:244::7]:53'), [
    { address: 'fd00:244::7', port: 53 },
  ]);
  assert.deepEqual(dnatDestinationsIn('dnat to nowhere\ndnat to\n'), []);
  assert.deepEqual(elementsFor('elements = { fd00:96::a . udp . 53 : goto x }', { address: 'fd00:96::a', port: 53 }), [
    { over: 'udp', chain: 'x', service: null },
  ]);
  assert.deepEqual(elementsFor('elements = { 10.96.0.10 . udp . 5353 : goto x }', kubeDns), []);
});

test('rubbish of any length throws nothing', () => {
  const random = seededRandom(7);
  const words = [
    '-A',
    'KUBE-SERVICES',
    '-d',
    '10.96.0.10/32',
    '"',
    '\\',
    'UDP',
    '->',
    '0A60000A:0035',
    ' . ',
    ': goto',
    '\n',
  ];
  for (let round = 0; round < 200; round++) {
    const text = Array.from({ length: random.below(200) }, () => words[random.below(words.length)]).join(' ');
    serviceRulesIn(text, kubeDns);
    endpointChainsIn(text, 'KUBE-SERVICES');
    virtualServersIn(text);
    elementsFor(text, kubeDns);
    serviceChainIn(text);
  }
  const huge = `${natTable}${'-A KUBE-SVC-X -m comment --comment "x" -j KUBE-SEP-Y\n'.repeat(20_000)}`;
  assert.equal(serviceRulesIn(huge, kubeDns).length, 2);
});
