/**
 * Every name that somebody may ask about a cluster: those that exist, those beside, between and below them, and those
 * that search lists make out of names of the outside world.
 */
import type { RecordType } from 'dns-packet';
import type { ClusterState, Service } from './cluster.js';
import { reverseName } from './kubernetes-answers.js';

/** All types that the plugin treats in a way of its own, and one that it does not know. */
export const askedTypes: readonly RecordType[] = [
  'A',
  'AAAA',
  'SRV',
  'TXT',
  'CNAME',
  'PTR',
  'MX',
  'NS',
  'SOA',
  'HINFO',
];

const outsideNames = ['www.example.com', 'a.b.example.io', 'www.svc', 'web.dev', 'ns.dns', 'missing.example.net'];

/** Without doubles, without closing dots. */
export function namesOf(cluster: ClusterState): string[] {
  const { domain } = cluster;
  const services = [...cluster.services.values()].flatMap((service) => namesAround(service, domain));
  const namespaces = [...cluster.namespaces, 'missing'].flatMap((namespace) => [
    ...['svc', 'pod', 'other'].map((kind) => `${namespace}.${kind}.${domain}`),
    ...outsideNames.map((name) => `${name}.${namespace}.svc.${domain}`),
    ...['10-244-0-9', 'x.10-244-0-9', 'a.b.10-244-0-9', 'fd00--9', 'web', 'x.web', 'a.b.web'].map(
      (pod) => `${pod}.${namespace}.pod.${domain}`,
    ),
    ...['missing', '_tcp', '_http._tcp', '*', 'x.missing', '_http._tcp.missing', 'a.b.c.missing'].map(
      (name) => `${name}.${namespace}.svc.${domain}`,
    ),
  ]);
  const around = ['svc', 'pod', 'com', 'x.com', 'dns', 'ns.dns', 'x.ns.dns', 'a.dns', 'dns-version', 'x.dns-version'];
  const outside = ['', '.svc', '.eu-central-1.compute.internal'].flatMap((search) =>
    outsideNames.map((name) => (search === '.svc' ? `${name}.svc.${domain}` : `${name}${search}`)),
  );
  const apex = [
    domain,
    ...around.map((name) => `${name}.${domain}`),
    ...outsideNames.map((name) => `${name}.${domain}`),
  ];
  const arpa = ['in-addr.arpa', 'ip6.arpa', 'svc.in-addr.arpa', '10.in-addr.arpa', reverseName('192.0.2.1')];
  return [...new Set([...services, ...namespaces, ...apex, ...outside, ...arpa])];
}

function namesAround(service: Service, domain: string): string[] {
  const own = `${service.name}.${service.namespace}.svc.${domain}`;
  const before = ['x', '_tcp', 'tcp', '_http._tcp', 'http.tcp', '_x._tcp', 'x.y', 'x.y.z', '_x._http._tcp', '*'];
  const common = [own, ...before.map((label) => `${label}.${own}`)];
  if (service.kind === 'external-name') return common;
  const hosts = service.endpoints.map(({ address, hostname }) => hostname ?? address.replaceAll('.', '-'));
  return [
    ...common,
    ...service.ports.map(({ name, protocol }) => `_${name}._${protocol}.${own}`),
    ...service.ports.map(({ protocol }) => `_${protocol}.${own}`),
    ...hosts.flatMap((host) => [`${host}.${own}`, `x.${host}.${own}`, `_pg._tcp.${host}.${own}`]),
    ...service.addresses.map(reverseName),
    ...service.endpoints.map(({ address }) => reverseName(address)),
  ];
}

/** A name in another spelling: each bit of `bits` turns the case of a letter. */
export function spelled(name: string, bits: number): string {
  return [...name]
    .map((character, index) => ((bits >>> (index % 31)) & 1 ? character.toUpperCase() : character))
    .join('');
}
