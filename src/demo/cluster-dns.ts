/**
 * The demo's stand-in for the cluster DNS: one loopback port, UDP and pipelined TCP, answers from zones.ts. For the
 * demo only: it truncates nothing (answers are small) and has no idle timeout.
 */
import { FrameReader, frameHeaderBytes, writeFrame } from '../dns/frame.js';
import { lowerCaseName, typeNumber, wireToName } from '../dns/names.js';
import { Query, questionOf, type Refusal, readQuery } from '../dns/query.js';
import { encodeResponse, parseRecord } from '../dns/records.js';
import {
  atFlags,
  messageId,
  rcodeFormErr,
  rcodeNoError,
  rcodeNotImp,
  rcodeNxDomain,
  rcodeRefused,
  setU16,
  skipPlainName,
  typeAny,
  typeCname,
  typeSoa,
  u16,
} from '../dns/wire.js';
import { headerBytes, tcpClientsMax, tcpClientUnsentBytesMax, udpBytesDefault } from '../limits.js';
import type { Endpoint, Network, Stream, StreamEvents } from '../os/network.js';

export interface StandIn {
  readonly at: Endpoint;
  close(): void;
}

interface StandInParts {
  readonly network: Network;
  readonly lookup: Lookup;
  /** Called before each answer, with the name as queried. */
  asked(name: string, type: number): void;
}

/** Opens it on a free port of `address`. Rejects with the system's error. */
export async function openStandIn(parts: StandInParts, address: string): Promise<StandIn> {
  const streams = new Set<Stream>();
  const listener = await parts.network.listenStreams({ address, port: 0 }, (stream) =>
    serveStream(parts, stream, streams),
  );
  try {
    const datagrams = await parts.network.openDatagrams(listener.local, {
      datagram(bytes, from) {
        const answer = answerTo(parts, bytes);
        if (answer !== null) datagrams.send(answer, from);
      },
      error() {},
    });
    return {
      at: listener.local,
      close() {
        listener.close();
        datagrams.close();
        for (const stream of streams) stream.destroy();
      },
    };
  } catch (error) {
    listener.close();
    throw error;
  }
}

function serveStream(parts: StandInParts, stream: Stream, streams: Set<Stream>): StreamEvents {
  streams.add(stream);
  const reader = new FrameReader();
  if (streams.size > tcpClientsMax) stream.destroy();
  return {
    data(bytes) {
      reader.push(bytes, (message) => {
        const answer = answerTo(parts, message);
        if (answer !== null) stream.write(framedMessage(answer));
      });
      if (stream.unsentBytes > tcpClientUnsentBytesMax) stream.destroy();
    },
    ended: () => stream.end(),
    closed: () => streams.delete(stream),
  };
}

function framedMessage(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(frameHeaderBytes + message.length);
  writeFrame(frame, 0, message);
  return frame;
}

const rcodesOfRefusals: Readonly<Record<Exclude<Refusal, 'drop'>, number>> = {
  formerr: rcodeFormErr,
  notimp: rcodeNotImp,
  refused: rcodeRefused,
  // BADVERS would need an OPT; servers without EDNS answer FORMERR (RFC 6891 7).
  badvers: rcodeFormErr,
};

function answerTo({ lookup, asked }: StandInParts, packet: Uint8Array): Uint8Array | null {
  const query = new Query();
  const refusal = readQuery(packet, packet.length, query);
  if (refusal === 'drop') return null;
  if (refusal !== 'ok') return refusedAnswer(packet, rcodesOfRefusals[refusal]);
  const name = wireToName(packet, headerBytes);
  asked(name, query.type);
  const found = lookup(name, query.type);
  return encodeResponse({
    ...found,
    id: messageId(packet),
    question: questionOf(packet, query),
    recursionDesired: query.recursionDesired,
    recursionAvailable: true,
    checkingDisabled: query.checkingDisabled,
    additional: query.edns ? [...found.additional, optRecord(query.dnssecOk)] : found.additional,
  });
}

/** A header: QR, the query's opcode and RD, the rcode. */
function refusedAnswer(packet: Uint8Array, rcode: number): Uint8Array {
  const header = new Uint8Array(headerBytes);
  header.set(packet.subarray(0, atFlags));
  header[atFlags] = 0x80 | (packet[atFlags] & 0x79);
  header[atFlags + 1] = rcode;
  return header;
}

/** An OPT (RFC 6891 6.1.2): root, type 41, our size as class, version 0, DO as queried. */
function optRecord(dnssecOk: boolean): Uint8Array {
  const record = new Uint8Array(11);
  record[2] = 41;
  setU16(record, 3, udpBytesDefault);
  if (dnssecOk) record[7] = 0x80;
  return record;
}

export interface Found {
  readonly rcode: number;
  readonly authoritative: boolean;
  /** Uncompressed, in wire form. */
  readonly answer: readonly Uint8Array[];
  readonly authority: readonly Uint8Array[];
  readonly additional: readonly Uint8Array[];
}

type Lookup = (name: string, type: number) => Found;

/** TTLs as in CoreDNS: 5 for Services, 30 for the rest; outside addresses are from RFC 5737. */
export const demoRecords: readonly string[] = [
  'cluster.local. 30 SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 30',
  'cluster.local. 30 NS kube-dns.kube-system.svc.cluster.local.',
  'dns-version.cluster.local. 30 TXT "1.1.0"',
  ...clusterService('kubernetes.default', '10.96.0.1', '_https._tcp', 443),
  ...clusterService('kube-dns.kube-system', '10.96.0.10', '_dns._udp', 53),
  ...clusterService('web.default', '10.96.20.80', '_http._tcp', 80),
  ...headlessService('db.default', ['10.244.1.5', '10.244.2.7', '10.244.3.9'], '_pg._tcp', 5432),
  'in-addr.arpa. 30 SOA ns.dns.in-addr.arpa. hostmaster.in-addr.arpa. 1 7200 1800 86400 30',
  'ip6.arpa. 30 SOA ns.dns.ip6.arpa. hostmaster.ip6.arpa. 1 7200 1800 86400 30',
  '. 86400 SOA a.root-servers.net. nstld.verisign-grs.com. 2024010100 1800 900 604800 86400',
  'example.com. 3600 SOA ns.example.com. hostmaster.example.com. 1 7200 3600 1209600 300',
  'example.com. 3600 NS ns.example.com.',
  'example.com. 3600 MX 10 mail.example.com.',
  'example.com. 300 A 192.0.2.10',
  'example.com. 300 AAAA 2001:db8::10',
  'mail.example.com. 300 A 192.0.2.25',
  'ns.example.com. 3600 A 192.0.2.53',
  'www.example.com. 300 CNAME web.cdn.example.net.',
  'example.net. 3600 SOA ns.example.com. hostmaster.example.net. 1 7200 3600 1209600 300',
  'web.cdn.example.net. 60 A 192.0.2.80',
  'web.cdn.example.net. 60 A 192.0.2.81',
];

function clusterService(service: string, address: string, portName: string, port: number): string[] {
  const name = `${service}.svc.cluster.local.`;
  return [
    `${name} 5 A ${address}`,
    `${portName}.${name} 5 SRV 0 100 ${port} ${name}`,
    `${demoReverseName(address)} 5 PTR ${name}`,
  ];
}

function headlessService(service: string, addresses: readonly string[], portName: string, port: number): string[] {
  const name = `${service}.svc.cluster.local.`;
  const podName = service.split('.')[0];
  return addresses.flatMap((address, ordinal) => {
    const pod = `${podName}-${ordinal}.${name}`;
    return [
      `${name} 5 A ${address}`,
      `${pod} 5 A ${address}`,
      `${portName}.${name} 5 SRV 0 33 ${port} ${pod}`,
      `${demoReverseName(address)} 5 PTR ${pod}`,
    ];
  });
}

function demoReverseName(address: string): string {
  return `${address.split('.').reverse().join('.')}.in-addr.arpa.`;
}

interface ZoneRecord {
  readonly type: number;
  readonly wire: Uint8Array;
  readonly target: string | null;
}

/** Empty for a name that only has names below it. */
type ZoneNode = readonly ZoneRecord[];

const demoTypeSrv = 33;
const addressTypes = ['A', 'AAAA'].map((name) => typeNumber(name) as number);
/** Per query; the zones above need one. */
const chainMax = 8;

/**
 * Looks names up in these records, in presentation form; names with a SOA are zones. Throws an Error on a bad record.
 */
export function lookupIn(records: readonly string[]): Lookup {
  const nodes = zoneNodes(records);
  return (name, type) => find(nodes, lowerCaseName(name), type);
}

function find(nodes: ReadonlyMap<string, ZoneNode>, name: string, type: number): Found {
  const answer: ZoneRecord[] = [];
  let owner = name;
  for (let link = 0; link < chainMax; link++) {
    const node = nodes.get(owner);
    if (node === undefined) return negative(nodes, owner, rcodeNxDomain, answer);
    const wanted = ofType(node, type);
    if (wanted.length > 0) return positive(nodes, name, [...answer, ...wanted]);
    const [alias] = ofType(node, typeCname);
    if (alias?.target == null) return negative(nodes, owner, rcodeNoError, answer);
    answer.push(alias);
    owner = alias.target;
  }
  return positive(nodes, name, answer);
}

function positive(nodes: ReadonlyMap<string, ZoneNode>, name: string, answer: readonly ZoneRecord[]): Found {
  const targets = answer.flatMap(({ type, target }) => (type === demoTypeSrv && target !== null ? [target] : []));
  const additional = [...new Set(targets)].flatMap((target) =>
    (nodes.get(target) ?? []).filter(({ type }) => addressTypes.includes(type)),
  );
  return {
    rcode: rcodeNoError,
    authoritative: isOfCluster(zoneOf(nodes, name)),
    answer: answer.map(({ wire }) => wire),
    authority: [],
    additional: additional.map(({ wire }) => wire),
  };
}

/** NXDOMAIN or NODATA, with the SOA for its TTL (RFC 2308 2). */
function negative(
  nodes: ReadonlyMap<string, ZoneNode>,
  name: string,
  rcode: number,
  answer: readonly ZoneRecord[],
): Found {
  const zone = zoneOf(nodes, name);
  return {
    rcode,
    authoritative: isOfCluster(zone),
    answer: answer.map(({ wire }) => wire),
    authority: ofType(nodes.get(zone) ?? [], typeSoa).map(({ wire }) => wire),
    additional: [],
  };
}

function ofType(node: ZoneNode, type: number): ZoneRecord[] {
  return node.filter((record) => type === typeAny || record.type === type);
}

/** The closest name above with a SOA; the root has one. */
function zoneOf(nodes: ReadonlyMap<string, ZoneNode>, name: string): string {
  return ancestors(name).find((above) => ofType(nodes.get(above) ?? [], typeSoa).length > 0) ?? '.';
}

/** Zones of the cluster DNS; it would ask others for the rest. */
function isOfCluster(zone: string): boolean {
  return zone === 'cluster.local.' || zone.endsWith('.arpa.');
}

function zoneNodes(records: readonly string[]): Map<string, ZoneNode> {
  const nodes = new Map<string, ZoneRecord[]>();
  for (const text of records) {
    const wire = parseRecord(text);
    const owner = lowerCaseName(wireToName(wire, 0));
    for (const name of ancestors(owner)) if (!nodes.has(name)) nodes.set(name, []);
    nodes.get(owner)?.push(readRecord(wire));
  }
  return nodes;
}

function readRecord(wire: Uint8Array): ZoneRecord {
  const fixedAt = skipPlainName(wire, 0, wire.length);
  const type = u16(wire, fixedAt);
  const dataAt = fixedAt + 10;
  const targetAt = type === typeCname ? dataAt : type === demoTypeSrv ? dataAt + 6 : -1;
  return { type, wire, target: targetAt === -1 ? null : lowerCaseName(wireToName(wire, targetAt)) };
}

/** The name itself, then its parents, the root last. No name here has an escaped dot. */
function ancestors(name: string): string[] {
  const names: string[] = [];
  for (let rest = name; rest !== '' && rest !== '.'; rest = rest.slice(rest.indexOf('.') + 1)) names.push(rest);
  return [...names, '.'];
}
