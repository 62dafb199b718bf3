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

/** The pieces of the Corefile that the template `text` becomes. Throws a ConfigError. */
export function fromTemplate(text: string, file: string, kubeDns: KubeDns, options: MakeOptions): Written[] {
  const { localAddresses, clusterDns, prometheusAddress, corefilePath } = options;
  const upstreamServers = kubeDns.upstreamNameservers;
  const filled = fillPillars(text, file, { localAddresses, clusterDns, prometheusAddress, upstreamServers });
  // What is made stands at -conf, or would, so that is where its relative imports begin.
  return withStubs({ text: filled, file, importFolder: path.dirname(corefilePath) }, kubeDns, options);
}

/** The pieces of the built-in configuration. */
export function fromBuiltin(kubeDns: KubeDns, options: MakeOptions): Written[] {
  const { localAddresses, dnsPort, clusterDns, healthPort, prometheusAddress } = options;
  const builtin: BuiltinOptions = {
    ...{ localAddresses, port: dnsPort, healthPort, prometheusAddress },
    clusterDns: clusterDns.endpoint === null ? null : formatEndpoint(clusterDns.endpoint),
    ...(kubeDns.upstreamNameservers.length > 0 ? { outside: kubeDns.upstreamNameservers.join(' ') } : {}),
  };
  return withStubs({ text: builtinCorefile(builtin), file: builtinSource }, kubeDns, options);
}

/** The pieces as one text. */
export function joined(pieces: readonly Written[]): string {
  return pieces.map(({ text }) => text).join('');
}

function withStubs(corefile: Written, kubeDns: KubeDns, options: MakeOptions): Written[] {
  if (kubeDns.stubDomains.length === 0) return [corefile];
  const text = stubBlocks(kubeDns, { localAddresses: options.localAddresses, port: options.dnsPort });
  return [corefile, { text, file: kubeDnsFiles(options.kubeDnsFolder).stubDomains, isMade: true }];
}
