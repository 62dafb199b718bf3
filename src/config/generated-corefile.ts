/**
 * Corefiles that zerohop writes itself: from a template with placeholders (node-cache's Corefile.base), or the built-in
 * configuration, each with the stub domains and servers of the kube-dns ConfigMap. When that happens, and what happens
 * when one is invalid, is in source.ts.
 */
import path from 'node:path';
import { formatEndpoint } from './addresses.js';
import { ConfigError } from './config.js';
import type { Written } from './imports.js';
import { type KubeDns, kubeDnsFiles, stubBlocks } from './kube-dns.js';
import { type LoadOptions, parsePieces } from './load.js';
import type { ClusterDns, ServeOptions } from './serve-options.js';

export type MakeOptions = Pick<
  ServeOptions,
  | 'localAddresses'
  | 'dnsPort'
  | 'clusterDns'
  | 'healthPort'
  | 'prometheusAddress'
  | 'corefilePath'
  | 'baseCorefilePath'
  | 'kubeDnsFolder'
>;

/** The pieces of the Corefile made from a template. Throws a ConfigError. */
export function fromTemplate(
  { text, file }: Written,
  kubeDns: KubeDns,
  options: MakeOptions,
  load: LoadOptions,
): Written[] {
  const { localAddresses, clusterDns, prometheusAddress, corefilePath } = options;
  const upstreamServers = kubeDns.upstreamNameservers;
  const filled = fillPillars(text, file, { localAddresses, clusterDns, prometheusAddress, upstreamServers });
  // The Corefile is written to -conf, so relative imports start there.
  return withStubs({ text: filled, file, importFolder: path.dirname(corefilePath) }, kubeDns, options, load);
}

/** The pieces of the built-in configuration. Throws a ConfigError. */
export function fromBuiltin(kubeDns: KubeDns, options: MakeOptions, load: LoadOptions): Written[] {
  const { localAddresses, dnsPort, clusterDns, healthPort, prometheusAddress } = options;
  const builtin: BuiltinOptions = {
    localAddresses,
    port: dnsPort,
    healthPort,
    prometheusAddress,
    clusterDns: clusterDns.endpoint === null ? null : formatEndpoint(clusterDns.endpoint),
    ...(kubeDns.upstreamNameservers.length > 0 ? { outside: kubeDns.upstreamNameservers.join(' ') } : {}),
  };
  return withStubs({ text: builtinCorefile(builtin), file: builtinSource }, kubeDns, options, load);
}

/** The pieces as one text. */
export function joined(pieces: readonly Written[]): string {
  return pieces.map(({ text }) => text).join('');
}

function withStubs(corefile: Written, kubeDns: KubeDns, options: MakeOptions, load: LoadOptions): Written[] {
  if (kubeDns.stubDomains.length === 0) return [corefile];
  const addresses = everywhere(corefile, options, load) ?? options.localAddresses;
  const text = stubBlocks(kubeDns, { addresses, port: options.dnsPort });
  return [corefile, { text, file: kubeDnsFiles(options.kubeDnsFolder).stubDomains, isMade: true }];
}

/**
 * The addresses of the block for `.`, if it listens on all: a stub domain on one address alone would receive the queries
 * for all other names there, and none of those to other addresses.
 */
function everywhere(corefile: Written, { dnsPort }: MakeOptions, load: LoadOptions): readonly string[] | null {
  const { blocks } = parsePieces([corefile], [], load);
  const all = blocks.find(({ zones }) => zones.some(({ zone, port }) => zone === '.' && port === dnsPort));
  if (all?.addresses.includes('::')) return [];
  return all?.addresses.includes('0.0.0.0') ? all.addresses : null;
}

export interface BuiltinOptions {
  /** Without duplicates; health is served on the first. */
  readonly localAddresses: readonly string[];
  readonly port: number;
  /** `ADDRESS:PORT`; null: unknown, all queries go to /etc/resolv.conf. */
  readonly clusterDns: string | null;
  /** 8080 by default. */
  readonly healthPort?: number;
  /** `:9253` by default. */
  readonly prometheusAddress?: string;
  /** `:8181` by default. */
  readonly readyAddress?: string;
  /** Upstreams of names outside the cluster, as in `forward`; `/etc/resolv.conf` by default. */
  readonly outside?: string;
}

/** Its `Config.source`. */
export const builtinSource = '(built-in)';

/** The configuration without a Corefile, written as one, so that `zerohop check` can print it for operators. */
export function builtinCorefile(options: BuiltinOptions): string {
  const { clusterDns, outside = '/etc/resolv.conf' } = options;
  const rest = serverBlock(options, '.', ['cache 30', `forward . ${outside}`]);
  if (clusterDns === null) return rest;
  const overTcp = [`forward . ${clusterDns} {`, '    force_tcp', '}'];
  const clusterCache = ['cache {', '    success 9984 30', '    denial 9984 5', '}'];
  const cluster = ['cluster.local', 'in-addr.arpa', 'ip6.arpa'].map((zone) =>
    serverBlock(options, zone, [...clusterCache, ...overTcp]),
  );
  return [...cluster, rest].join('\n');
}

function serverBlock(options: BuiltinOptions, zone: string, directives: readonly string[]): string {
  const { localAddresses, port, healthPort = 8080, prometheusAddress = ':9253', readyAddress = ':8181' } = options;
  const lines = [
    `bind ${localAddresses.join(' ')}`,
    'errors',
    ...directives,
    'loop',
    'reload',
    `prometheus ${prometheusAddress}`,
    `health ${formatEndpoint({ address: localAddresses[0], port: healthPort })}`,
    `ready ${readyAddress}`,
    'template ANY AAAA {',
    '    rcode NXDOMAIN',
    '}',
  ];
  return `${zone}:${port} {\n${lines.map((line) => `    ${line}\n`).join('')}}\n`;
}

export interface PillarValues {
  /** `-localip`, in shortest form. */
  readonly localAddresses: readonly string[];
  readonly clusterDns: ClusterDns;
  /** Of the kube-dns ConfigMap; empty means /etc/resolv.conf. */
  readonly upstreamServers: readonly string[];
  /** `-prometheus-listen-address`. */
  readonly prometheusAddress: string;
}

/** Installers of node-cache's manifest replace this placeholder, node-cache does not; nearly all clusters use this domain. */
const clusterDomain = 'cluster.local';

export const clusterDnsPlaceholder = '__PILLAR__CLUSTER__DNS__';
export const upstreamServersPlaceholder = '__PILLAR__UPSTREAM__SERVERS__';

interface Place {
  readonly placeholder: string;
  /** The text right behind it. */
  readonly behind: string;
  /** Whether it is a word of its own. */
  readonly isWord: boolean;
  /** In a comment, returns the placeholder; otherwise throws a ConfigError. */
  fail(sentence: string): string;
}

type Filler = (place: Place, values: PillarValues) => string;

const fillers: Readonly<Record<string, Filler>> = {
  __PILLAR__DNS__DOMAIN__: () => clusterDomain,
  __PILLAR__LOCAL__DNS__: (place, { localAddresses }) =>
    place.isWord ? localAddresses.join(' ') : beforePort(localAddresses[0], place),
  // __PILLAR__LOCAL__DNS__ already gave all addresses.
  __PILLAR__DNS__SERVER__: () => '',
  [clusterDnsPlaceholder]: clusterDnsFor,
  [upstreamServersPlaceholder]: (_, { upstreamServers }) => upstreamServers.join(' ') || '/etc/resolv.conf',
  __PROMETHEUS__ENDPOINT__: (_, { prometheusAddress }) => prometheusAddress,
};

/** All supported placeholders. */
export const placeholders: readonly string[] = Object.keys(fillers);

const anyPlaceholder = /__(?:PILLAR|PROMETHEUS)__[A-Z]+(?:__[A-Z]+)*__/gu;

/** Whether the text is a template: it has placeholders outside of comments. */
export function hasPillars(text: string): boolean {
  return text.split('\n').some((line) => line.replace(/#.*/u, '').search(anyPlaceholder) >= 0);
}

/**
 * The Corefile made from the template `text`, line for line, so that line numbers of errors are those of the template
 * `file`. Throws a ConfigError at a placeholder without a value.
 */
export function fillPillars(text: string, file: string, values: PillarValues): string {
  const lines = (values.upstreamServers.length > 0 ? withoutForcedTcp(text) : text).split('\n');
  return lines.map((line, index) => fillLine(line, { file, line: index + 1 }, values)).join('\n');
}

/**
 * Servers of a ConfigMap may not answer over TCP, so `force_tcp` is removed if it is their forward's only option; its lines
 * stay. node-cache does the same for one way of indenting.
 */
function withoutForcedTcp(text: string): string {
  const forced = new RegExp(
    `^([ \\t]*forward[ \\t]+\\S+[ \\t]+${upstreamServersPlaceholder})[ \\t]*\\{(\\s*)force_tcp(\\s*)\\}`,
    'gmu',
  );
  return text.replace(forced, (_, head: string, before: string, after: string) => {
    return head + '\n'.repeat(`${before}${after}`.split('\n').length - 1);
  });
}

function fillLine(line: string, at: { file: string; line: number }, values: PillarValues): string {
  return line.replace(anyPlaceholder, (placeholder: string, offset: number) => {
    const isComment = line.slice(0, offset).includes('#');
    const behind = line.slice(offset + placeholder.length);
    const fail = (sentence: string): string => {
      if (isComment) return placeholder;
      throw new ConfigError(at, sentence);
    };
    const isWord = !/\S$/u.test(line.slice(0, offset)) && !/^\S/u.test(behind);
    const filler = Object.hasOwn(fillers, placeholder) ? fillers[placeholder] : unknown;
    return filler({ placeholder, behind, isWord, fail }, values);
  });
}

function unknown({ placeholder, fail }: Place): string {
  return fail(`${placeholder} is not a placeholder; known: ${placeholders.join(', ')}.`);
}

function clusterDnsFor(place: Place, { clusterDns: { endpoint, missing } }: PillarValues): string {
  if (endpoint === null) return place.fail(`no value for ${place.placeholder}: ${missing}`);
  if (endpoint.port === 53 || place.behind.startsWith(':')) return beforePort(endpoint.address, place);
  return formatEndpoint(endpoint);
}

/** An address, in brackets if it is IPv6 and a port follows. */
function beforePort(address: string, { behind }: Place): string {
  return behind.startsWith(':') && address.includes(':') ? `[${address}]` : address;
}
