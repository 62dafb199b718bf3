/**
 * What kube-proxy's iptables rules do with packets to a Service's address: parsers over lines of iptables-save, of
 * Kubernetes 1.20 to 1.33. Chains are followed by name, because large clusters have no comments in theirs:
 *
 *     KUBE-SERVICES -d ADDRESS -p udp --dport 53 -j KUBE-SVC-X     (KUBE-SVL-X with internalTrafficPolicy: Local)
 *     KUBE-SVC-X    [-m recent --rcheck --seconds 10800] [-m statistic] -j KUBE-SEP-Y
 *     KUBE-SEP-Y    -p udp -j DNAT --to-destination ENDPOINT
 */
import { canonicalAddress, readEndpoint } from '../config/addresses.js';
import type { Endpoint } from '../os/network.js';
import type { ProbeTransport } from './probe.js';

/** One rule: its chain, and the words behind it. */
interface ChainRule {
  readonly chain: string;
  readonly words: readonly string[];
}

/** A rule of KUBE-SERVICES for one address. */
export interface ServiceRule {
  readonly over: ProbeTransport;
  /** The chain of endpoints; null: the rule rejects packets, because the Service has no endpoints. */
  readonly chain: string | null;
  /** `kube-system/kube-dns:dns`, from the comment; null without one. */
  readonly service: string | null;
}

/** How long a client stays at one endpoint; `seconds` is null where it is not known. */
export interface Affinity {
  readonly seconds: number | null;
}

/** Whether the line is about kube-proxy's dispatch of this address, or shows that kube-proxy writes these tables. */
export function isDispatchLine(line: string, address: string): boolean {
  if (line.startsWith(':KUBE-SERVICES ')) return true;
  return line.startsWith('-A KUBE-SERVICES ') && line.includes(` -d ${address}/`);
}

/** The rules of KUBE-SERVICES that lead packets to this address and port to a chain of endpoints, or reject them. */
export function serviceRulesIn(text: string, { address, port }: Endpoint): ServiceRule[] {
  return rulesIn(text).flatMap(({ chain, words }) => {
    const [to = ''] = (ruleOption(words, '-d') ?? '').split('/');
    if (chain !== 'KUBE-SERVICES' || canonicalAddress(to) !== address) return [];
    if (words[words.indexOf('-d') - 1] === '!' || ruleOption(words, '--dport') !== String(port)) return [];
    const over = ruleOption(words, '-p');
    const target = ruleOption(words, '-j');
    if ((over !== 'udp' && over !== 'tcp') || target === undefined) return [];
    const isChain = /^KUBE-SV[CL]-/u.test(target);
    if (!isChain && target !== 'REJECT' && target !== 'DROP') return [];
    const [service = null] = (ruleOption(words, '--comment') ?? '').split(' ').filter((word) => word.includes('/'));
    return [{ over, chain: isChain ? target : null, service }];
  });
}

/** The chains of endpoints that the rules of this chain jump to, and the session affinity that they have. */
export function endpointChainsIn(text: string, chain: string): { chains: string[]; affinity: Affinity | null } {
  const chains = new Set<string>();
  let affinity: Affinity | null = null;
  for (const { chain: at, words } of rulesIn(text)) {
    const target = ruleOption(words, '-j');
    if (at !== chain || target === undefined || !target.startsWith('KUBE-SEP-')) continue;
    chains.add(target);
    if (!words.includes('--rcheck')) continue;
    const seconds = Number(ruleOption(words, '--seconds'));
    affinity = { seconds: Number.isInteger(seconds) ? seconds : null };
  }
  return { chains: [...chains], affinity };
}

/** Where the rules of these chains send packets. */
export function destinationsIn(text: string, chains: readonly string[]): Endpoint[] {
  return rulesIn(text).flatMap(({ chain, words }) => {
    const to = chains.includes(chain) ? ruleOption(words, '--to-destination') : undefined;
    const endpoint = to === undefined ? undefined : readEndpoint(to, 53);
    return endpoint === undefined ? [] : [endpoint];
  });
}

function rulesIn(text: string): ChainRule[] {
  return text.split('\n').flatMap((line) => {
    const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/gu)].map(([, quoted, plain]) => quoted ?? plain);
    // With -c the counters stand before the rule.
    if (words[0]?.startsWith('[')) words.shift();
    return words[0] === '-A' && words.length > 2 ? [{ chain: words[1], words: words.slice(2) }] : [];
  });
}

function ruleOption(words: readonly string[], option: string): string | undefined {
  const at = words.indexOf(option);
  return at === -1 ? undefined : words[at + 1];
}
