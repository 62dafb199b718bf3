/** What the checks of the cluster DNS look at: addresses, answers, places of endpoints, and the domain. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answeringServer,
  answersIn,
  clusterDnsOf,
  domainOfCluster,
  endpointAnswersOf,
  isDead,
  isSilent,
  kubeDnsAnswersOf,
  nodeResolversOf,
  routeIn,
  silenceOf,
} from '../../src/doctor/cluster-evidence.js';
import { type AskedHere, clusterSeen, pods, upstreamService } from './cluster.js';

test('the address of the cluster DNS, from the process or the environment', () => {
  assert.deepEqual(clusterDnsOf(clusterSeen()).at, { address: upstreamService, port: 53 });
  const bare = { facts: null, environment: { KUBE_DNS_SERVICE_HOST: '10.96.0.10', KUBE_DNS_SERVICE_PORT: '5353' } };
  assert.deepEqual(clusterDnsOf(clusterSeen(bare)).at, { address: '10.96.0.10', port: 5353 });
  const wrong = { facts: null, environment: { KUBE_DNS_SERVICE_HOST: 'kube-dns', KUBE_DNS_SERVICE_PORT: 'x' } };
  assert.match(clusterDnsOf(clusterSeen(wrong)).missing ?? '', /neither/);
});

test('the resolvers of the node, without its own', () => {
  assert.deepEqual(nodeResolversOf(clusterSeen()), [{ address: '10.0.0.2', port: 53 }]);
  const files = { '/etc/resolv.conf': 'nameserver 127.0.0.53\nnameserver fd00::2\n' };
  assert.deepEqual(nodeResolversOf(clusterSeen({ facts: null, files })), [{ address: 'fd00::2', port: 53 }]);
  assert.deepEqual(nodeResolversOf(clusterSeen({ facts: null })), []);
});

test('answers in numbers; questions that were not sent are none', () => {
  const answered = { answered: true, rcode: 0, addresses: [], names: [], afterMs: 4 } as const;
  const answers = answersIn([answered, { ...answered, afterMs: 2 }, { answered: false, why: 'silent' }]);
  assert.deepEqual(answers, { asked: 3, answered: 2, fastestMs: 2, why: 'silent', rcode: 0 });
  const unasked = answersIn([{ answered: false, why: 'unasked' }]);
  assert.deepEqual([unasked.asked, isSilent(unasked)], [0, false]);
  const silent = answersIn([{ answered: false, why: 'silent' }]);
  assert.equal(silenceOf({ address: '', udp: silent, tcp: silent }), 'UDP and TCP');
  assert.equal(silenceOf({ address: '', udp: answers, tcp: silent }), 'TCP');
  assert.equal(silenceOf({ address: '', udp: silent, tcp: null }), 'UDP');
  assert.deepEqual(
    [isDead({ address: '', udp: silent, tcp: null }), isDead({ address: '', udp: silent, tcp: answers })],
    [true, false],
  );
});

test('the Service kube-dns is asked beside the other one, unless this cache has its address', async () => {
  const own = clusterSeen();
  assert.equal(await own.clock.until(kubeDnsAnswersOf(own)), null);
  const other = clusterSeen({ flags: { localAddresses: ['169.254.20.10'] } });
  assert.equal((await other.clock.until(kubeDnsAnswersOf(other)))?.address, '10.96.0.10');
});

test('which node an endpoint is on, by the route to it', () => {
  const place = (route: unknown) => routeIn(JSON.stringify([route]), ['eth0']).place;
  assert.equal(place({ dst: '10.244.0.7', dev: 'cali123' }), 'here');
  assert.equal(place({ dst: '10.0.0.5', dev: 'lo', type: 'local' }), 'here');
  assert.equal(place({ dst: '10.244.1.8', gateway: '10.0.0.6', dev: 'eth1' }), 'elsewhere');
  assert.equal(place({ dst: '10.244.1.8', via: { host: 'fe80::1' }, dev: 'eth1' }), 'elsewhere');
  assert.equal(place({ dst: '10.0.0.6', dev: 'eth0' }), 'elsewhere');
  assert.equal(place({ dst: '10.32.0.3', dev: 'weave' }), 'unknown');
  for (const text of ['', '[]', 'null', '{}', '[{"dev":7}]']) assert.equal(routeIn(text, []).place, 'unknown');
});

test('the domain: as configured, else as the cluster DNS says, else the usual one', async () => {
  const domain = async (seen: Parameters<typeof clusterSeen>[0]) => {
    const outsides = clusterSeen(seen);
    const { domain: name, source } = await outsides.clock.until(domainOfCluster(outsides));
    return [name, source];
  };
  assert.deepEqual(await domain({}), ['cluster.local', 'configured']);
  const answers = ({ type }: AskedHere) =>
    type === 'PTR' ? { ptr: 'kubernetes.default.svc.corp.example' } : undefined;
  assert.deepEqual(await domain({ facts: null, answers }), ['corp.example', 'asked']);
  assert.deepEqual(await domain({ facts: null, answers: () => 'silent' }), ['cluster.local', 'usual']);
});

test('who answers for the cluster: an endpoint over either transport, else the Service', async () => {
  const answers = ({ to, over }: AskedHere) => (to === pods[0] || over === 'udp' ? 'silent' : undefined);
  const tcp = clusterSeen({ answers });
  assert.deepEqual(await tcp.clock.until(answeringServer(tcp)), {
    server: { address: pods[1], port: 53 },
    over: 'tcp',
  });
  const service = clusterSeen({ endpoints: [] });
  assert.deepEqual(await service.clock.until(answeringServer(service)), {
    server: { address: upstreamService, port: 53 },
    over: 'udp',
  });
  const nobody = clusterSeen({ answers: () => 'silent' });
  assert.equal(await nobody.clock.until(answeringServer(nobody)), null);
});

test('of many endpoints the first are asked', async () => {
  const outsides = clusterSeen({ endpoints: Array.from({ length: 40 }, (_, index) => `10.244.0.${index + 1}`) });
  assert.equal((await outsides.clock.until(endpointAnswersOf(outsides))).length, 16);
});
