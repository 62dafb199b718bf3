/**
 * The flags, as data: names and defaults are node-cache's (and CoreDNS's) where it has the flag, so that its command
 * lines work unchanged. What a value means is serve-options.ts's business; how it is written, flag-reader.ts's.
 */

export interface Flag {
  /** Other names of the same flag. */
  readonly aliases: readonly string[];
  /** A boolean takes a value only after `=`, as in Go; a text always takes one. */
  readonly kind: 'text' | 'boolean';
  /** As it would be written. */
  readonly byDefault: string;
  readonly group: string;
  readonly about: string;
}

const serving = 'Serving:';
const configuration = 'Configuration:';
const node = 'On the node:';
const watching = 'Metrics and health:';
const lifecycle = 'Handover and files:';
const other = 'Other:';

export const flagTable = {
  localip: text(serving, '169.254.20.10', 'Comma-separated addresses to listen on, IPv4 and IPv6.'),
  'dns.port': {
    ...text(serving, '53', 'Port of server blocks without a port, and of the firewall rules.'),
    aliases: ['p'],
  },
  upstreamsvc: text(
    serving,
    'kube-dns',
    'Cluster DNS: a Service in this namespace (address from NAME_SERVICE_HOST), or IP or IP:PORT.',
  ),
  workers: text(serving, '1', 'Number of answering threads; auto: one per core, up to 4.'),

  conf: {
    ...text(
      configuration,
      '/etc/Corefile',
      'Corefile to serve. If neither flag nor file is given, the built-in configuration (see zerohop check).',
    ),
    aliases: ['corefile'],
  },
  basecorefile: text(
    configuration,
    '/etc/coredns/Corefile.base',
    'Template with __PILLAR__ placeholders; if it exists, zerohop writes the -conf file from it.',
  ),
  kubednscm: text(
    configuration,
    '/etc/kube-dns',
    'Directory of the kube-dns ConfigMap (stubDomains, upstreamNameservers).',
  ),
  reloadwithsignal: boolean(
    configuration,
    'false',
    'Load a new Corefile at once, without waiting for the interval of its reload directive.',
  ),

  setupinterface: boolean(
    node,
    'true',
    'Create the interface of -interfacename and keep the addresses of -localip on it.',
  ),
  interfacename: text(node, 'nodelocaldns', 'Interface to create.'),
  setupiptables: boolean(node, 'true', 'Keep the NOTRACK and ACCEPT rules in place.'),
  firewall: text(node, 'auto', 'Tool that writes the rules: iptables, nftables, auto or none.'),
  syncinterval: text(node, '60', 'Interval of the interface and rule checks, 1s to 24h; a bare number is seconds.'),
  skipteardown: boolean(node, 'false', 'Leave interface and rules in place on exit.'),

  'health-port': text(
    watching,
    '8080',
    'Port of /health in the NOTRACK rules; the Corefile sets where /health is served.',
  ),
  'metrics-listen-address': text(watching, '0.0.0.0:9353', 'Additional address of /metrics; empty turns it off.'),
  'prometheus-listen-address': text(watching, ':9253', 'Value of __PROMETHEUS__ENDPOINT__ in the Corefile template.'),
  quiet: boolean(watching, 'false', 'Log warnings and errors only.'),

  handover: text(
    lifecycle,
    '/run/zerohop/handover.sock',
    'Unix socket for the handover to a successor or standby; empty turns it off.',
  ),
  cachefile: text(lifecycle, '', 'Snapshot file of the cache, best on tmpfs; empty turns it off.'),
  pidfile: text(lifecycle, '', 'File for the process id, written once zerohop serves; empty turns it off.'),

  output: {
    ...text(other, 'text', 'Output format of check: text or json.'),
    aliases: ['o'],
  },
  strict: boolean(other, 'false', 'Make check fail on warnings too (exit status 2).'),
  version: boolean(other, 'false', 'Print the version and exit.'),
  plugins: boolean(other, 'false', 'Print the supported directives and exit.'),
  help: { ...boolean(other, 'false', 'Print this help and exit.'), aliases: ['h'] },
} as const satisfies Readonly<Record<string, Flag>>;

export type FlagName = keyof typeof flagTable;

function text(group: string, byDefault: string, about: string): Flag {
  return { aliases: [], kind: 'text', byDefault, group, about };
}

function boolean(group: string, byDefault: 'true' | 'false', about: string): Flag {
  return { aliases: [], kind: 'boolean', byDefault, group, about };
}
