/** What the process tells the doctor: of its command line, its configuration, and its resolvers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFlags } from '../../src/config/flag-reader.js';
import { serveOptions } from '../../src/config/serve-options.js';
import {
  aaaaPoliciesOf,
  clusterDomainOf,
  doctorFlags,
  type FactsSource,
  resolversOf,
  serverFacts,
} from '../../src/process/doctor-facts.js';
import { UpstreamStats } from '../../src/upstream/endpoint.js';
import { configOf } from '../config/options.js';

const environment = { KUBE_DNS_SERVICE_HOST: '10.96.0.10' };
const flagsOf = (...argv: readonly string[]) => doctorFlags(serveOptions(readFlags(argv), environment));
const corefile = `cluster.example:53 {
  bind 169.254.20.10
  cache
  aaaa nodata
  forward . 10.96.0.10 {
    force_tcp
  }
}
in-addr.arpa:53 {
  bind 169.254.20.10
  forward . 10.96.0.10
}
.:53 {
  bind 169.254.20.10
  forward . /etc/resolv.conf
}
`;
const clusterDns = { address: '10.96.0.10', port: 53 };

function sourceWith(parts: Partial<FactsSource> = {}): FactsSource {
  const upstream = new UpstreamStats('10.96.0.10:53');
  upstream.healthcheckFailures = 4;
  upstream.healthy = false;
  return {
    ...flagsOf('-localip=169.254.20.10,10.96.0.10'),
    version: '0.2.0',
    pid: 17,
    networkNamespace: 'net:[1]',
    upSeconds: 61.7,
    role: 'serving',
    standBys: 1,
    isLastReloadRefused: false,
    config: configOf(corefile),
    upstreams: [[upstream], [], [new UpstreamStats('10.0.0.2:53')]],
    retries: 3,
    recent: {
      seconds: 60.4,
      queries: 10,
      aaaa: 4,
      servfail: 1,
      nxdomainBelow: 2,
      byLocalAddress: { '169.254.20.10': 10 },
    },
    talkers: { names: [{ name: 'a.', count: 1 }], clients: [{ client: '10.244.0.7' }] } as never,
    exists: (name) => name === 'a.',
    notReady: ['upstream'],
    socketsAt: ({ address }) => (address === '10.96.0.10' ? [1, 2, 9] : [1]),
    ownSockets: () => new Set([1, 2]),
    readFile: () => 'nameserver 127.0.0.53\nnameserver 10.0.0.2\n',
    ...parts,
  };
}

test('the facts of a process that serves', () => {
  const facts = serverFacts(sourceWith());
  assert.deepEqual(facts.flags, {
    localAddresses: ['169.254.20.10', '10.96.0.10'],
    dnsPort: 53,
    healthPort: 8080,
    setupInterface: true,
    interfaceName: 'nodelocaldns',
    firewall: 'auto',
    clusterDns,
    clusterDnsMissing: '',
  });
  const { flags, topNames, ...rest } = facts;
  assert.deepEqual(rest, {
    version: '0.2.0',
    pid: 17,
    upSeconds: 61,
    role: 'serving',
    standBys: 1,
    isLastReloadRefused: false,
    hasHandover: true,
    hasKernelLane: false,
    foreignSockets: 1,
    memory: null,
    networkNamespace: 'net:[1]',
    clusterDomain: 'cluster.example',
    aaaaPolicies: ['nodata', 'forward'],
    nodeResolvers: ['10.0.0.2'],
    skippedResolvers: ['127.0.0.53: an address of this node in /etc/resolv.conf'],
    upstreams: [
      { address: '10.96.0.10:53', protocol: 'tcp', healthy: false, failures: 4 },
      { address: '10.0.0.2:53', protocol: 'udp', healthy: true, failures: 0 },
    ],
    retries: 3,
    recent: {
      seconds: 60,
      queries: 10,
      byLocalAddress: { '169.254.20.10': 10 },
      aaaa: 4,
      nxdomainBelowClusterDomain: 2,
      servfail: 1,
    },
    topClients: ['10.244.0.7'],
    hasAutopath: false,
    notReady: ['upstream'],
  });
  assert.deepEqual(JSON.parse(JSON.stringify(facts)), facts, 'they survive the control socket');
});

test('flags that the doctor compares with the node', () => {
  assert.equal(flagsOf('-setupiptables=false', '-firewall=nftables').flags.firewall, 'none');
  assert.equal(flagsOf('-handover=').hasHandover, false);
  assert.equal(flagsOf('-kernellane=beside').hasKernelLane, true);
  const missing = doctorFlags(serveOptions(readFlags([]), {}));
  assert.equal(missing.flags.clusterDns, null);
  assert.match(missing.flags.clusterDnsMissing, /^KUBE_DNS_SERVICE_HOST is not set/);
});

test('a standby, and a kernel that does not tell of sockets', () => {
  const facts = serverFacts(sourceWith({ role: 'standing by', socketsAt: () => undefined }));
  assert.equal(facts.role, 'stand-by');
  assert.equal(facts.foreignSockets, undefined);
  assert.equal(serverFacts(sourceWith({ role: 'starting' })).role, 'stand-by');
});

test('the domain of the cluster is the zone that goes to the cluster DNS', () => {
  assert.equal(clusterDomainOf(configOf(corefile), clusterDns), 'cluster.example');
  assert.equal(clusterDomainOf(configOf(corefile), null), null);
  assert.equal(clusterDomainOf(configOf(corefile), { address: '10.96.0.99', port: 53 }), null);
  assert.equal(clusterDomainOf(configOf('. {\nforward . 10.96.0.10\n}'), clusterDns), null);
});

test('the policies of AAAA of the cluster and of all other names', () => {
  const { blocks } = configOf(corefile);
  assert.deepEqual(aaaaPoliciesOf({ blocks }, 'cluster.example'), ['nodata', 'forward']);
  assert.deepEqual(aaaaPoliciesOf({ blocks }, null), ['forward']);
});

test('resolvers of the node: used, skipped, or none', () => {
  const read = (text: string) => (path: string) => (path === '/etc/resolv.conf' ? text : undefined);
  const config = configOf(corefile);
  const stub = resolversOf(config, read('nameserver 127.0.0.53\n'));
  assert.deepEqual(stub, { used: [], skipped: ['127.0.0.53: an address of this node in /etc/resolv.conf'] });
  assert.deepEqual(resolversOf(config, () => undefined).used, []);
  assert.match(resolversOf(config, () => undefined).skipped[0], /cannot be read/);
  assert.deepEqual(resolversOf(configOf('. {\nforward . 1.1.1.1\n}'), read('x')), { used: [], skipped: [] });
});
