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
  localip: text(serving, '169.254.20.10', 'Comma-separated addresses to listen on; IPv4 and IPv6 may be mixed.'),
  'dns.port': {
    ...text(serving, '53', 'Port of server blocks that name none, and of the firewall rules.'),
    aliases: ['p'],
  },
  upstreamsvc: text(
    serving,
    'kube-dns',
    'The cluster DNS: a Service of this namespace, found by its environment variables (NAME_SERVICE_HOST), or an IP or IP:PORT.',
  ),
  workers: text(serving, '1', 'Answering threads: a number, or auto for one per core up to 4.'),

  conf: {
    ...text(
      configuration,
      '/etc/Corefile',
      'Corefile to serve. Without the flag and without the file, a built-in configuration serves (zerohop check prints it).',
    ),
    aliases: ['corefile'],
  },
  basecorefile: text(
    configuration,
    '/etc/coredns/Corefile.base',
    'Template with __PILLAR__ placeholders; where it exists, the file of -conf is written from it.',
  ),
  kubednscm: text(
    configuration,
    '/etc/kube-dns',
    'Folder of the kube-dns ConfigMap, for stubDomains and upstreamNameservers.',
  ),
  reloadwithsignal: boolean(
    configuration,
    'false',
    'Use a newly written Corefile at once instead of at the next look of its reload directive.',
  ),

  setupinterface: boolean(node, 'true', 'Create the link of -interfacename and keep the addresses of -localip on it.'),
  interfacename: text(node, 'nodelocaldns', 'The link to create.'),
  setupiptables: boolean(node, 'true', 'Keep the NOTRACK and ACCEPT rules in place.'),
  firewall: text(node, 'auto', 'What writes the rules: iptables, nftables, auto or none.'),
  syncinterval: text(node, '60', 'Time between looks at link and rules, 1s to 24h; a bare number is seconds.'),
  skipteardown: boolean(node, 'false', 'Leave link and rules in place on exit.'),

  'health-port': text(
    watching,
    '8080',
    'Port of /health in the NOTRACK rules; the Corefile says where health is served.',
  ),
  'metrics-listen-address': text(watching, '0.0.0.0:9353', 'Where /metrics is served too; empty turns it off.'),
  'prometheus-listen-address': text(
    watching,
    ':9253',
    'What replaces __PROMETHEUS__ENDPOINT__ in the Corefile template.',
  ),
  quiet: boolean(watching, 'false', 'Log warnings and errors only.'),

  handover: text(
    lifecycle,
    '/run/zerohop/handover.sock',
    'Unix socket between an instance and its successor or standby; empty turns it off.',
  ),
  cachefile: text(lifecycle, '', 'File for a snapshot of the cache, best on tmpfs; empty turns it off.'),
  pidfile: text(lifecycle, '', 'File to write the process id to once serving; empty turns it off.'),

  output: {
    ...text(other, 'text', 'How check writes what it found: text, or json for programs.'),
    aliases: ['o'],
  },
  strict: boolean(other, 'false', 'Have check refuse files with warnings, too (exit status 2).'),
  version: boolean(other, 'false', 'Print the version and exit.'),
  plugins: boolean(other, 'false', 'Print the directives that a Corefile may use and exit.'),
  help: { ...boolean(other, 'false', 'Print this and exit.'), aliases: ['h'] },
} as const satisfies Readonly<Record<string, Flag>>;

export type FlagName = keyof typeof flagTable;

function text(group: string, byDefault: string, about: string): Flag {
  return { aliases: [], kind: 'text', byDefault, group, about };
}

function boolean(group: string, byDefault: 'true' | 'false', about: string): Flag {
  return { aliases: [], kind: 'boolean', byDefault, group, about };
}
