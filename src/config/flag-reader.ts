/**
 * The flags as data, and the grammar of a command line. Names and defaults are node-cache's (and CoreDNS's) where it has
 * the flag, and the grammar is that of Go's flag package, so that existing command lines work unchanged: one dash or two,
 * `-name value` or `-name=value`, booleans without a value or with one after `=`, the last of repeated flags counts, `--`
 * ends the flags. Other words may stand anywhere. Values are read in serve-options.ts.
 */
import { nearest } from './arguments.js';

export interface Flag {
  readonly aliases: readonly string[];
  /** A boolean takes a value only after `=`, as in Go; a text always takes one. */
  readonly kind: 'text' | 'boolean';
  /** What stands for the value in the documentation: a word in capitals, and words to be written as they are, as in `NUMBER|auto`. */
  readonly value: string;
  readonly byDefault: string;
  readonly group: string;
  readonly about: string;
}

/** The values of a flag, or the operands of a command, that are written as they are: `auto` of `NUMBER|auto`. */
export function choicesIn(value: string): string[] {
  return value.split('|').filter((word) => /^[a-z]/u.test(word));
}

const servingFlags = 'Serving:';
const config = 'Configuration:';
const node = 'On the node:';
const watching = 'Logs, metrics and health:';
const lifecycle = 'Handover and files:';
const report = 'Report:';
const askingFlags = 'Questions to the running zerohop:';
const other = 'Other:';

export const flagTable = {
  localip: text(servingFlags, 'ADDRESSES', '169.254.20.10', 'Comma-separated addresses to listen on, IPv4 and IPv6.'),
  'dns.port': text(servingFlags, 'PORT', '53', 'Port of server blocks without a port, and of the firewall rules.', 'p'),
  upstreamsvc: text(
    servingFlags,
    'SERVICE|ADDRESS',
    'kube-dns',
    'Cluster DNS: a Service in this namespace (address from NAME_SERVICE_HOST), or IP or IP:PORT.',
  ),
  workers: text(servingFlags, 'NUMBER|auto', '1', 'Number of workers; auto: one per core, up to 4.'),

  conf: text(
    config,
    'FILE',
    '/etc/Corefile',
    'Corefile to serve. Without flag and file, zerohop serves the built-in configuration (see zerohop check).',
    'corefile',
  ),
  basecorefile: text(
    config,
    'FILE',
    '/etc/coredns/Corefile.base',
    'Template with __PILLAR__ placeholders; if it exists, zerohop writes the -conf file from it.',
  ),
  kubednscm: text(
    config,
    'DIRECTORY',
    '/etc/kube-dns',
    'Directory of the kube-dns ConfigMap (stubDomains, upstreamNameservers).',
  ),
  reloadwithsignal: boolean(
    config,
    'false',
    'Load a new Corefile at once, without waiting for the interval of its reload directive.',
  ),

  setupinterface: boolean(
    node,
    'true',
    'Create the interface of -interfacename and keep the addresses of -localip on it.',
  ),
  interfacename: text(node, 'NAME', 'nodelocaldns', 'Interface to create.'),
  setupiptables: boolean(node, 'true', 'Keep the NOTRACK and ACCEPT rules in place.'),
  firewall: text(node, 'auto|iptables|nftables|none', 'auto', 'Tool that writes the rules.'),
  syncinterval: text(
    node,
    'DURATION',
    '60',
    'Interval of the interface and rule checks, 1s to 24h; a bare number is seconds.',
  ),
  skipteardown: boolean(node, 'false', 'Leave interface and rules in place on exit.'),
  kernellane: text(
    node,
    'off|on|beside|try|remove',
    'off',
    'Let the kernel give cached answers: on; beside: also where programs of others see the packets. try: print whether this kernel allows it, and exit. remove: take out of the kernel what earlier processes have left, and exit.',
  ),
  kernellanelinger: text(
    node,
    'DURATION',
    '2m',
    'How long the kernel goes on answering after the end of this process, until a successor serves; 0: not at all.',
  ),
  kernellanefolder: text(
    node,
    'PATH',
    '/sys/fs/bpf/zerohop',
    'Folder on a bpf file system for what outlives this process in the kernel.',
  ),

  'health-port': text(
    watching,
    'PORT',
    '8080',
    'Port of /health in the NOTRACK rules; the Corefile sets where /health is served.',
  ),
  'metrics-listen-address': text(
    watching,
    'ADDRESS:PORT',
    '0.0.0.0:9353',
    'Additional address of /metrics; empty turns it off.',
  ),
  'metrics-former-names': boolean(
    watching,
    'true',
    'Repeat metrics under names that CoreDNS has renamed or removed, for older dashboards and alerts.',
  ),
  page: text(watching, 'ADDRESS:PORT', '', 'Address of the live page, for browsers on this node; empty turns it off.'),
  'prometheus-listen-address': text(
    watching,
    'ADDRESS:PORT',
    ':9253',
    'Value of __PROMETHEUS__ENDPOINT__ in the Corefile template.',
  ),
  logformat: text(
    watching,
    'auto|text|json',
    'auto',
    'Format of the log; auto: text if stdout is a terminal, JSON otherwise.',
  ),
  quiet: boolean(watching, 'false', 'Log warnings and errors only.'),
  doctor: boolean(
    watching,
    'true',
    'Once a minute look at the node for what keeps queries from being answered: a log line and zerohop_doctor_failed.',
  ),

  handover: text(
    lifecycle,
    'FILE',
    '/run/zerohop/handover.sock',
    'Unix socket for the handover to a successor or standby; empty turns it off.',
  ),
  control: text(
    lifecycle,
    'FILE',
    '/run/zerohop/control.sock',
    'Unix socket over which commands such as zerohop status ask the running zerohop; empty turns it off.',
  ),
  cachefile: text(lifecycle, 'FILE', '', 'Snapshot file of the cache, best on tmpfs; empty turns it off.'),
  pidfile: text(lifecycle, 'FILE', '', 'File for the process id, written once zerohop serves; empty turns it off.'),

  output: text(report, 'text|json', 'text', 'Output format.', 'o'),
  ask: boolean(
    askingFlags,
    'false',
    'Also ask the running zerohop as a client would, and print the answer and its time.',
  ),
  search: text(
    askingFlags,
    'DOMAINS',
    '',
    'Comma-separated search domains of the pod, as in its /etc/resolv.conf; empty: those of the namespace default.',
  ),
  ndots: text(askingFlags, 'NUMBER', '5', 'The option ndots of the pod, 0 to 15.'),
  zone: text(askingFlags, 'ZONE', '', 'All names at or below this one, in place of one name.'),
  name: text(askingFlags, 'GLOB', '', 'Only names like this; * stands for any characters, ? for one.'),
  client: text(askingFlags, 'CIDR', '', 'Only queries of this address or network.'),
  rcode: text(askingFlags, 'RCODE', '', 'Only answers with this rcode, such as NXDOMAIN.'),
  slow: text(askingFlags, 'MS', '0', 'Only answers that took so many milliseconds.'),
  for: text(askingFlags, 'DURATION', '', 'End after this time; empty: with Ctrl-C.'),
  once: boolean(askingFlags, 'false', 'Print one reading, of one second, and exit.'),
  watch: boolean(report, 'false', 'Look again every minute, and print what has changed.'),
  'doctor-name': text(
    report,
    'NAME',
    '',
    'A name outside the cluster that zerohop doctor may ask for; without it, no name of others leaves the node.',
  ),
  strict: boolean(report, 'false', 'Fail on warnings too (exit status 2).'),
  version: boolean(other, 'false', 'Print the version and exit.'),
  plugins: boolean(other, 'false', 'Print the supported directives and exit.'),
  help: boolean(other, 'false', 'Print the help and exit.', 'h'),
} as const satisfies Readonly<Record<string, Flag>>;

export type FlagName = keyof typeof flagTable;

function text(group: string, value: string, byDefault: string, about: string, ...aliases: string[]): Flag {
  return { aliases, kind: 'text', value, byDefault, group, about };
}

function boolean(group: string, byDefault: 'true' | 'false', about: string, ...aliases: string[]): Flag {
  return { aliases, kind: 'boolean', value: 'true|false', byDefault, group, about };
}

/** The variables of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Wrong usage; the message is one sentence on one line with what to change. */
export class UsageError extends Error {
  constructor(message: string) {
    // The message quotes arguments, which may contain line ends and terminal escapes.
    super(message.replace(/\p{Cc}/gu, '?'));
  }
}

export interface ReadFlags {
  /** The flag's value, or its default. */
  text(name: FlagName): string;
  isSet(name: FlagName): boolean;
  /** Flags of the command line, in order, without repetitions. */
  readonly given: readonly FlagName[];
  /** The command and its files. */
  readonly words: readonly string[];
  /** Words right behind a boolean without a value, and the boolean: the word may be meant as its value. */
  readonly behindBoolean: ReadonlyMap<string, FlagName>;
}

/** Takes the arguments of the process, without those of Node. Throws a UsageError. */
export function readFlags(argv: readonly string[]): ReadFlags {
  const values = new Map<FlagName, string>();
  const words: string[] = [];
  const behindBoolean = new Map<string, FlagName>();
  let at = 0;
  while (at < argv.length) {
    const argument = argv[at++];
    if (argument === '--') {
      words.push(...argv.slice(at));
      break;
    }
    if (!isFlag(argument)) {
      words.push(argument);
      continue;
    }
    const { name, value } = splitFlag(argument);
    if (flagOf(name).kind === 'boolean') {
      values.set(name, booleanText(name, value ?? 'true'));
      if (value === undefined && at < argv.length) behindBoolean.set(argv[at], name);
    } else if (value !== undefined) {
      values.set(name, value);
    } else {
      values.set(name, nextValue(name, argv[at++]));
    }
  }
  const text = (name: FlagName): string => values.get(name) ?? flagOf(name).byDefault;
  return { text, isSet: (name) => text(name) === 'true', given: [...values.keys()], words, behindBoolean };
}

const flagNames = Object.keys(flagTable) as FlagName[];
const namesByAlias = new Map<string, FlagName>(
  flagNames.flatMap((name) => [name, ...flagOf(name).aliases].map((alias) => [alias, name])),
);

/** The flag's record, without its narrower type. */
export function flagOf(name: FlagName): Flag {
  return flagTable[name];
}

/** A lone dash is a word, as in Go. */
function isFlag(argument: string): boolean {
  return argument.startsWith('-') && argument.length > 1;
}

function splitFlag(argument: string): { name: FlagName; value: string | undefined } {
  const [, dashes, written, value] = /^(--?)([^=]*)(?:=(.*))?$/su.exec(argument) ?? [];
  const name = namesByAlias.get(written);
  if (name === undefined) throw unknownFlag(dashes, written);
  return { name, value };
}

function unknownFlag(dashes: string, written: string): UsageError {
  const word = written.replace(/^no-/u, '');
  const meant = nearest(word, namesByAlias.keys()) ?? beginningLike(word);
  const hint = meant === undefined ? 'see zerohop --help.' : `did you mean ${dashes}${meant}?`;
  return new UsageError(`unknown flag ${dashes}${written}; ${hint}`);
}

/** `conf` for `config`, `metrics-listen-address` for `metrics`. */
function beginningLike(word: string): FlagName | undefined {
  if (word.length < 3) return undefined;
  return flagNames.find((name) => name.startsWith(word) || word.startsWith(name));
}

/** As in Go's strconv.ParseBool. */
const trueTexts = /^(?:1|t|T|TRUE|true|True)$/u;
const falseTexts = /^(?:0|f|F|FALSE|false|False)$/u;

/** Whether the word is a value of boolean flags. */
export function isBoolean(value: string): boolean {
  return trueTexts.test(value) || falseTexts.test(value);
}

function booleanText(name: FlagName, value: string): 'true' | 'false' {
  if (trueTexts.test(value)) return 'true';
  if (falseTexts.test(value)) return 'false';
  throw new UsageError(`-${name}=${value} is neither true nor false; write -${name}=true or -${name}=false.`);
}

/** A known flag in the place of a value means that the value was forgotten: none begins with a dash. */
function nextValue(name: FlagName, next: string | undefined): string {
  const written = next === undefined ? undefined : /^--?([^=]+)/u.exec(next)?.[1];
  if (next !== undefined && !(written !== undefined && namesByAlias.has(written))) return next;
  throw new UsageError(`-${name} needs a value; write -${name}=VALUE.`);
}
