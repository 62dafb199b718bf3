/** The names of all supported directives, and of known ones that are not supported, which get another error than unknown ones. */
import { nearest } from '../arguments.js';

/** Directives that are no plugins. */
const coreDirectives = [
  'aaaa',
  'bind',
  'bufsize',
  'cache',
  'cancel',
  'debug',
  'dnstap',
  'errors',
  'forward',
  'health',
  'log',
  'loop',
  'metadata',
  'pprof',
  'prometheus',
  'ready',
  'reload',
  'timeouts',
  'trace',
] as const;

export type CoreDirective = (typeof coreDirectives)[number];

/** All supported directives, in alphabetical order. */
export function directiveNames(plugins: readonly { readonly name: string }[]): readonly string[] {
  return [...coreDirectives, ...plugins.map(({ name }) => name)].sort();
}

const noListener = 'zerohop listens on UDP and TCP; write TLS upstreams in forward.';

/** Directives of CoreDNS or of well-known plugins for it without a replacement, … */
const unsupportedPlain =
  'alternate auto azure blocklist clouddns dnsredir dnssec erratic etcd federation geoip k8s_external nomad on proxyproto ' +
  'root route53 secondary shed shutdown sign startup transfer tsig unbound view';

/** … and with one. */
const replacements: Readonly<Record<string, string>> = {
  fanout: 'forward can use several upstreams.',
  file: 'forward the zone to a server that has the file.',
  grpc: 'forward uses UDP and TCP.',
  grpc_server: noListener,
  https: noListener,
  https3: noListener,
  kubeforward: 'use forward with the address of the cluster DNS Service.',
  kubernetes: 'use forward with the address of the cluster DNS Service.',
  multisocket: 'the flag -workers sets the number of answering threads.',
  proxy: 'forward replaced it in CoreDNS 1.5.',
  quic: noListener,
  tls: noListener,
};

const unsupported: readonly string[] = [...unsupportedPlain.split(' '), ...Object.keys(replacements)].sort();

/** One sentence about a name that is none of `supported`. */
export function aboutUnsupported(name: string, supported: readonly string[]): string {
  if (unsupported.includes(name)) {
    const instead = Object.hasOwn(replacements, name) ? `: ${replacements[name]}` : '.';
    return `the directive "${name}" is known but not supported; remove it${instead}`;
  }
  if (/[.:]/u.test(name)) {
    return `unknown directive "${name}"; it looks like the zone of a server block, so the } of the block above is missing.`;
  }
  const meant = nearest(name, [...supported, ...unsupported]);
  const hint = meant === undefined ? `known: ${supported.join(', ')}.` : `did you mean "${meant}"?`;
  return `unknown directive "${name}"; ${hint}`;
}
