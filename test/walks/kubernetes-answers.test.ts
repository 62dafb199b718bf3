/** The stand-in's answers, name by name, as CoreDNS's own tests have them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RecordType } from 'dns-packet';
import { type ClusterOptions, newCluster, sampleNamespaces, sampleServices } from './cluster.js';
import { answer, reverseName } from './kubernetes-answers.js';

function asked(name: string, type: RecordType = 'A', options: ClusterOptions = {}): string {
  const cluster = newCluster(sampleNamespaces, sampleServices(), () => 0, options);
  const { rcode = 0, answers = [] } = answer({ name, type }, cluster.now);
  if (rcode === 3) return 'denied';
  return answers.length === 0 ? 'no data' : answers.map((each) => dataOf(each)).join(' ');
}

function dataOf(each: unknown): string {
  const { data } = each as { data: unknown };
  if (typeof data === 'string') return data;
  const { port, target } = data as { port?: number; target?: string };
  return port === undefined ? String(data) : `${port}/${target}`;
}

const tables: Readonly<Record<string, readonly (readonly [name: string, type: RecordType, outcome: string])[]>> = {
  'services have their addresses': [
    ['web.default.svc.cluster.local', 'A', '10.96.0.1'],
    ['web.default.svc.cluster.local', 'AAAA', 'no data'],
    ['WEB.Default.svc.Cluster.Local', 'A', '10.96.0.1'],
    ['dual.default.svc.cluster.local', 'AAAA', 'fd00:96::0:3'],
    ['db.default.svc.cluster.local', 'A', '10.244.0.100 10.244.0.101 10.244.0.102'],
    ['empty.default.svc.cluster.local', 'A', 'denied'],
    ['missing.default.svc.cluster.local', 'A', 'denied'],
    ['web.missing.svc.cluster.local', 'A', 'denied'],
    ['web.default.svc.cluster.local', 'MX', 'no data'],
    ['missing.default.svc.cluster.local', 'MX', 'denied'],
    ['*.default.svc.cluster.local', 'A', 'denied'],
    ['web.*.svc.cluster.local', 'A', 'denied'],
  ],
  'an alias is followed': [
    ['outside.default.svc.cluster.local', 'CNAME', 'www.example-0.com'],
    ['alias.dev.svc.cluster.local', 'A', 'web.dev.svc.cluster.local 10.96.2.1'],
    ['alias.dev.svc.cluster.local', 'AAAA', 'no data'],
    ['x.alias.dev.svc.cluster.local', 'A', 'denied'],
    ['alias.dev.svc.cluster.local', 'SRV', 'no data'],
  ],
  'endpoints by hostname or dashed address': [
    ['db-1.db.default.svc.cluster.local', 'A', '10.244.0.101'],
    ['10-244-0-150.peers.default.svc.cluster.local', 'A', '10.244.0.150'],
    ['10-244-0-11.web.default.svc.cluster.local', 'A', '10.244.0.11'],
    ['db-3.db.default.svc.cluster.local', 'A', 'denied'],
    ['10-244-0-100.db.default.svc.cluster.local', 'A', 'denied'],
  ],
  'ports exist below denied names, with or without underscores': [
    ['_http._tcp.web.default.svc.cluster.local', 'SRV', '80/web.default.svc.cluster.local'],
    ['_http._tcp.web.default.svc.cluster.local', 'A', '10.96.0.1'],
    ['http.tcp.web.default.svc.cluster.local', 'A', '10.96.0.1'],
    ['_tcp.web.default.svc.cluster.local', 'SRV', 'denied'],
    ['tcp.web.default.svc.cluster.local', 'A', 'denied'],
    ['_http._udp.web.default.svc.cluster.local', 'SRV', 'denied'],
    ['_x._http._tcp.web.default.svc.cluster.local', 'SRV', 'denied'],
    ['_pg._tcp.peers.default.svc.cluster.local', 'SRV', ['150', '151'].map(peer).join(' ')],
    ['web.default.svc.cluster.local', 'SRV', '80/web.default.svc.cluster.local 9090/web.default.svc.cluster.local'],
  ],
  'names between exist': [
    ['cluster.local', 'A', 'no data'],
    ['svc.cluster.local', 'A', 'no data'],
    ['pod.cluster.local', 'AAAA', 'no data'],
    ['default.svc.cluster.local', 'A', 'no data'],
    ['default.pod.cluster.local', 'A', 'no data'],
    ['missing.svc.cluster.local', 'A', 'denied'],
    ['com.cluster.local', 'A', 'denied'],
    ['default.cluster.local', 'A', 'denied'],
  ],
  'ns.dns exists below a denied name': [
    ['ns.dns.cluster.local', 'A', '10.96.0.10'],
    ['ns.dns.cluster.local', 'AAAA', 'no data'],
    ['dns.cluster.local', 'A', 'denied'],
    ['cluster.local', 'NS', 'kube-dns.kube-system.svc.cluster.local'],
  ],
  'TXT and SOA are never denied': [
    ['dns-version.cluster.local', 'TXT', '1.1.0'],
    ['dns-version.cluster.local', 'A', 'denied'],
    ['x.dns-version.cluster.local', 'TXT', 'no data'],
    ['missing.default.svc.cluster.local', 'TXT', 'no data'],
    ['missing.default.svc.cluster.local', 'SOA', 'no data'],
    ['missing.default.svc.cluster.local', 'NS', 'denied'],
    ['missing.default.svc.cluster.local', 'HINFO', 'denied'],
  ],
  'pods by their dashed address': [
    ['10-244-0-9.default.pod.cluster.local', 'A', '10.244.0.9'],
    ['fd00--9.default.pod.cluster.local', 'AAAA', 'fd00::9'],
    ['x.10-244-0-9.default.pod.cluster.local', 'A', '10.244.0.9'],
    ['web.default.pod.cluster.local', 'A', 'denied'],
    ['10-244-0-9.missing.pod.cluster.local', 'A', 'denied'],
    ['a.b.c.10-244-0-9.default.pod.cluster.local', 'A', 'denied'],
  ],
  'addresses have names': [
    [reverseName('10.96.0.1'), 'PTR', 'web.default.svc.cluster.local'],
    [reverseName('fd00:96::0:3'), 'PTR', 'dual.default.svc.cluster.local'],
    [reverseName('10.244.0.101'), 'PTR', 'db-1.db.default.svc.cluster.local'],
    [reverseName('192.0.2.1'), 'PTR', 'denied'],
    ['0.96.10.in-addr.arpa', 'PTR', 'denied'],
    ['in-addr.arpa', 'A', 'no data'],
    ['web.default.svc.cluster.local', 'PTR', 'no data'],
  ],
  'other names are asked outside': [
    ['missing.example.com', 'A', 'denied'],
    ['v4only.example.com', 'AAAA', 'no data'],
    ['www.example.com.eu-central-1.compute.internal', 'A', 'denied'],
  ],
};

function peer(last: string): string {
  return `5432/10-244-0-${last}.peers.default.svc.cluster.local`;
}

describe('the stand-in answers as CoreDNS does', () => {
  for (const [what, rows] of Object.entries(tables)) {
    it(what, () => {
      for (const [name, type, outcome] of rows) assert.equal(asked(name, type), outcome, `${name} ${type}`);
    });
  }

  it('pods have no names where the Corefile has none for them', () => {
    const options = { podMode: 'disabled' } as const;
    assert.equal(asked('10-244-0-9.default.pod.cluster.local', 'A', options), 'denied');
    assert.equal(asked('default.pod.cluster.local', 'A', options), 'denied');
    assert.equal(asked('pod.cluster.local', 'A', options), 'no data');
  });

  it('says how long: the TTL of answers and denials is one', () => {
    const cluster = newCluster(sampleNamespaces, sampleServices(), () => 0, { ttlSeconds: 30 }).now;
    const denial = answer({ name: 'X.Default.Svc.Cluster.Local', type: 'A' }, cluster);
    const [start] = denial.authorities ?? [];
    assert.deepEqual([start.name, (start as { ttl: number }).ttl], ['Cluster.Local', 30]);
    assert.equal((start as unknown as { data: { minimum: number } }).data.minimum, 30);
    const [address] = answer({ name: 'web.default.svc.cluster.local', type: 'A' }, cluster).answers ?? [];
    assert.equal((address as { ttl: number }).ttl, 30);
  });

  it('knows what was true at a time', () => {
    let nowMs = 0;
    const cluster = newCluster(['default'], [], () => nowMs);
    const isThere = (): boolean[] => cluster.since(5).map(({ state }) => state.services.has('com.default'));
    assert.deepEqual(isThere(), [false]);
    nowMs = 10;
    cluster.create({ kind: 'external-name', name: 'com', namespace: 'default', target: 'a.example' });
    assert.deepEqual(isThere(), [true, false]);
    nowMs = 20;
    cluster.remove('com', 'default');
    assert.deepEqual(isThere(), [false, true, false]);
    assert.equal(cluster.since(20).length, 1);
  });
});
