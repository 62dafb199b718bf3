/** Faults of the cluster DNS: its endpoints, its Services and kube-proxy's rules for them, CoreDNS, and resolvers behind it. */
import { clusterAddress, localAddress } from '../cluster-node.js';
import { far, near, resolverAddress, upstreamIp } from './cluster.js';
import {
  type Change,
  dropping,
  type Fault,
  forwarder,
  outsideNames,
  resolvConf,
  running,
  services,
  tells,
  tellsOfAll,
  together,
} from './fault.js';

const silentAt = (how: 'udp' | 'tcp' | 'both'): Change =>
  dropping('nearPod', 'silence', how === 'both' ? 'meta l4proto { tcp, udp } th dport 53' : `${how} dport 53`);

export const endpointFaults: readonly Fault[] = [
  {
    name: 'an endpoint of two is silent over UDP',
    finds: ['endpoint-dead'],
    says: /^10\.244\.0\.2 does not answer over UDP, .*1 of 2 endpoints answer/,
    helps: /10\.244\.0\.2/,
    ...silentAt('udp'),
  },
  {
    name: 'an endpoint of two is silent over TCP',
    finds: ['endpoint-dead'],
    says: /^10\.244\.0\.2 does not answer over TCP, /,
    ...silentAt('tcp'),
  },
  {
    name: 'an endpoint of two is silent',
    finds: ['endpoint-dead'],
    says: /^10\.244\.0\.2 does not answer over UDP and TCP, /,
    ...silentAt('both'),
  },
];

const sticky: Fault = {
  name: 'session affinity',
  finds: ['session-affinity'],
  says: /kube-system\/kube-dns-upstream keeps a client on one endpoint for 10,800 s/,
  helps: /patch svc kube-dns-upstream .*"sessionAffinity":"None"/,
  ...services((cluster) => cluster.healthyServices('ClientIP')),
};

/** Which of the endpoints a client stays with is left to chance. */
export const stickyFaults: readonly Fault[] = [
  together('session affinity, and an endpoint of two is silent over UDP', [endpointFaults[0], sticky]),
  together('session affinity, and an endpoint of two is silent over TCP', [endpointFaults[1], sticky]),
];

export const rejected: Fault = {
  name: 'no endpoints',
  finds: ['no-endpoints'],
  says: /kube-proxy rejects 10\.96\.0\.53 port 53\/UDP and 53\/TCP: .* has no endpoints/,
  ...services((cluster) => cluster.healthyServices().map((one) => ({ ...one, endpoints: [] }))),
};

export const serviceFaults: readonly Fault[] = [
  sticky,
  together('session affinity, and an endpoint of two is silent', [endpointFaults[2], sticky]),
  rejected,
  {
    name: 'one endpoint only',
    finds: ['single-endpoint'],
    says: /has one endpoint only, 10\.244\.1\.2/,
    ...services((cluster) => cluster.healthyServices().map((one) => ({ ...one, endpoints: [far] }))),
  },
  {
    name: 'kube-proxy has no rules for the Service',
    finds: ['kube-proxy-rules'],
    says: /no rule for 10\.96\.0\.53 port 53\/UDP/,
    ...services((cluster) => cluster.healthyServices().filter(({ clusterIp }) => clusterIp !== upstreamIp)),
  },
  {
    name: 'kube-proxy leads to an address that has gone',
    finds: ['endpoint-dead'],
    says: /^10\.244\.0\.99 does not answer/,
    ...services((cluster) => cluster.healthyServices().map((one) => ({ ...one, endpoints: ['10.244.0.99', far] }))),
  },
];

export const resolverFaults: readonly Fault[] = [
  {
    name: "the node's resolv.conf is systemd's stub, which asks this cache",
    finds: ['stub-resolver'],
    says: /lists 127\.0\.0\.53 and no other resolver; systemd-resolved listens there/,
    helps: /--resolv-conf=/,
    ...running(forwarder('node', '127.0.0.53', localAddress), resolvConf('nameserver 127.0.0.53\n')),
  },
  {
    name: "the node's resolv.conf is a dnsmasq that asks this cache",
    finds: ['loop'],
    says: /127\.0\.1\.1 comes back/,
    ...running(forwarder('node', '127.0.1.1', localAddress), resolvConf('nameserver 127.0.1.1\n')),
  },
  {
    name: 'a resolver elsewhere asks the cluster DNS by this node',
    finds: ['loop'],
    says: /192\.168\.50\.55 comes back/,
    ...running(forwarder('beyond', '192.168.50.55', clusterAddress), resolvConf('nameserver 192.168.50.55\n')),
  },
  {
    name: 'the resolver refuses',
    finds: ['resolver-refuses'],
    says: /192\.168\.50\.53.* REFUSED/,
    ...outsideNames(resolverAddress, 'REFUSED'),
  },
  {
    name: 'the only resolver is silent',
    finds: ['outside-name', 'resolver-refuses'],
    says: /192\.168\.50\.53: no answer/,
    ...dropping('beyond', 'silence', `ip daddr ${resolverAddress} th dport 53`),
  },
  {
    name: 'the resolver is silent over UDP',
    finds: ['resolver-refuses'],
    says: /192\.168\.50\.53:53 is silent over UDP and answers over TCP/,
    ...dropping('beyond', 'silence', `ip daddr ${resolverAddress} udp dport 53`),
  },
  {
    name: 'the resolver is silent over TCP',
    finds: ['resolver-refuses'],
    says: /answers over UDP, and over TCP there is no answer/,
    ...dropping('beyond', 'silence', `ip daddr ${resolverAddress} tcp dport 53`),
  },
  {
    name: 'one resolver of two is nobody',
    finds: ['resolver-refuses'],
    says: /192\.168\.50\.66:53 resolves no names outside \(no answer\)/,
    ...resolvConf(`nameserver 192.168.50.66\nnameserver ${resolverAddress}\n`),
  },
];

export const forbidden: Fault = {
  name: 'the API server refuses CoreDNS',
  finds: ['coredns-rbac'],
  says: /refuses the requests of 10\.244\.1\.2 \(403\)/,
  ...tellsOfAll({ forbiddenPerSecond: 2 }),
};

export const restarted: Fault = {
  name: 'CoreDNS has restarted',
  finds: ['coredns-restarted'],
  says: /10\.244\.1\.2 started 4 min ago/,
  ...tells(far, { startedSecondsAgo: 240 }),
};

const busy: Fault = {
  name: 'CoreDNS is busy',
  finds: ['coredns-busy'],
  says: /10\.244\.0\.2 uses 0\.9\d cores at 3\d,\d+ q\/s/,
  ...tells(near, { cores: 0.97, requestsPerSecond: 31_000 }),
};

export const coreDnsFaults: readonly Fault[] = [
  {
    name: 'CoreDNS forwards to a stub',
    finds: ['coredns-forwards-to-stub'],
    says: /10\.244\.0\.2 forwards to 127\.0\.0\.53/,
    ...tells(near, { forwardsTo: '127.0.0.53:53' }),
  },
  forbidden,
  {
    name: 'CoreDNS waits for the API server, which refuses it',
    finds: ['coredns-rbac'],
    says: /10\.244\.0\.2/,
    ...tells(near, { forbiddenPerSecond: 2, ready: { status: 503, text: 'kubernetes' } }),
  },
  {
    name: 'CoreDNS is not ready',
    finds: ['coredns-not-ready'],
    says: /10\.244\.1\.2 is not ready; it waits for: kubernetes/,
    ...tells(far, { ready: { status: 503, text: 'kubernetes' } }),
  },
  restarted,
  busy,
  together('CoreDNS has restarted, and the other one is busy', [restarted, busy]),
  {
    name: 'CoreDNS answers SERVFAIL',
    finds: ['coredns-servfail'],
    says: /10\.244\.0\.2 answers (?:1\d|9|20) % SERVFAIL/,
    ...tells(near, { requestsPerSecond: 100, servfailPerSecond: 12 }),
  },
  {
    name: 'a pod of the cluster DNS has no way out',
    finds: ['coredns-outside'],
    says: /10\.244\.0\.2 \(SERVFAIL\) answers cluster names, but none outside the cluster; 10\.244\.1\.2 answers both/,
    ...outsideNames(near, 'SERVFAIL'),
  },
];
