/** The Services of the cluster DNS: address, rules, endpoints, reach, session affinity. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answersText,
  clusterDnsServiceCheck,
  endpointOfFlows,
  endpointsCheck,
  kubeProxyRulesCheck,
  msText,
  nodeName,
  serviceReachCheck,
  sessionAffinityCheck,
} from '../../src/doctor/check-service.js';
import { type AskedHere, findingOf, findingsOf, pods, type ReplyHere, upstreamService } from './cluster.js';
import { virtualServers } from './kube-proxy-texts.js';

const serviceSilentOver =
  (...over: string[]) =>
  ({ to, over: by }: AskedHere): ReplyHere | undefined =>
    to === upstreamService && over.includes(by) ? 'silent' : undefined;

const ipvs = { 'http://127.0.0.1:10249/proxyMode': 'ipvs' };

test('a healthy Service', async () => {
  const checks = [clusterDnsServiceCheck, kubeProxyRulesCheck, endpointsCheck, serviceReachCheck, sessionAffinityCheck];
  for (const check of checks) {
    const bad = (await findingsOf(check)).filter(({ verdict }) => verdict !== 'ok' && verdict !== 'skipped');
    assert.deepEqual(bad, [], check.about);
  }
  const reach = await findingOf(serviceReachCheck, 'cluster-ip-unreachable');
  assert.equal(reach.seen, '10.96.0.11 answers over UDP (1.0 ms) and TCP (2.0 ms)');
});

test('no address of the cluster DNS', async () => {
  const flags = { clusterDns: null, clusterDnsMissing: 'KUBE_DNS_UPSTREAM_SERVICE_HOST is not set' };
  const { verdict, seen } = await findingOf(clusterDnsServiceCheck, 'cluster-dns-service', { flags });
  assert.equal(verdict, 'fail');
  assert.match(seen, /KUBE_DNS_UPSTREAM_SERVICE_HOST is not set/);
  const own = { flags, facts: { clusterDomain: null } };
  assert.equal((await findingOf(clusterDnsServiceCheck, 'cluster-dns-service', own)).verdict, 'skipped');
  const byHand = { facts: null, environment: {} };
  assert.equal((await findingOf(clusterDnsServiceCheck, 'cluster-dns-service', byHand)).verdict, 'skipped');
  const inPod = { facts: null, environment: { KUBERNETES_SERVICE_HOST: '10.96.0.1' } };
  assert.equal((await findingOf(clusterDnsServiceCheck, 'cluster-dns-service', inPod)).verdict, 'fail');
  for (const check of [kubeProxyRulesCheck, endpointsCheck, sessionAffinityCheck, serviceReachCheck]) {
    const findings = await findingsOf(check, { flags });
    assert.ok(findings.length > 0 && findings.every((each) => each.verdict === 'skipped'), check.about);
  }
});

test('without the serving process the environment names the cluster DNS', async () => {
  const { verdict, seen } = await findingOf(clusterDnsServiceCheck, 'cluster-dns-service', { facts: null });
  assert.deepEqual([verdict, seen], ['ok', 'the cluster DNS is 10.96.0.11:53']);
});

test('both Services with different endpoints', async () => {
  const nat = [
    ':KUBE-SERVICES - [0:0]',
    ...(['10.96.0.10', '10.96.0.11'] as const).flatMap((address, index) => [
      `-A KUBE-SERVICES -d ${address}/32 -p udp -m udp --dport 53 -j KUBE-SVC-${index}`,
      `-A KUBE-SVC-${index} -j KUBE-SEP-${index}`,
      `-A KUBE-SEP-${index} -p udp -m udp -j DNAT --to-destination ${pods[index]}:53`,
    ]),
  ].join('\n');
  const programs = { 'iptables-nft-save -t nat': nat };
  const { verdict, seen } = await findingOf(clusterDnsServiceCheck, 'cluster-dns-service', { programs });
  assert.equal(verdict, 'warn');
  assert.match(seen, /different endpoints: 10\.244\.1\.8, 10\.244\.0\.7/);
});

test('no rule for one transport, and rules that lead nowhere', async () => {
  const udpOnly = `:KUBE-SERVICES - [0:0]
-A KUBE-SERVICES -d ${upstreamService}/32 -p udp -m udp --dport 53 -j KUBE-SVC-X
-A KUBE-SVC-X -j KUBE-SEP-X
-A KUBE-SEP-X -p udp -j DNAT --to-destination 10.244.0.7:53`;
  const absent = await findingOf(kubeProxyRulesCheck, 'kube-proxy-rules', {
    programs: { 'iptables-nft-save -t nat': udpOnly },
    answers: serviceSilentOver('tcp'),
  });
  assert.deepEqual(
    [absent.verdict, absent.seen],
    ['fail', 'kube-proxy runs in iptables mode and has no rule for 10.96.0.11 port 53/TCP'],
  );
  const flushed = { 'iptables-nft-save -t nat': udpOnly.replace('-A KUBE-SVC-X -j KUBE-SEP-X\n', '') };
  const answers = serviceSilentOver('udp', 'tcp');
  const empty = await findingOf(kubeProxyRulesCheck, 'kube-proxy-rules', { programs: flushed, answers });
  assert.equal(empty.verdict, 'fail');
});

test('IPVS: no real server', async () => {
  const files = { '/proc/net/ip_vs': virtualServers };
  const answers = serviceSilentOver('udp', 'tcp');
  const bare = await findingOf(kubeProxyRulesCheck, 'ipvs-no-backend', { pages: ipvs, files, answers });
  assert.deepEqual(
    [bare.verdict, bare.seen],
    ['fail', 'the virtual server 10.96.0.11 port 53/UDP has no real server with a weight'],
  );
  const flags = { clusterDns: { address: '10.96.0.10', port: 53 } };
  assert.equal((await findingOf(kubeProxyRulesCheck, 'ipvs-no-backend', { pages: ipvs, files, flags })).verdict, 'ok');
  assert.equal((await findingOf(kubeProxyRulesCheck, 'ipvs-no-backend')).verdict, 'skipped');
});

test('session affinity of IPVS, which names no Service: the command is for the one with this address', async () => {
  const server = '  -> 0AF40007:0035      Masq    1      0          0\n';
  const files = { '/proc/net/ip_vs': `UDP  0A60000B:0035 rr persistent 10800 FFFFFFFF\n${server}` };
  const sticky = await findingOf(sessionAffinityCheck, 'session-affinity', { pages: ipvs, files });
  assert.deepEqual(
    [sticky.seen, sticky.command],
    [
      '10.96.0.11:53 keeps a client on one endpoint for 10,800 s',
      `kubectl -n kube-system patch svc kube-dns-upstream -p '{"spec":{"sessionAffinity":"None"}}'`,
    ],
  );
});

test('no endpoints, one, and several', async () => {
  const answers = serviceSilentOver('udp', 'tcp');
  const none = await findingOf(endpointsCheck, 'no-endpoints', { endpoints: [], answers });
  assert.equal(none.verdict, 'fail');
  assert.equal(
    none.seen,
    'kube-proxy rejects 10.96.0.11 port 53/UDP and 53/TCP: kube-system/kube-dns-upstream has no endpoints',
  );
  const one = await findingOf(endpointsCheck, 'single-endpoint', { endpoints: [pods[0]] });
  assert.deepEqual(
    [one.verdict, one.seen],
    ['warn', 'kube-system/kube-dns-upstream has one endpoint only, 10.244.0.7'],
  );
  assert.equal((await findingOf(endpointsCheck, 'single-endpoint')).verdict, 'ok');
});

test('an address that answers has rules of some program, and one that is no Service needs none', async () => {
  const programs = { 'iptables-nft-save -t nat': ':KUBE-SERVICES - [0:0]\n' };
  assert.equal((await findingOf(kubeProxyRulesCheck, 'kube-proxy-rules', { programs })).verdict, 'ok');
  const answers = serviceSilentOver('udp', 'tcp');
  const environment = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBE_DNS_SERVICE_HOST: '10.96.0.10' };
  const other = await findingOf(kubeProxyRulesCheck, 'kube-proxy-rules', { programs, answers, environment });
  assert.equal(other.verdict, 'skipped');
});

test('in another network namespace the rules are not looked at', async () => {
  for (const check of [kubeProxyRulesCheck, endpointsCheck, sessionAffinityCheck]) {
    const findings = await findingsOf(check, { networkNamespace: 'net:[2]' });
    assert.ok(findings.every(({ verdict, seen }) => verdict === 'skipped' && /namespace/.test(seen)));
  }
});

test('the Service is silent while its endpoints answer', async () => {
  const tcp = await findingOf(serviceReachCheck, 'cluster-ip-unreachable', { answers: serviceSilentOver('tcp') });
  assert.equal(tcp.verdict, 'fail');
  assert.equal(
    tcp.seen,
    '10.96.0.11 does not answer over TCP (no answer in 1 s, three times), but 10.244.0.7, 10.244.1.8 behind it do',
  );
  assert.equal(tcp.explainedBy, undefined);
  const closed = ({ to }: AskedHere) => (to === upstreamService ? 'closed' : undefined);
  const refused = await findingOf(serviceReachCheck, 'cluster-ip-unreachable', { answers: closed });
  assert.match(refused.seen, /over UDP and TCP \(refused\)/);
});

test('the Service and all its endpoints are silent: the endpoints are the cause', async () => {
  const answers = ({ to }: AskedHere) => (to === upstreamService || to.startsWith('10.244.') ? 'silent' : undefined);
  const finding = await findingOf(serviceReachCheck, 'cluster-ip-unreachable', { answers });
  assert.equal(finding.explainedBy, 'endpoint-dead');
});

test('a Service that answers some questions by way of the living endpoint is reachable', async () => {
  let asked = 0;
  const answers = ({ to, over }: AskedHere): ReplyHere | undefined => {
    if (to === pods[1]) return 'silent';
    // The first three happen to go to the silent endpoint.
    if (to === upstreamService && over === 'udp' && ++asked <= 3) return 'silent';
    return undefined;
  };
  assert.notEqual((await findingOf(serviceReachCheck, 'cluster-ip-unreachable', { answers })).verdict, 'fail');
});

test('an address of this cache is not asked as the cluster DNS', async () => {
  const flags = { clusterDns: { address: '10.96.0.10', port: 53 } };
  const finding = await findingOf(serviceReachCheck, 'cluster-ip-unreachable', { flags });
  assert.deepEqual([finding.verdict, finding.seen], ['skipped', '10.96.0.10 is an address of this cache']);
});

test('session affinity is a warning, and a failure once an endpoint is dead', async () => {
  const warned = await findingOf(sessionAffinityCheck, 'session-affinity', { hasAffinity: true });
  assert.equal(warned.verdict, 'warn');
  assert.equal(warned.seen, 'kube-system/kube-dns-upstream keeps a client on one endpoint for 10,800 s');
  assert.match(warned.command ?? '', /-n kube-system patch svc kube-dns-upstream/);
  const answers = ({ to }: AskedHere) => (to === pods[1] ? 'silent' : undefined);
  const flow =
    'ipv4     2 tcp      6 86399 ESTABLISHED src=10.0.0.5 dst=10.96.0.11 sport=40000 dport=53 ' +
    'src=10.244.1.8 dst=10.0.0.5 sport=53 dport=40000 [ASSURED] mark=0 zone=0 use=2\n';
  const files = { '/proc/net/nf_conntrack': flow };
  const failed = await findingOf(sessionAffinityCheck, 'session-affinity', { hasAffinity: true, answers, files });
  assert.equal(failed.verdict, 'fail');
  assert.match(failed.seen, /; now this node is on 10\.244\.1\.8, which does not answer$/);
});

test('which endpoint the newest flow of ours goes to', () => {
  const at = { address: '10.96.0.11', port: 53 };
  const row = (seconds: number, from: string, source: string, port = 53): string =>
    `ipv4     2 udp      17 ${seconds} src=${from} dst=10.96.0.11 sport=40000 dport=${port} src=${source} dst=${from} sport=53 dport=40000 use=2`;
  const text = [
    row(20, '10.0.0.5', '10.244.0.7'),
    row(29, '10.0.0.5', '10.244.1.8'),
    row(30, '10.244.0.9', '10.244.0.7'),
  ];
  assert.equal(endpointOfFlows(text.join('\n'), at, ['10.0.0.5']), '10.244.1.8');
  assert.equal(endpointOfFlows(row(20, '10.0.0.5', '10.244.0.7', 5353), at, ['10.0.0.5']), null);
  assert.equal(endpointOfFlows('rubbish dport=53 \n', at, ['10.0.0.5']), null);
});

test("the command that shows kube-proxy's log names the node, where its name is known", async () => {
  const answers = serviceSilentOver('tcp');
  const files = { '/proc/sys/kernel/hostname': 'worker-7\n' };
  const { command } = await findingOf(serviceReachCheck, 'cluster-ip-unreachable', { answers, files });
  assert.match(command ?? '', /spec\.nodeName=worker-7 /);
  const names = ['node-local-dns-x7k2p', 'a; reboot', ''].map((name) => nodeName({ readFile: () => name }));
  assert.deepEqual(names, ['NODE', 'NODE', 'NODE']);
});

test('texts of answers and times', () => {
  const answers = { asked: 3, answered: 3, fastestMs: 0.42, why: null, rcode: 0 };
  assert.equal(answersText({ address: '10.0.0.1', udp: answers, tcp: null }), '10.0.0.1 answers over UDP (0.4 ms)');
  assert.deepEqual([msText(0.42), msText(12.4), msText(null)], ['0.4 ms', '12 ms', '?']);
});
