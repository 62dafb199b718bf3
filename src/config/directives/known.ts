/** Every directive name we understand, and those we only know: an unknown one is told from one that is not there yet. */
import { nearest } from '../arguments.js';

/** Directives that are no plugins: the rest of the program knows them. */
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

/** All directives that server blocks may use, in alphabetical order. */
export function directiveNames(plugins: readonly { readonly name: string }[]): readonly string[] {
  return [...coreDirectives, ...plugins.map(({ name }) => name)].sort();
}

const noListener = 'zerohop listens on UDP and TCP; write TLS upstreams in forward.';

/** What to write instead, where there is an answer; a directive of CoreDNS or of a well-known plugin for it. */
const unsupported: Readonly<Record<string, string>> = {
  alternate: '',
  auto: '',
  azure: '',
  blocklist: '',
  clouddns: '',
  dnsredir: '',
  dnssec: '',
  erratic: '',
  etcd: '',
  fanout: 'forward can use several upstreams.',
  federation: '',
  file: 'forward the zone to a server that has the file.',
  geoip: '',
  grpc: 'forward uses UDP and TCP.',
  grpc_server: noListener,
  https: noListener,
  https3: noListener,
  k8s_external: '',
  kubeforward: 'use forward with the address of the cluster DNS Service.',
  kubernetes: 'use forward with the address of the cluster DNS Service.',
  multisocket: 'the flag -workers sets the number of answering threads.',
  nomad: '',
  on: '',
  proxy: 'forward replaced it in CoreDNS 1.5.',
  proxyproto: '',
  quic: noListener,
  root: '',
  route53: '',
  secondary: '',
  shed: '',
  shutdown: '',
  sign: '',
  startup: '',
  tls: noListener,
  transfer: '',
  tsig: '',
  unbound: '',
  view: '',
};

/** One sentence about a name that is none of `supported`. */
export function aboutUnsupported(name: string, supported: readonly string[]): string {
  if (Object.hasOwn(unsupported, name)) {
    const instead = unsupported[name];
    return `the directive "${name}" is known but not supported; remove it${instead === '' ? '.' : `: ${instead}`}`;
  }
  if (/[.:]/u.test(name)) {
    return `unknown directive "${name}"; it looks like the zone of a server block, so the } of the block above is missing.`;
  }
  const meant = nearest(name, [...supported, ...Object.keys(unsupported)]);
  const hint = meant === undefined ? `known: ${supported.join(', ')}.` : `did you mean "${meant}"?`;
  return `unknown directive "${name}"; ${hint}`;
}
