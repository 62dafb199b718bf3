/** The outside as the doctor's checks see it in a test: files, programs and pages are texts, and a healthy node by default. */
import type { Check, DoctorOutsides, Finding } from '../../src/doctor/check.js';
import type { ServerFacts } from '../../src/doctor/facts.js';
import type { Command, CommandEnd } from '../../src/os/commands.js';
import type { DatagramEvents, Endpoint, Network, StreamEvents } from '../../src/os/network.js';
import { ManualClock } from '../simulation/clock.js';

export interface SeenNode {
  readonly files?: Readonly<Record<string, string>>;
  /** Standard output by command line: `ip -json rule show`. What is not here is not installed. */
  readonly programs?: Readonly<Record<string, string | CommandEnd>>;
  /** By URL. */
  readonly pages?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly facts?: Partial<ServerFacts> | null;
  readonly flags?: Partial<ServerFacts['flags']>;
  readonly recent?: Partial<ServerFacts['recent']>;
  readonly networkNamespace?: string;
  readonly hostAddresses?: readonly string[];
  /** Who answers; by default everybody. */
  readonly answers?: (at: Endpoint, over: 'UDP' | 'TCP') => boolean;
  /** Called before a program runs, as what it counts may have changed. */
  readonly ran?: (line: string) => void;
}

/** Looks and what was run for them. */
export interface LookedAt extends DoctorOutsides {
  readonly clock: ManualClock;
  readonly lines: readonly string[];
}

export const healthyFacts: ServerFacts = {
  version: '0.2.0',
  pid: 17,
  upSeconds: 3_600,
  role: 'serving',
  standBys: 1,
  isLastReloadRefused: false,
  hasHandover: true,
  hasKernelLane: false,
  foreignSockets: 0,
  networkNamespace: 'net:[1]',
  flags: {
    localAddresses: ['169.254.20.10', '10.96.0.10'],
    dnsPort: 53,
    healthPort: 8080,
    setupInterface: true,
    interfaceName: 'nodelocaldns',
    firewall: 'auto',
    clusterDns: { address: '10.96.0.11', port: 53 },
    clusterDnsMissing: '',
  },
  clusterDomain: 'cluster.local',
  aaaaPolicies: ['nodata'],
  nodeResolvers: ['10.0.0.2'],
  skippedResolvers: [],
  upstreams: [{ address: '10.96.0.11:53', protocol: 'tcp', healthy: true, failures: 0 }],
  retries: 0,
  recent: {
    seconds: 900,
    queries: 10_000,
    byLocalAddress: { '10.96.0.10': 9_800, '169.254.20.10': 200 },
    aaaa: 4_000,
    nxdomainBelowClusterDomain: 1_000,
    servfail: 0,
  },
  topNames: [{ name: 'web.default.svc.cluster.local.', count: 500 }],
  hasAutopath: false,
  notReady: [],
};

export function lookingAt(seen: SeenNode = {}): LookedAt {
  const clock = new ManualClock();
  const lines: string[] = [];
  const { files = {}, programs = {}, pages = {}, answers = () => true, hostAddresses = [] } = seen;
  const facts = seen.facts === null ? null : factsWith(seen);
  return {
    clock,
    lines,
    facts,
    random: { below: () => 7 },
    network: networkOf(answers, hostAddresses),
    async run(command) {
      const line = [command.program, ...command.parameters].join(' ');
      lines.push(line);
      seen.ran?.(line);
      return endOf(command, programs[line]);
    },
    readFile: (path) => files[path],
    readPieces: async (path, bytesMax) => {
      const text = files[path];
      return text === undefined ? undefined : inPieces(Buffer.from(text.slice(0, bytesMax), 'latin1'));
    },
    fetchText: async (url, { bytesMax }) =>
      pages[url] === undefined ? null : { status: 200, body: pages[url].slice(0, bytesMax) },
    environment: seen.environment ?? { KUBE_DNS_SERVICE_HOST: '10.96.0.10', KUBERNETES_SERVICE_HOST: '10.96.0.1' },
    networkNamespace: seen.networkNamespace ?? 'net:[1]',
  };
}

function factsWith({ facts, flags, recent }: SeenNode): ServerFacts {
  return {
    ...healthyFacts,
    ...facts,
    flags: { ...healthyFacts.flags, ...flags },
    recent: { ...healthyFacts.recent, ...recent },
  };
}

/** Cut anywhere, as a file is read. */
function inPieces(bytes: Uint8Array): Uint8Array[] {
  const middle = Math.floor(bytes.length / 2);
  return [bytes.subarray(0, middle), bytes.subarray(middle)];
}

function endOf({ program, keep }: Command, said: string | CommandEnd | undefined): CommandEnd {
  if (said === undefined) return { ran: false, why: 'missing', text: `${program} is not installed` };
  if (typeof said !== 'string') return said;
  const kept =
    keep === undefined
      ? said
      : said
          .split('\n')
          .flatMap((line) => (keep(line) ? [`${line}\n`] : []))
          .join('');
  return { ran: true, status: 0, stdout: kept, stderr: '' };
}

function networkOf(answers: NonNullable<SeenNode['answers']>, hostAddresses: readonly string[]): Network {
  const replyTo = (query: Uint8Array): Uint8Array => {
    const reply = Uint8Array.from(query);
    reply[2] |= 0x80;
    return reply;
  };
  return {
    hostAddresses: () => hostAddresses,
    connectDatagrams(to: Endpoint, events: DatagramEvents) {
      return {
        local: { address: '', port: 1 },
        send(query: Uint8Array) {
          if (answers(to, 'UDP')) queueMicrotask(() => events.datagram(replyTo(query), to));
        },
        close() {},
      };
    },
    connectStream(to: Endpoint, events: StreamEvents) {
      queueMicrotask(() => events.opened?.());
      return {
        write(frame: Uint8Array) {
          const reply = Buffer.concat([frame.subarray(0, 2), replyTo(frame.subarray(2))]);
          if (!answers(to, 'TCP')) return;
          queueMicrotask(() => {
            events.data(reply.subarray(0, 3));
            events.data(reply.subarray(3));
          });
        },
        destroy() {},
      };
    },
  } as unknown as Network;
}

/** The findings, by code; time passes as the check needs it. */
export async function found(check: Check, seen: SeenNode | LookedAt = {}): Promise<Readonly<Record<string, Finding>>> {
  const outsides = 'lines' in seen ? seen : lookingAt(seen);
  const findings = await outsides.clock.until(check.run(outsides));
  return Object.fromEntries(findings.map((finding) => [finding.code, finding]));
}

/** The verdicts, by code. */
export async function verdicts(
  check: Check,
  seen: SeenNode | LookedAt = {},
): Promise<Readonly<Record<string, string>>> {
  const findings = await found(check, seen);
  return Object.fromEntries(Object.entries(findings).map(([code, { verdict }]) => [code, verdict]));
}

export interface LinkAsked {
  readonly name: string;
  readonly kind?: string;
  readonly flags?: readonly string[];
  readonly addresses?: readonly string[];
  readonly mtu?: number;
}

export const listLinks = 'ip -json -details address show';

/** What `ip -json -details address show` prints. */
export function linksText(...links: readonly LinkAsked[]): string {
  return JSON.stringify(
    links.map(({ name, kind, flags = ['UP', 'LOWER_UP'], addresses = [], mtu = 1500 }) => ({
      ifname: name,
      flags,
      mtu,
      link_type: name === 'lo' ? 'loopback' : 'ether',
      ...(kind === undefined ? {} : { linkinfo: { info_kind: kind } }),
      addr_info: addresses.map((local) => ({ local, prefixlen: 32 })),
    })),
  );
}

/** Of a node with pods, as kube-proxy in iptables mode has it. */
export const nodeLinks = linksText(
  { name: 'lo', addresses: ['127.0.0.1'] },
  { name: 'eth0', addresses: ['10.0.0.5'] },
  { name: 'nodelocaldns', kind: 'dummy', addresses: ['169.254.20.10', '10.96.0.10'] },
  { name: 'veth1', kind: 'veth' },
);
