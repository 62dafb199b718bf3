/**
 * What a cluster DNS answers: CoreDNS with its plugin `kubernetes` for the cluster's domain and the reverse zones
 * (`pods insecure` or none, `fallthrough in-addr.arpa ip6.arpa`) and `forward` for the rest. A pure function of the
 * question and the cluster's state, with the plugin's own view of names, which no zone file has:
 *
 * - `X.SVC.NS.svc` is an endpoint's name and is denied if no endpoint has it, but `Y.X.SVC.NS.svc` is a port and a
 *   protocol, with or without their underscores, and may exist below the denied name;
 * - `ns.dns` exists, and `dns` above it is denied;
 * - a headless service without endpoints is denied;
 * - TXT and SOA have no data at any name but two, and are never denied;
 * - a pod's name is its dashed address, and up to two labels before it do not matter.
 *
 * Source: coredns/coredns, plugin/kubernetes/{handler,kubernetes,parse,ns,reverse}.go, plugin/backend_lookup.go.
 */
import { isIP, isIPv4 } from 'node:net';
import type { Answer, RecordType } from 'dns-packet';
import { record } from '../simulation/records.js';
import type { ReplyRecords } from '../simulation/upstream.js';
import { type AddressService, type ClusterState, clusterDnsService, type ServiceEndpoint } from './cluster.js';
import { outsideAnswer } from './outside-answers.js';

/** As it stands in a message: the name in the client's spelling, without the closing dot. */
export interface NameAndType {
  readonly name: string;
  readonly type: RecordType;
}

const aaFlag = 0x0400;
const rcodeOfDenial = 3;
const versionTtlSeconds = 28_800;
const schemaVersion = '1.1.0';
/** A CNAME is not followed behind more records than this. */
const chainRecordsMax = 7;

interface Place {
  readonly zone: string;
  /** Lower case. */
  readonly name: string;
  /** Those before the zone, in the order in which they stand. */
  readonly labels: readonly string[];
}

/** An address or a name, and where it is. */
interface Backend {
  /** An address, or a CNAME's target. */
  readonly host: string;
  /** The name that SRV records have as their target. */
  readonly owner: string;
  readonly port: number;
}

/** What a name has; an empty list is a name that exists. */
type Lookup = readonly Backend[] | 'denied';

interface Records {
  readonly answers: Answer[];
  readonly additionals: Answer[];
}

const noData: Records = { answers: [], additionals: [] };

/** The answer to one question; the records of a name have its spelling. */
export function answer(question: NameAndType, cluster: ClusterState): ReplyRecords {
  const at = placeOf(question.name, [cluster.domain, 'in-addr.arpa', 'ip6.arpa']);
  if (at === null) return outsideAnswer(question);
  const records = recordsOf(question, at, cluster);
  if (records === 'denied' && at.zone !== cluster.domain) return outsideAnswer(question);
  if (records !== 'denied' && records.answers.length > 0) {
    return { flags: aaFlag, answers: records.answers, additionals: records.additionals };
  }
  // The zone in the client's spelling.
  const owner = question.name.slice(question.name.length - at.zone.length);
  const rcode = records === 'denied' ? rcodeOfDenial : 0;
  return { flags: aaFlag, rcode, authorities: [startOf(owner, cluster)] };
}

function placeOf(spelled: string, zones: readonly string[]): Place | null {
  const name = spelled.toLowerCase();
  const zone = zones.find((each) => name === each || name.endsWith(`.${each}`));
  if (zone === undefined) return null;
  const before = name.slice(0, name.length - zone.length);
  return { zone, name, labels: before.split('.').filter(Boolean) };
}

function recordsOf(question: NameAndType, at: Place, cluster: ClusterState): Records | 'denied' {
  const { name, type } = question;
  const isApex = at.labels.length === 0;
  const only = (answers: Answer[] | 'denied'): Records | 'denied' =>
    answers === 'denied' ? answers : { answers, additionals: [] };
  switch (type) {
    case 'TXT': {
      const isVersion = at.labels.length === 1 && at.labels[0] === 'dns-version';
      return isVersion ? only([record(name, 'TXT', versionTtlSeconds, [schemaVersion])]) : noData;
    }
    case 'SOA':
      return isApex ? only([startOf(name, cluster)]) : noData;
    case 'PTR':
      return only(pointersOf(name, at, cluster));
    case 'SRV':
      return locationsOf(name, at, cluster);
    case 'A':
    case 'AAAA':
      return only(addressesOf({ name, type }, at, cluster, []));
    case 'CNAME': {
      const found = lookup(at, cluster);
      const alias = found === 'denied' ? undefined : found.find(({ host }) => isIP(host) === 0);
      return only(found === 'denied' ? found : alias ? [record(name, 'CNAME', cluster.ttlSeconds, alias.host)] : []);
    }
    default:
      if (type === 'NS' && isApex) return serversOf(name, cluster);
      return lookup(at, cluster) === 'denied' ? 'denied' : noData;
  }
}

/** Addresses of one family, behind the CNAMEs that lead to them. */
function addressesOf(
  { name, type }: NameAndType,
  at: Place,
  cluster: ClusterState,
  before: readonly Answer[],
): Answer[] | 'denied' {
  const found = lookup(at, cluster);
  if (found === 'denied') return found;
  const family = type === 'A' ? 4 : 6;
  const addresses = [...new Set(found.map(({ host }) => host))].filter((host) => isIP(host) === family);
  const records = addresses.map((address) => record(name, type, cluster.ttlSeconds, address));
  const target = found.map(({ host }) => host).find((host) => isIP(host) === 0);
  if (target === undefined || target === at.name || before.length > chainRecordsMax) return records;
  const alias = record(name, 'CNAME', cluster.ttlSeconds, target);
  const there = placeOf(target, [cluster.domain]);
  if (there === null) return [alias, ...(outsideAnswer({ name: target, type }).answers ?? [])];
  // An alias that leads nowhere in the cluster's domain is left out.
  const further = addressesOf({ name: target, type }, there, cluster, [...before, alias]);
  return further === 'denied' || further.length === 0 ? [] : [alias, ...further];
}

function locationsOf(name: string, at: Place, cluster: ClusterState): Records | 'denied' {
  const found = lookup(at, cluster);
  if (found === 'denied') return found;
  const backends = found.filter(({ host }) => isIP(host) !== 0);
  const weight = Math.max(1, Math.floor(100 / backends.length));
  const { ttlSeconds } = cluster;
  const targets = new Map(backends.map((backend) => [`${backend.owner} ${backend.port}`, backend]));
  const addresses = new Map(backends.map((backend) => [`${backend.owner} ${backend.host}`, backend]));
  return {
    answers: [...targets.values()].map(({ owner, port }) =>
      record(name, 'SRV', ttlSeconds, { priority: 0, weight, port, target: owner }),
    ),
    additionals: [...addresses.values()].map(({ owner, host }) =>
      record(owner, isIPv4(host) ? 'A' : 'AAAA', ttlSeconds, host),
    ),
  };
}

/** A whole address in a reverse zone is a service's or an endpoint's; other names are looked up as any. */
function pointersOf(name: string, at: Place, cluster: ClusterState): Answer[] | 'denied' {
  const address = addressOfReverse(at);
  if (address === null) return lookup(at, cluster) === 'denied' ? 'denied' : [];
  const { domain, ttlSeconds } = cluster;
  const services = [...cluster.services.values()].filter((service) => service.kind !== 'external-name');
  const service = services.find(({ addresses }) => addresses.some((each) => reverseName(each) === at.name));
  const targets =
    service !== undefined
      ? [ownerOf(service, domain)]
      : services.flatMap((each) =>
          each.endpoints
            .filter((endpoint) => endpoint.address === address)
            .map((endpoint) => `${hostnameOf(endpoint)}.${ownerOf(each, domain)}`),
        );
  if (targets.length === 0) return 'denied';
  return targets.map((target) => record(name, 'PTR', ttlSeconds, target));
}

function serversOf(name: string, cluster: ClusterState): Records {
  const server = ownerOf(clusterDnsService, cluster.domain);
  return {
    answers: [record(name, 'NS', cluster.ttlSeconds, server)],
    additionals: clusterDnsService.addresses.map((each) => record(server, 'A', cluster.ttlSeconds, each)),
  };
}

function startOf(owner: string, { serial, ttlSeconds }: ClusterState): Answer {
  return record(owner, 'SOA', ttlSeconds, {
    mname: `ns.dns.${owner}`,
    rname: `hostmaster.${owner}`,
    serial,
    refresh: 7200,
    retry: 1800,
    expire: 86_400,
    minimum: ttlSeconds,
  });
}

function lookup({ zone, labels }: Place, cluster: ClusterState): Lookup {
  if (labels.length === 2 && labels[0] === 'ns' && labels[1] === 'dns') {
    return clusterDnsService.addresses.map((host) => ({ host, owner: `ns.dns.${zone}`, port: 0 }));
  }
  const kind = labels.at(-1);
  if (kind === undefined) return [];
  if (kind !== 'svc' && kind !== 'pod') return 'denied';
  const [namespace, name, ...more] = labels.slice(0, -1).toReversed();
  if (namespace === undefined) return [];
  if (more.length > 2 || zone !== cluster.domain || !cluster.namespaces.has(namespace)) return 'denied';
  if (kind === 'pod') return podOf(name, namespace, cluster);
  if (name === undefined) return [];
  const service = cluster.services.get(`${name}.${namespace}`);
  if (service === undefined) return 'denied';
  if (service.kind === 'external-name') {
    return more.length > 0 ? 'denied' : [{ host: service.target, owner: ownerOf(service, cluster.domain), port: 0 }];
  }
  const [first, second] = more.map((label) => label.replace(/^_/, ''));
  // One label is an endpoint, with its underscore; two are a protocol and a port.
  if (more.length === 2) return backendsOf(service, cluster.domain, { protocol: first, portName: second });
  return backendsOf(service, cluster.domain, more.length === 1 ? { endpoint: more[0] } : {});
}

interface Selection {
  readonly endpoint?: string;
  readonly protocol?: string;
  readonly portName?: string;
}

function backendsOf(service: AddressService, domain: string, { endpoint, protocol, portName }: Selection): Lookup {
  const ports = service.ports.filter(
    (port) => (protocol || port.protocol) === port.protocol && (portName || port.name) === port.name,
  );
  const own = ownerOf(service, domain);
  const hosts =
    service.kind === 'headless' || endpoint !== undefined
      ? service.endpoints
          .map((each) => ({ host: each.address, hostname: hostnameOf(each) }))
          .filter(({ hostname }) => endpoint === undefined || hostname === endpoint)
          .map(({ host, hostname }) => ({ host, owner: `${hostname}.${own}` }))
      : service.addresses.map((host) => ({ host, owner: own }));
  const backends = hosts.flatMap((each) => ports.map(({ port }) => ({ ...each, port })));
  return backends.length === 0 ? 'denied' : backends;
}

function podOf(name: string | undefined, namespace: string, { domain, podMode }: ClusterState): Lookup {
  if (podMode === 'disabled') return 'denied';
  if (name === undefined) return [];
  const isDashedIPv4 = name.split('-').length === 4 && !name.includes('--');
  const address = name.replaceAll('-', isDashedIPv4 ? '.' : ':');
  if (isIP(address) === 0) return 'denied';
  return [{ host: address, owner: `${name}.${namespace}.pod.${domain}`, port: 0 }];
}

function ownerOf({ name, namespace }: { readonly name: string; readonly namespace: string }, domain: string): string {
  return `${name}.${namespace}.svc.${domain}`;
}

function hostnameOf({ address, hostname }: ServiceEndpoint): string {
  return hostname ?? address.replaceAll(/[.:]/g, '-');
}

/** The IPv4 address that a whole reverse name is of; of an IPv6 address, its name, which is compared with names. */
function addressOfReverse({ zone, labels, name }: Place): string | null {
  if (zone === 'in-addr.arpa' && labels.length === 4) {
    const address = labels.toReversed().join('.');
    return isIPv4(address) ? address : null;
  }
  return zone === 'ip6.arpa' && labels.length === 32 ? name : null;
}

/** The name in a reverse zone that an address has. */
export function reverseName(address: string): string {
  if (isIPv4(address)) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const [head, tail = ''] = address.split('::');
  const [left, right] = [head, tail].map((part) => part.split(':').filter(Boolean));
  const middle = Array.from({ length: 8 - left.length - right.length }, () => '0');
  const nibbles = [...left, ...middle, ...right].map((group) => group.padStart(4, '0')).join('');
  return `${[...nibbles].reverse().join('.')}.ip6.arpa`;
}
