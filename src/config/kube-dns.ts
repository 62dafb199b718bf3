/**
 * The kube-dns ConfigMap as Kubernetes mounts it: a folder with a file per key. Two keys are used, both JSON with
 * node-cache's rules: `stubDomains` (zones of other servers) and `upstreamNameservers` (servers for all other names).
 */
import path from 'node:path';
import { upstreamsPerForwardMax } from '../limits.js';
import { readEndpoint } from './addresses.js';
import { ConfigError } from './config.js';
import type { ConfigFiles } from './imports.js';

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
  const lines = (servers: readonly string[]): string[] => [
    'errors',
    'cache 30',
    ...(addresses.length === 0 ? [] : [`bind ${addresses.join(' ')}`]),
    `forward . ${servers.join(' ')}`,
  ];
  const block = ({ domain, servers }: StubDomain): string =>
    `\n${domain}:${port} {\n${lines(servers)
      .map((line) => `    ${line}\n`)
      .join('')}}\n`;
  return stubDomains.map(block).join('');
}

function readStubDomains(file: string, files: ConfigFiles): StubDomain[] {
  const example = '{"acme.local": ["10.0.0.53"]}';
  const value = readJson(file, files, example);
  if (value === null) return [];
  if (typeof value !== 'object' || Array.isArray(value)) fail(file, `must be an object such as ${example}.`);
  return Object.entries(value as object).map(([domain, servers]) => {
    if (!isDomain(domain)) {
      fail(file, `"${domain}" is not a domain; write it in lower case, with letters, digits and dashes between dots.`);
    }
    if (!Array.isArray(servers) || servers.length === 0) {
      fail(file, `"${domain}" needs a list of servers, like ${example}.`);
    }
    if (servers.length > upstreamsPerForwardMax) {
      fail(file, `"${domain}" has ${servers.length} servers; at most ${upstreamsPerForwardMax} are allowed.`);
    }
    return { domain, servers: servers.map((server) => readServer(file, server)) };
  });
}

function readUpstreams(file: string, files: ConfigFiles): string[] {
  const example = '["10.0.0.53", "10.0.0.54:5353"]';
  const value = readJson(file, files, example);
  if (value === null) return [];
  if (!Array.isArray(value)) return fail(file, `must be a list such as ${example}.`);
  if (value.length > upstreamNameserversMax) {
    fail(file, `${value.length} servers; at most ${upstreamNameserversMax} are allowed.`);
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
    return fail(file, `cannot be read: ${(error as Error).message}`);
  }
  try {
    return text.trim() === '' ? null : JSON.parse(text);
  } catch (error) {
    const why = (error as Error).message.replace(/\s+/gu, ' ');
    return fail(file, `not valid JSON (${why}); write it like ${example}.`);
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
  return fail(
    file,
    `${JSON.stringify(server)} is not a server; write an IP address, or one with a port: "10.0.0.53:5353".`,
  );
}

function fail(file: string, sentence: string): never {
  throw new ConfigError({ file, line: 0 }, sentence);
}
