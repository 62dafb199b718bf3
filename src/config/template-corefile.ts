/**
 * A Corefile made on the node: from a template with placeholders (node-cache's Corefile.base) or from the built-in
 * configuration, and with the stub domains and servers of the kube-dns ConfigMap. It knows how the pieces become one
 * configuration, not when, nor what to do when they are wrong: that is source.ts.
 */
import path from 'node:path';
import { formatEndpoint } from './addresses.js';
import { type BuiltinOptions, builtinCorefile, builtinSource } from './builtin.js';
import type { Written } from './imports.js';
import { type KubeDns, kubeDnsFiles, stubBlocks } from './kube-dns.js';
import { type LoadOptions, parsePieces } from './load.js';
import { fillPillars } from './pillars.js';
import type { ServeOptions } from './serve-options.js';

/** What a Corefile is made with. */
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

/** The pieces of the Corefile that a template becomes. Throws a ConfigError. */
export function fromTemplate(
  { text, file }: Written,
  kubeDns: KubeDns,
  options: MakeOptions,
  load: LoadOptions,
): Written[] {
  const { localAddresses, clusterDns, prometheusAddress, corefilePath } = options;
  const upstreamServers = kubeDns.upstreamNameservers;
  const filled = fillPillars(text, file, { localAddresses, clusterDns, prometheusAddress, upstreamServers });
  // What is made stands at -conf, or would, so that is where its relative imports begin.
  return withStubs({ text: filled, file, importFolder: path.dirname(corefilePath) }, kubeDns, options, load);
}

/** The pieces of the built-in configuration. Throws a ConfigError. */
export function fromBuiltin(kubeDns: KubeDns, options: MakeOptions, load: LoadOptions): Written[] {
  const { localAddresses, dnsPort, clusterDns, healthPort, prometheusAddress } = options;
  const builtin: BuiltinOptions = {
    ...{ localAddresses, port: dnsPort, healthPort, prometheusAddress },
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
 * What a Corefile listens on for all names, if that is every address: a stub domain on one of them alone would take
 * the questions for all other names that come to it, and is not asked where they come to another.
 */
function everywhere(corefile: Written, { dnsPort }: MakeOptions, load: LoadOptions): readonly string[] | null {
  const { blocks } = parsePieces([corefile], [], load);
  const all = blocks.find(({ zones }) => zones.some(({ zone, port }) => zone === '.' && port === dnsPort));
  if (all?.addresses.includes('::')) return [];
  return all?.addresses.includes('0.0.0.0') ? all.addresses : null;
}
