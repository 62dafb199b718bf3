/** Every directive name we understand, and those we only know: an unknown one is told from one that is not there yet. */
import { nearest } from '../nearest.js';

/** Directives that server blocks may use. */
export const supportedDirectives = [
  'aaaa',
  'acl',
  'any',
  'autopath',
  'bind',
  'bufsize',
  'cache',
  'cancel',
  'debug',
  'dns64',
  'dnstap',
  'errors',
  'forward',
  'header',
  'health',
  'hosts',
  'loadbalance',
  'local',
  'log',
  'loop',
  'metadata',
  'minimal',
  'nsid',
  'pprof',
  'prometheus',
  'ready',
  'reload',
  'rewrite',
  'template',
  'timeouts',
  'trace',
  'whoami',
] as const;

export type SupportedDirective = (typeof supportedDirectives)[number];

const noListener = 'zerohop listens on UDP and TCP; write TLS upstreams in forward.';

/** What to write instead, where there is an answer; a directive of CoreDNS or of a well-known plugin for it. */
const unsupportedDirectives: Readonly<Record<string, string>> = {
  alternate: '',
  auto: '',
  azure: '',
  blocklist: '',
  chaos: '',
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

export function isSupported(name: string): name is SupportedDirective {
  return (supportedDirectives as readonly string[]).includes(name);
}

/** One sentence about a name that is not supported. */
export function aboutUnsupported(name: string): string {
  if (Object.hasOwn(unsupportedDirectives, name)) {
    const instead = unsupportedDirectives[name];
    return `the directive "${name}" is known but not supported; remove it${instead === '' ? '.' : `: ${instead}`}`;
  }
  if (/[.:]/u.test(name)) {
    return `unknown directive "${name}"; it looks like the zone of a server block, so the } of the block above is missing.`;
  }
  const meant = nearest(name, [...supportedDirectives, ...Object.keys(unsupportedDirectives)]);
  const hint = meant === undefined ? `known: ${supportedDirectives.join(', ')}.` : `did you mean "${meant}"?`;
  return `unknown directive "${name}"; ${hint}`;
}
