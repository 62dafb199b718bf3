/**
 * Corefiles that zerohop writes itself: from a template with placeholders (node-cache's Corefile.base), or the built-in
 * configuration, each with the kube-dns ConfigMap. Kubernetes mounts that as a folder with a file per key, of which two are
 * used, both JSON with node-cache's rules: `stubDomains` (zones of other servers) and `upstreamNameservers` (servers for
 * all other names). When a Corefile is written, and what happens if one is invalid, is in source.ts.
 */
import path from 'node:path';
import { upstreamsPerForwardMax } from '../limits.js';
import { dnsPort, formatEndpoint, readEndpoint } from './addresses.js';
import { ConfigError, type Written } from './config.js';
import type { ConfigFiles } from './imports.js';
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
  const rest = builtinBlock(options, '.', ['cache 30', `forward . ${outside}`]);
  if (clusterDns === null) return rest;
  const overTcp = [`forward . ${clusterDns} {`, '    force_tcp', '}'];
  const clusterCache = ['cache {', '    success 9984 30', '    denial 9984 5', '}'];
  const cluster = ['cluster.local', 'in-addr.arpa', 'ip6.arpa'].map((zone) =>
    builtinBlock(options, zone, [...clusterCache, ...overTcp]),
  );
  return [...cluster, rest].join('\n');
}

function builtinBlock(options: BuiltinOptions, zone: string, directives: readonly string[]): string {
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
  return serverBlockText(zone, port, lines);
}

function serverBlockText(zone: string, port: number, lines: readonly string[]): string {
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
const kubeDnsDomain = 'cluster.local';

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
  __PILLAR__DNS__DOMAIN__: () => kubeDnsDomain,
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
    const filler = Object.hasOwn(fillers, placeholder) ? fillers[placeholder] : unknownKey;
    return filler({ placeholder, behind, isWord, fail }, values);
  });
}

function unknownKey({ placeholder, fail }: Place): string {
  return fail(`${placeholder} is not a placeholder; known: ${placeholders.join(', ')}.`);
}

function clusterDnsFor(place: Place, { clusterDns: { endpoint, missing } }: PillarValues): string {
  if (endpoint === null) return place.fail(`no value for ${place.placeholder}: ${missing}`);
  if (endpoint.port === dnsPort || place.behind.startsWith(':')) return beforePort(endpoint.address, place);
  return formatEndpoint(endpoint);
}

/** An address, in brackets if it is IPv6 and a port follows. */
function beforePort(address: string, { behind }: Place): string {
  return behind.startsWith(':') && address.includes(':') ? `[${address}]` : address;
}

export interface KubeDns {
  readonly stubDomains: readonly StubDomain[];
  /** `ADDRESS` or `ADDRESS:PORT`, as written. */
  readonly upstreamNameservers: readonly string[];
}

interface StubDomain {
  /** Lower case, without the closing dot. */
  readonly domain: string;
  /** `ADDRESS` or `ADDRESS:PORT`, as written; at least one. */
  readonly servers: readonly string[];
}

/** An absent or empty ConfigMap. */
export const noKubeDns: KubeDns = { stubDomains: [], upstreamNameservers: [] };

/** kube-dns's own limit. */
const upstreamNameserversMax = 3;
const domainCharactersMax = 253;
const labelCharactersMax = 63;

/** The files in `folder` that are read, and watched. */
export function kubeDnsFiles(folder: string): { readonly stubDomains: string; readonly upstreamNameservers: string } {
  return {
    stubDomains: path.join(folder, 'stubDomains'),
    upstreamNameservers: path.join(folder, 'upstreamNameservers'),
  };
}

/** The ConfigMap in `folder`; files may be absent or empty. Throws a ConfigError. */
export function readKubeDns(folder: string, files: ConfigFiles): KubeDns {
  const at = kubeDnsFiles(folder);
  return {
    stubDomains: readStubDomains(at.stubDomains, files),
    upstreamNameservers: readUpstreams(at.upstreamNameservers, files),
  };
}

/** A server block for each stub domain, as in node-cache: without metrics and force_tcp. No addresses means all. */
export function stubBlocks(
  { stubDomains }: KubeDns,
  { addresses, port }: { readonly addresses: readonly string[]; readonly port: number },
): string {
  const bind = addresses.length === 0 ? [] : [`bind ${addresses.join(' ')}`];
  const block = ({ domain, servers }: StubDomain): string =>
    serverBlockText(domain, port, ['errors', 'cache 30', ...bind, `forward . ${servers.join(' ')}`]);
  return stubDomains.map((stub) => `\n${block(stub)}`).join('');
}

function readStubDomains(file: string, files: ConfigFiles): StubDomain[] {
  const example = '{"acme.local": ["10.0.0.53"]}';
  const value = readJson(file, files, example);
  if (value === null) return [];
  if (typeof value !== 'object' || Array.isArray(value)) failGenerating(file, `must be an object such as ${example}.`);
  return Object.entries(value as object).map(([domain, servers]) => {
    if (!isDomain(domain)) {
      failGenerating(
        file,
        `"${domain}" is not a domain; write it in lower case, with letters, digits and dashes between dots.`,
      );
    }
    if (!Array.isArray(servers) || servers.length === 0) {
      failGenerating(file, `"${domain}" needs a list of servers, like ${example}.`);
    }
    if (servers.length > upstreamsPerForwardMax) {
      failGenerating(file, `"${domain}" has ${servers.length} servers; at most ${upstreamsPerForwardMax} are allowed.`);
    }
    return { domain, servers: servers.map((server) => readServer(file, server)) };
  });
}

function readUpstreams(file: string, files: ConfigFiles): string[] {
  const example = '["10.0.0.53", "10.0.0.54:5353"]';
  const value = readJson(file, files, example);
  if (value === null) return [];
  if (!Array.isArray(value)) return failGenerating(file, `must be a list such as ${example}.`);
  if (value.length > upstreamNameserversMax) {
    failGenerating(file, `${value.length} servers; at most ${upstreamNameserversMax} are allowed.`);
  }
  return value.map((server) => readServer(file, server));
}

/** Null if the file is absent or empty. */
function readJson(file: string, files: ConfigFiles, example: string): unknown {
  if (!files.exists(file)) return null;
  let text: string;
  try {
    text = files.read(file);
  } catch (error) {
    return failGenerating(file, `cannot be read: ${(error as Error).message}`);
  }
  try {
    return text.trim() === '' ? null : JSON.parse(text);
  } catch (error) {
    const why = (error as Error).message.replace(/\s+/gu, ' ');
    return failGenerating(file, `not valid JSON (${why}); write it like ${example}.`);
  }
}

/** A name of RFC 1123 as in Kubernetes: lower case, without underscore and closing dot. */
function isDomain(text: string): boolean {
  const label = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/u;
  return (
    text.length <= domainCharactersMax &&
    text.split('.').every((part) => part.length <= labelCharactersMax && label.test(part))
  );
}

/** A server's name would need a query to this very server. */
function readServer(file: string, server: unknown): string {
  if (typeof server === 'string' && readEndpoint(server, 53) !== undefined) return server;
  return failGenerating(
    file,
    `${JSON.stringify(server)} is not a server; write an IP address, or one with a port: "10.0.0.53:5353".`,
  );
}

function failGenerating(file: string, sentence: string): never {
  throw new ConfigError({ file, line: 0 }, sentence);
}
