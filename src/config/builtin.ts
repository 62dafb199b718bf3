/**
 * The configuration that serves when there is no Corefile, written as one, so that `zerohop check` can print it and
 * an operator can start from it.
 */
import { formatEndpoint } from './addresses.js';

export interface BuiltinOptions {
  /** Where to listen, without duplicates; health is served on the first. */
  readonly localAddresses: readonly string[];
  readonly port: number;
  /** The cluster DNS as `ADDRESS:PORT`; null when none was found: then nothing but /etc/resolv.conf is asked. */
  readonly clusterDns: string | null;
  /** 8080 unless told otherwise. */
  readonly healthPort?: number;
  /** What `prometheus` listens on; `:9253` unless told otherwise. */
  readonly prometheusAddress?: string;
  /** Where `ready` listens; `:8181` unless told otherwise. */
  readonly readyAddress?: string;
  /** Whom names outside the cluster are asked of, as `forward` takes it; `/etc/resolv.conf` unless told otherwise. */
  readonly outside?: string;
}

/** What `Config.source` says of it. */
export const builtinSource = '(built-in)';

/** The built-in configuration as Corefile text. */
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
