/**
 * The iptables rules of NodeLocal DNSCache, as data: DNS to and from each address is untracked and accepted, probes of
 * the health port are untracked. Tables, order and comments are node-cache's, so either program recognises the other's
 * rules. Rules are also parsed here; iptables.ts installs them.
 */
import { isIPv6 } from 'node:net';
import { canonicalAddress } from '../config/addresses.js';

export interface RulesOptions {
  readonly addresses: readonly string[];
  readonly dnsPort: number;
  /** Only untracked: the node decides whether probes are accepted. */
  readonly healthPort: number;
}

export type RuleTable = 'raw' | 'filter';
export const ruleTables: readonly RuleTable[] = ['raw', 'filter'];

export interface FirewallRule {
  readonly table: RuleTable;
  readonly chain: string;
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
  /** The end of the packet that has address and port. */
  readonly end: 'destination' | 'source';
  readonly target: 'NOTRACK' | 'ACCEPT';
}

/** `text` is the argument of `-D CHAIN`. */
export interface FoundRule {
  readonly rule: FirewallRule;
  readonly text: string;
}

export const skipComment = 'NodeLocal DNS Cache: skip conntrack';
const allowComment = 'NodeLocal DNS Cache: allow DNS traffic';

/** Whether a line of iptables-save may be one of our rules. */
export function isMarked(line: string): boolean {
  return line.includes(skipComment) || line.includes(allowComment);
}

/** All rules in node-cache's order: each goes to the head of its chain, so the last comes first. */
export function rulesOf({ addresses, dnsPort, healthPort }: RulesOptions): FirewallRule[] {
  const rules = addresses.flatMap((address) => [
    ...dnsRules('raw', 'PREROUTING', 'destination', address, dnsPort),
    ...dnsRules('filter', 'INPUT', 'destination', address, dnsPort),
    ...dnsRules('raw', 'OUTPUT', 'source', address, dnsPort),
    ...dnsRules('filter', 'OUTPUT', 'source', address, dnsPort),
    // Queries from the node itself, of hostNetwork pods.
    ...dnsRules('raw', 'OUTPUT', 'destination', address, dnsPort),
    // Probes of the kubelet, also from the node.
    ruleOf('raw', 'OUTPUT', 'tcp', 'destination', address, healthPort),
    ruleOf('raw', 'OUTPUT', 'tcp', 'source', address, healthPort),
  ]);
  const byKey = new Map(rules.map((rule) => [ruleKey(rule), rule]));
  return [...byKey.values()];
}

function dnsRules(
  table: RuleTable,
  chain: string,
  end: FirewallRule['end'],
  address: string,
  port: number,
): FirewallRule[] {
  return ['tcp', 'udp'].map((protocol) => ruleOf(table, chain, protocol, end, address, port));
}

function ruleOf(
  table: RuleTable,
  chain: string,
  protocol: string,
  end: FirewallRule['end'],
  address: string,
  port: number,
): FirewallRule {
  return { table, chain, protocol, end, address, port, target: table === 'raw' ? 'NOTRACK' : 'ACCEPT' };
}

export function ruleFamily({ address }: FirewallRule): AddressFamily {
  return familyOf(address);
}

/** Equal for equivalent rules. */
export function ruleKey(rule: FirewallRule): string {
  return `${rule.table} ${rule.chain} ${ruleText(rule)}`;
}

export function ruleText({ protocol, address, port, end, target }: FirewallRule): string {
  const [addressOption, portOption] = end === 'destination' ? ['-d', '--dport'] : ['-s', '--sport'];
  const comment = `-m comment --comment "${commentOf(target)}"`;
  return `${addressOption} ${withPrefix(address)} -p ${protocol} -m ${protocol} ${portOption} ${port} ${comment} -j ${target}`;
}

function commentOf(target: FirewallRule['target']): string {
  return target === 'NOTRACK' ? skipComment : allowComment;
}

/** Parses a line of iptables-save; undefined unless it is like ours. Newer versions write NOTRACK as `CT --notrack`. */
export function readRule(table: RuleTable, line: string): FoundRule | undefined {
  const [, chain, text] = /^-A (\S+) (.*)$/u.exec(line) ?? [];
  if (chain === undefined) return undefined;
  const options = readRuleOptions(text);
  const end = options?.has('-d') ? 'destination' : 'source';
  const [addressOption, portOption] = end === 'destination' ? ['-d', '--dport'] : ['-s', '--sport'];
  const target = options?.get('-j');
  if (options?.size !== 5 || (target !== 'NOTRACK' && target !== 'ACCEPT')) return undefined;
  const [address, bits] = (options.get(addressOption) ?? '').split('/');
  const canonical = canonicalAddress(address);
  if (canonical === undefined || (bits !== undefined && withPrefix(canonical) !== `${canonical}/${bits}`)) {
    return undefined;
  }
  if (options.get('--comment') !== commentOf(target) || !options.has(portOption)) return undefined;
  const port = Number(options.get(portOption));
  return { rule: { table, chain, protocol: options.get('-p') ?? '', address: canonical, port, end, target }, text };
}

const knownOptions = new Set(['-d', '-s', '-p', '--dport', '--sport', '--comment', '-j']);

/** The options of a rule without `-m`; undefined with unknown ones. */
function readRuleOptions(text: string): Map<string, string> | undefined {
  const words = [...text.replace('-j CT --notrack', '-j NOTRACK').matchAll(/"([^"]*)"|(\S+)/gu)].map(
    ([, quoted, plain]) => quoted ?? plain,
  );
  const options = new Map<string, string>();
  for (let index = 0; index < words.length; index += 2) {
    if (words[index] === '-m') continue;
    if (!knownOptions.has(words[index])) return undefined;
    options.set(words[index], words[index + 1]);
  }
  return options;
}

export type AddressFamily = 'ipv4' | 'ipv6';

export function familyOf(address: string): AddressFamily {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}

/** `169.254.20.10/32`, `fd00::10/128`. */
export function withPrefix(address: string): string {
  return `${address}/${isIPv6(address) ? 128 : 32}`;
}

/** Without addresses that every host has or that name a link: they need no set-up and serve this host only. */
export function nodeAddresses(addresses: readonly string[]): string[] {
  return addresses.filter((address) => !/^(?:127\.|0\.0\.0\.0$|::1?$|.*%)/u.test(address));
}
