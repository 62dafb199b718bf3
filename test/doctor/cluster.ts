/**
 * A node and a cluster DNS as the doctor's checks see them: a network whose servers answer as a test says, kube-proxy's rules
 * as texts, pages, and a clock that the test moves. Healthy by default, so a test names only its fault.
 */
import dnsPacket, { type Answer } from 'dns-packet';
import type { Check, DoctorOutsides, Finding } from '../../src/doctor/check.js';
import { type DoctorReport, runDoctor } from '../../src/doctor/doctor.js';
import type { ServerFacts } from '../../src/doctor/facts.js';
import type { ProbeTransport } from '../../src/doctor/probe.js';
import type { CommandEnd } from '../../src/os/commands.js';
import type { DatagramEvents, Endpoint, Network, StreamEvents } from '../../src/os/network.js';
import { ManualClock } from '../simulation/clock.js';
import { seededRandom } from '../simulation/random.js';

export interface AskedHere {
  readonly to: string;
  readonly over: ProbeTransport;
  /** Without the closing dot. */
  readonly name: string;
  readonly type: string;
}

/** An answer, or why there is none. */
export type ReplyHere =
  | {
      readonly rcode?: 'SERVFAIL' | 'NXDOMAIN' | 'REFUSED';
      readonly addresses?: readonly string[];
      readonly ptr?: string;
    }
  | 'silent'
  | 'closed';

type Page = string | { readonly status: number; readonly body: string } | null;

export interface ClusterSeen {
  /** Undefined: as a healthy cluster answers. */
  readonly answers?: (asked: AskedHere) => ReplyHere | undefined;
  readonly endpoints?: readonly string[];
  readonly hasAffinity?: boolean;
  /** Standard output by command line. */
  readonly programs?: Readonly<Record<string, string | CommandEnd>>;
  /** By URL; a function is called each time. */
  readonly pages?: Readonly<Record<string, Page | (() => Page)>>;
  readonly files?: Readonly<Record<string, string | (() => string)>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly facts?: Partial<ServerFacts> | null;
  readonly flags?: Partial<ServerFacts['flags']>;
  readonly outsideName?: string;
  readonly networkNamespace?: string;
}

export interface ClusterOutsides extends DoctorOutsides {
  readonly clock: ManualClock;
  readonly asked: readonly AskedHere[];
}

/** The healthy cluster: the Service that zerohop asks, its endpoints, the node's resolver, the cache. */
export const upstreamService = '10.96.0.11';
export const pods = ['10.244.0.7', '10.244.1.8'] as const;
export const nodeResolver = '10.0.0.2';
export const cacheAddress = '169.254.20.10';

export const clusterFacts: ServerFacts = {
  version: '0.2.0',
  pid: 17,
  upSeconds: 3_600,
  role: 'serving',
  standBys: 1,
  isLastReloadRefused: false,
  networkNamespace: 'net:[1]',
  flags: {
    localAddresses: [cacheAddress, '10.96.0.10'],
    dnsPort: 53,
    healthPort: 8080,
    setupInterface: true,
    interfaceName: 'nodelocaldns',
    firewall: 'auto',
    clusterDns: { address: upstreamService, port: 53 },
    clusterDnsMissing: '',
  },
  clusterDomain: 'cluster.local',
  aaaaPolicies: ['nodata'],
  nodeResolvers: [nodeResolver],
  skippedResolvers: [],
  upstreams: [{ address: `${upstreamService}:53`, protocol: 'tcp', healthy: true, failures: 0 }],
  retries: 212,
  recent: {
    seconds: 900,
    queries: 10_000,
    byLocalAddress: {},
    aaaa: 4_000,
    nxdomainBelowClusterDomain: 0,
    servfail: 3,
  },
  topNames: [],
  hasAutopath: false,
  notReady: [],
};

const healthyFiles: NonNullable<ClusterSeen['files']> = {
  '/proc/net/route': 'Iface\tDestination\tGateway\neth0\t00000000\t0100000A\n',
  '/proc/net/stat/nf_conntrack': 'entries insert_failed drop\n00000010 00000000 00000000\n',
  '/proc/net/snmp': 'Udp: InDatagrams RcvbufErrors\nUdp: 100 0\n',
  '/proc/net/softnet_stat': '00000010 00000000 00000000\n',
};

export function clusterSeen(seen: ClusterSeen = {}): ClusterOutsides {
  const clock = new ManualClock();
  const asked: AskedHere[] = [];
  const { endpoints = pods } = seen;
  const texts = Object.assign(rulesFor(endpoints, seen.hasAffinity === true), routesTo(endpoints), seen.programs);
  const pages = Object.assign(healthyPages(endpoints), seen.pages);
  const files = Object.assign({}, healthyFiles, seen.files);
  const read = (path: string): string | undefined => {
    const text = files[path];
    return typeof text === 'function' ? text() : text;
  };
  const answer = (question: AskedHere): ReplyHere => {
    asked.push(question);
    return seen.answers?.(question) ?? healthyAnswer(question);
  };
  const facts = Object.assign({}, clusterFacts, seen.facts);
  return {
    clock,
    asked,
    random: seededRandom(1),
    network: networkOf(clock, answer),
    facts: seen.facts === null ? null : Object.assign(facts, { flags: Object.assign({}, facts.flags, seen.flags) }),
    environment: seen.environment ?? {
      KUBERNETES_SERVICE_HOST: '10.96.0.1',
      KUBE_DNS_SERVICE_HOST: '10.96.0.10',
      KUBE_DNS_UPSTREAM_SERVICE_HOST: upstreamService,
    },
    networkNamespace: seen.networkNamespace ?? 'net:[1]',
    outsideName: seen.outsideName ?? null,
    readFile: read,
    async readPieces(path) {
      const text = read(path);
      return text === undefined ? undefined : [Buffer.from(text)];
    },
    async run({ program, parameters, keep }) {
      const said = texts[[program, ...parameters].join(' ')];
      if (said === undefined) return { ran: false, why: 'missing', text: `${program} is not installed` };
      if (typeof said !== 'string') return said;
      const lines = said.split('\n').filter((line) => keep === undefined || keep(line));
      return { ran: true, status: 0, stdout: lines.map((line) => `${line}\n`).join(''), stderr: '' };
    },
    async fetchText(url) {
      const page = pages[url] ?? null;
      const now = typeof page === 'function' ? page() : page;
      return typeof now === 'string' ? { status: 200, body: now } : now;
    },
  };
}

/** What kube-proxy in iptables mode writes for the Service with these endpoints. */
function rulesFor(endpoints: readonly string[], hasAffinity: boolean): Record<string, string | CommandEnd> {
  const chains = endpoints.flatMap((address, index) =>
    ['udp', 'tcp'].flatMap((over) => {
      const [service, endpoint] = [`KUBE-SVC-${over}`, `KUBE-SEP-${over}${index}`];
      const sticky = `-A ${service} -m recent --rcheck --seconds 10800 --reap --name ${endpoint} --rsource -j ${endpoint}`;
      return [
        ...(hasAffinity ? [sticky] : []),
        `-A ${service} -j ${endpoint}`,
        `-A ${endpoint} -p ${over} -m ${over} -j DNAT --to-destination ${address}:53`,
      ];
    }),
  );
  const dispatch = ['udp', 'tcp'].map((over) => {
    const comment = '-m comment --comment "kube-system/kube-dns-upstream:dns cluster IP"';
    return `-A KUBE-SERVICES -d ${upstreamService}/32 -p ${over} ${comment} -m ${over} --dport 53 -j KUBE-SVC-${over}`;
  });
  const rejects = dispatch.map((line) => line.replace('cluster IP', 'has no endpoints').replace(/-j .*/, '-j REJECT'));
  const nat = [':KUBE-SERVICES - [0:0]', ...(endpoints.length > 0 ? dispatch : []), ...chains];
  return {
    'iptables-nft-save -t nat': nat.join('\n'),
    'iptables-nft-save -t filter': endpoints.length > 0 ? '' : rejects.join('\n'),
  };
}

/** The first endpoint is on this node, all others behind a gateway. */
function routesTo(endpoints: readonly string[]): Record<string, string> {
  const route = (dst: string, index: number) =>
    index === 0 ? { dst, dev: 'veth1' } : { dst, gateway: '10.0.0.1', dev: 'eth0' };
  return Object.fromEntries(
    endpoints.map((address, index) => [`ip -j route get ${address}`, JSON.stringify([route(address, index)])]),
  );
}

export function coreDnsMetrics(values: Readonly<Record<string, number>> = {}): string {
  const usual = {
    'coredns_dns_responses_total{rcode="NOERROR",server="dns://:53"}': 1_000,
    'coredns_dns_requests_total{type="A",server="dns://:53"}': 1_000,
    process_cpu_seconds_total: 10,
    process_start_time_seconds: Date.UTC(2024, 0, 1) / 1_000 - 86_400 * 37,
    'coredns_kubernetes_rest_client_requests_total{code="200",host="10.96.0.1:443",method="GET"}': 20,
    'coredns_proxy_request_duration_seconds_count{proxy_name="forward",to="10.0.0.2:53"}': 500,
  };
  const lines = Object.entries(Object.assign({}, usual, values)).map(([name, value]) => `${name} ${value}`);
  return `# HELP coredns_dns_requests_total Counter.\n# TYPE coredns_dns_requests_total counter\n${lines.join('\n')}\n`;
}

function healthyPages(endpoints: readonly string[]): Record<string, Page | (() => Page)> {
  const pages = endpoints.flatMap((address) => [
    [`http://${address}:9153/metrics`, coreDnsMetrics()],
    [`http://${address}:8181/ready`, 'OK'],
  ]);
  return Object.assign({ 'http://127.0.0.1:10249/proxyMode': 'iptables' }, Object.fromEntries(pages));
}

function healthyAnswer({ to, name, type }: AskedHere): ReplyHere {
  const isResolver = to === nodeResolver;
  if (name === '' || name === '.') return {};
  if (type === 'PTR') return isResolver ? { rcode: 'NXDOMAIN' } : { ptr: 'kubernetes.default.svc.cluster.local' };
  if (name === 'kubernetes.default.svc.cluster.local' && !isResolver) {
    return type === 'A' ? { addresses: ['10.96.0.1'] } : {};
  }
  return { rcode: 'NXDOMAIN' };
}

const rcodes = { SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;

function encodeReply(query: Uint8Array, reply: Exclude<ReplyHere, string>): Uint8Array {
  const { id, questions = [] } = dnsPacket.decode(Buffer.from(query));
  const name = questions[0]?.name ?? '.';
  const answers: Answer[] = [
    ...(reply.addresses ?? []).map((data): Answer => ({ type: data.includes(':') ? 'AAAA' : 'A', name, data, ttl: 5 })),
    ...(reply.ptr === undefined ? [] : [{ type: 'PTR', name, data: reply.ptr, ttl: 5 } as const]),
  ];
  const flags = reply.rcode === undefined ? 0 : rcodes[reply.rcode];
  return dnsPacket.encode({ type: 'response', id: id ?? 0, flags, questions, answers });
}

/** Every answer takes a millisecond. */
function networkOf(clock: ManualClock, answer: (asked: AskedHere) => ReplyHere): Network {
  const refusal = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  const reply = (
    query: Uint8Array,
    to: Endpoint,
    over: ProbeTransport,
    came: (bytes: Uint8Array | null) => void,
  ): void => {
    const [question] = dnsPacket.decode(Buffer.from(query)).questions ?? [];
    const given = answer({ to: to.address, over, name: question?.name ?? '', type: question?.type ?? '' });
    const bytes = typeof given === 'string' ? null : encodeReply(query, given);
    if (given !== 'silent') clock.after(1, () => came(bytes));
  };
  return {
    hostAddresses: () => ['10.0.0.5', cacheAddress],
    connectDatagrams(to: Endpoint, events: DatagramEvents) {
      let isOpen = true;
      return {
        local: { address: '', port: 1 },
        send: (query: Uint8Array) =>
          reply(query, to, 'udp', (bytes) => {
            if (!isOpen) return;
            if (bytes === null) events.error(refusal);
            else events.datagram(bytes, to);
          }),
        close() {
          isOpen = false;
        },
      };
    },
    connectStream(to: Endpoint, events: StreamEvents) {
      let isOpen = true;
      clock.after(1, () => isOpen && events.opened?.());
      return {
        write: (frame: Uint8Array) =>
          reply(frame.subarray(2), to, 'tcp', (bytes) => {
            if (!isOpen) return;
            if (bytes === null) events.closed(refusal);
            else events.data(Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]));
          }),
        destroy() {
          isOpen = false;
        },
      };
    },
  } as unknown as Network;
}

/** The findings of one check, in order. */
export async function findingsOf(check: Check, seen: ClusterSeen | ClusterOutsides = {}): Promise<readonly Finding[]> {
  const outsides = 'clock' in seen ? seen : clusterSeen(seen);
  return outsides.clock.until(check.run(outsides));
}

/** The first finding of one code. */
export async function findingOf(
  check: Check,
  code: string,
  seen: ClusterSeen | ClusterOutsides = {},
): Promise<Finding> {
  const findings = await findingsOf(check, seen);
  const finding = findings.find((each) => each.code === code);
  if (finding === undefined) throw new Error(`no finding ${code} in ${JSON.stringify(findings)}`);
  return finding;
}

/** A whole run over these checks. */
export async function reportOf(
  checks: readonly Check[],
  seen: ClusterSeen | ClusterOutsides = {},
): Promise<DoctorReport> {
  const outsides = 'clock' in seen ? seen : clusterSeen(seen);
  return outsides.clock.until(runDoctor({ checks, outsides, progress() {} }));
}
