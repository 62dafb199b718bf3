/**
 * The commands as data, one record each: its words and flags, how its help, its completion and the man page present it, and
 * how its arguments become a `CliCommand`. Another command is another record here, and a case in process/program.ts.
 */
import {
  type AskOptions,
  askOptions,
  type RunningQuestion,
  readFlush,
  readQuestionName,
  readQuestionType,
  readWalk,
} from './ask-options.js';
import { type DoctorOptions, doctorOptions } from './doctor-options.js';
import { choicesIn, type Environment, type FlagName, flagTable, type ReadFlags } from './flag-reader.js';
import { refuseForeignAddresses } from './local-addresses.js';
import {
  type CheckOutputOptions,
  readChoice,
  reportOutputs,
  type ServeOptions,
  serveOptions,
} from './serve-options.js';
import { programVersion } from './version.js';
import { type TailWishes, tailWishes } from './watch-options.js';

export type CliCommand =
  | { readonly kind: 'serve'; readonly options: ServeOptions }
  /** Without files: the file that flags name, else the built-in configuration. */
  | {
      readonly kind: 'check';
      readonly files: readonly string[];
      readonly options: ServeOptions;
      readonly wishes: CheckOutputOptions;
    }
  | { readonly kind: 'demo' }
  | { readonly kind: 'help'; readonly command: CommandSpec }
  /** Text for stdout, without the last line end. */
  | { readonly kind: 'version'; readonly text: string }
  | { readonly kind: 'plugins' }
  /** Whether this kernel takes the kernel lane. */
  | { readonly kind: 'try lane' }
  /** Take out of the kernel what the lane has left. */
  | { readonly kind: 'remove lane'; readonly folder: string }
  /** Asked of the running zerohop over its control socket. */
  | { readonly kind: 'ask'; readonly question: RunningQuestion; readonly options: AskOptions }
  | { readonly kind: 'tail'; readonly wishes: TailWishes; readonly options: AskOptions }
  /** `shows`: until Ctrl-C on a terminal, or one reading. */
  | { readonly kind: 'top'; readonly shows: 'screen' | 'once'; readonly options: AskOptions }
  | { readonly kind: 'doctor'; readonly options: DoctorOptions }
  | { readonly kind: 'completion'; readonly shell: Shell }
  | { readonly kind: 'man' }
  /** One sentence for stderr, then exit 2. */
  | { readonly kind: 'usage'; readonly message: string };

/** What a command line is read with, besides its words. */
export interface Machine {
  readonly environment: Environment;
  /** The addresses of all interfaces but the named ones. */
  addressesBeside(...names: readonly string[]): readonly string[];
}

interface Given {
  readonly flags: ReadFlags;
  /** The words behind the command's name, as `operands` allows them. */
  readonly words: readonly string[];
  readonly machine: Machine;
}

export interface CommandSpec {
  /** Empty for serving, which has no word of its own. */
  readonly name: string;
  /** As a usage line has them: `none`, `[FILE...]`, `NAME [TYPE]`, `bash|zsh`, or `[COMMAND]`; what is in brackets may be left out. */
  readonly operands: string;
  /** For lists of commands: no more than half a line. */
  readonly about: string;
  /** For the help of the command: sentences. */
  readonly details: string;
  /** The flags that mean something to the command; those of `ignores` it takes as well. */
  readonly flags: readonly FlagName[];
  readonly ignores?: readonly FlagName[];
  /** Lines for a shell, each with what it is for. */
  readonly examples: readonly (readonly [line: string, what: string])[];
  readonly exitStatus: string;
  /** Throws a UsageError. */
  read(given: Given): CliCommand;
}

const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

const flagsOfCheck = ['output', 'strict'] as const;
const flagsOfTail = ['name', 'client', 'rcode', 'slow', 'for'] as const;
const flagsOfAsking = ['ask', 'search', 'ndots', 'zone', ...flagsOfTail, 'once'] as const;
const flagsOfDoctor = ['watch', 'doctor-name'] as const;
const flagsOfOthers: readonly FlagName[] = [...flagsOfCheck, ...flagsOfAsking, ...flagsOfDoctor];
const flagsOfServe = (Object.keys(flagTable) as FlagName[]).filter((name) => !flagsOfOthers.includes(name));
/** Of every command that asks the running zerohop. */
const flagsOfAskers = ['control', 'output', 'help'] as const;
/** What a Corefile is made with, and what advice on it depends on. */
const flagsOfConfiguration = [
  ...(['localip', 'dns.port', 'upstreamsvc', 'conf', 'basecorefile', 'kubednscm', 'reloadwithsignal'] as const),
  ...(['health-port', 'metrics-listen-address', 'prometheus-listen-address'] as const),
];

const serveCommand: CommandSpec = {
  name: '',
  operands: 'none',
  about: 'serve',
  details:
    'zerohop answers the DNS queries of the pods on a node from its cache, and asks the cluster DNS on a miss. It takes the ' +
    'command line and the Corefile of node-cache (NodeLocal DNSCache).',
  flags: flagsOfServe,
  examples: [
    ['zerohop -localip 169.254.20.10,10.96.0.10 -conf /etc/Corefile', 'Serve on a node, as node-cache does.'],
    [
      'zerohop -localip 127.0.0.1 -p 1053 -setupinterface=false -setupiptables=false -upstreamsvc 10.96.0.10',
      'Serve for a try, without root.',
    ],
  ],
  exitStatus: '0 after a clean stop, 1 if the start failed, 2 if the command line or the configuration is invalid.',
  read({ flags, machine }) {
    const options = readMachineOptions(flags, machine);
    const { kernelLane, kernelLaneFolder: folder } = options;
    if (kernelLane === 'try') return { kind: 'try lane' };
    return kernelLane === 'remove' ? { kind: 'remove lane', folder } : { kind: 'serve', options };
  },
};

const checkFilesCommand: CommandSpec = {
  name: 'check',
  operands: '[FILE...]',
  about: 'report errors and warnings in Corefiles',
  details:
    'The command reads Corefiles and templates as a start with the same flags would, without serving, and reports all ' +
    'errors, and settings that work but cause trouble. FILE - is stdin. Without FILE it checks the file of -basecorefile or ' +
    '-conf if that flag is given, and otherwise prints the built-in configuration. It accepts the flags for serving that do ' +
    'not matter here, so that a whole command line can be checked.',
  flags: [...flagsOfCheck, ...flagsOfConfiguration, 'help'],
  ignores: flagsOfServe,
  examples: [
    ['zerohop check /etc/Corefile', 'All errors and warnings of a Corefile, by line.'],
    ['zerohop check -strict -o json Corefile', 'For a pipeline: JSON, and exit status 2 for a warning too.'],
    ['zerohop check -upstreamsvc 10.96.0.10', 'The built-in configuration for this cluster DNS.'],
  ],
  exitStatus: '0 if every file can be served, otherwise 2; with -strict, 2 for a warning too.',
  read: ({ flags, words, machine }) => ({
    kind: 'check',
    files: words,
    options: readMachineOptions(flags, machine),
    wishes: { output: readChoice('output', flags.text('output'), reportOutputs), isStrict: flags.isSet('strict') },
  }),
};

const demoCommand: CommandSpec = {
  name: 'demo',
  operands: 'none',
  about: 'show a cache at work, without a cluster',
  details:
    'The demo needs no cluster, root or network. It starts a stand-in for the cluster DNS on 127.0.0.1 and zerohop with its ' +
    'built-in configuration in front of it, sends queries as a pod would, prints where each answer came from, and serves ' +
    'until Ctrl-C.',
  flags: ['help'],
  examples: [['zerohop demo', 'In another terminal: dig @127.0.0.1 -p 1053 www.example.com']],
  exitStatus: '0 after Ctrl-C, 1 if the start failed.',
  read: () => ({ kind: 'demo' }),
};

const completionCommand: CommandSpec = {
  name: 'completion',
  operands: shells.join('|'),
  about: 'print a completion script for a shell',
  details: 'The script knows the commands, flags, values and files of this version of zerohop.',
  flags: ['help'],
  examples: [
    ['source <(zerohop completion bash)', 'In ~/.bashrc.'],
    ['source <(zerohop completion zsh)', 'In ~/.zshrc, after compinit.'],
    ['zerohop completion fish >~/.config/fish/completions/zerohop.fish', 'Once.'],
  ],
  exitStatus: '0, or 2 for another shell.',
  read: ({ words: [shell] }) => ({ kind: 'completion', shell: shell as Shell }),
};

const manCommand: CommandSpec = {
  name: 'man',
  operands: 'none',
  about: 'print the man page',
  details: 'The page has all commands and flags, in the format of man.',
  flags: ['help'],
  examples: [
    ['zerohop man | man -l -', 'Read it.'],
    ['zerohop man >/usr/local/share/man/man8/zerohop.8', 'Install it.'],
  ],
  exitStatus: '0.',
  read: () => ({ kind: 'man' }),
};

const versionCommand: CommandSpec = {
  name: 'version',
  operands: 'none',
  about: 'same as -version',
  details: 'The command prints the versions of zerohop and Node.js, and the platform.',
  flags: ['help'],
  examples: [['zerohop version', 'For a bug report.']],
  exitStatus: '0.',
  read: () => ({ kind: 'version', text: versionText() }),
};

const statusOfAskers =
  '0, or 1 if the running zerohop cannot be asked (no socket, another user, another version, too many commands), or 2 for ' +
  'an invalid command line.';

const statusCommand: CommandSpec = {
  name: 'status',
  operands: 'none',
  about: 'show what the running zerohop serves',
  details:
    'The command shows what is in force and since when, the role among several instances, the last reload, server blocks, ' +
    'upstreams and their state, how full the cache is, and memory.',
  flags: [...flagsOfAskers],
  examples: [
    ['kubectl -n kube-system exec ds/node-local-dns -- zerohop status', 'On one node of a cluster.'],
    ['zerohop status -o json', 'For a program.'],
  ],
  exitStatus: statusOfAskers,
  read: ({ flags }) => ({ kind: 'ask', question: { command: 'status' }, options: askOptions(flags) }),
};

const lookupCommand: CommandSpec = {
  name: 'lookup',
  operands: 'NAME [TYPE]',
  about: 'show what the cache has of a name',
  details:
    'The command shows, for each server block that serves the name, the cached answers with their age, TTL and use, and what ' +
    'would happen to a query: which policy, plugins and upstreams it meets. TYPE is A without the word. Nothing is asked ' +
    'upstream, and no use is counted.',
  flags: ['ask', ...flagsOfAskers],
  examples: [
    ['zerohop lookup kubernetes.default.svc.cluster.local', 'Is it cached, and for how long?'],
    ['zerohop lookup -ask www.example.com AAAA', 'Ask as a pod would, and show the answer too.'],
  ],
  exitStatus: statusOfAskers,
  read: ({ flags, words: [name, type = 'A'] }) => ({
    kind: 'ask',
    question: {
      command: 'lookup',
      name: readQuestionName(name),
      type: readQuestionType(type),
      isAsked: flags.isSet('ask'),
    },
    options: askOptions(flags),
  }),
};

const explainCommand: CommandSpec = {
  name: 'explain',
  operands: 'NAME',
  about: 'show the queries that a pod sends for a name',
  details:
    "The command shows the walk along a pod's search path, query by query, in the order of glibc: which server block each " +
    'query meets, whether it is answered from the cache or by policy or goes upstream, and what the walk costs.',
  flags: ['search', 'ndots', ...flagsOfAskers],
  examples: [
    ['zerohop explain www.example.com', 'What a name of the internet costs a pod.'],
    [
      'zerohop explain db.prod -search shop.svc.cluster.local,svc.cluster.local,cluster.local -ndots 5',
      "With the lines of the pod's /etc/resolv.conf.",
    ],
  ],
  exitStatus: statusOfAskers,
  read: ({ flags, words: [name] }) => ({ kind: 'ask', question: readWalk(name, flags), options: askOptions(flags) }),
};

const flushCommand: CommandSpec = {
  name: 'flush',
  operands: '[NAME]',
  about: 'drop cached answers',
  details:
    'The command drops all cached answers of a name, of every type, or with -zone of all names at or below a zone, and says ' +
    'how many there were. The next query goes upstream.',
  flags: ['zone', ...flagsOfAskers],
  examples: [
    ['zerohop flush www.example.com', 'After a change of its records.'],
    ['zerohop flush -zone example.com', 'The same for all names of a zone; -zone . is everything.'],
  ],
  exitStatus: statusOfAskers,
  read: ({ flags, words }) => ({ kind: 'ask', question: readFlush(words, flags), options: askOptions(flags) }),
};

const tailCommand: CommandSpec = {
  name: 'tail',
  operands: 'none',
  about: 'show queries as they are answered',
  details:
    'The command shows a line for each query that the running zerohop answers: when, who asked, name and type, rcode, where ' +
    'the answer came from (hit, stale, miss, policy, plugin, failure, refused), and how long it took. The Corefile needs no ' +
    'log for it, and answers do not wait for it: of many hits (more than 50 a second) some are sampled, and what is not ' +
    'read in time is dropped; a line on stderr says how many. With -slow, hits are left out and all else is complete. Answers of the kernel ' +
    'lane are counted and not shown.',
  flags: [...flagsOfTail, ...flagsOfAskers],
  examples: [
    ['kubectl -n kube-system exec ds/node-local-dns -- zerohop tail -for 30s', 'On one node of a cluster.'],
    ["zerohop tail -name '*.example.com' -rcode SERVFAIL", 'Which queries for these names fail.'],
    ['zerohop tail -client 10.244.0.0/24 -slow 50', 'What these pods wait for.'],
    ['zerohop tail -o json', 'For a program: one JSON object a line.'],
  ],
  exitStatus: `${statusOfAskers} It is 0 after -for and after Ctrl-C, and 1 if zerohop ends meanwhile.`,
  read: ({ flags }) => ({ kind: 'tail', wishes: tailWishes(flags), options: askOptions(flags) }),
};

const topCommand: CommandSpec = {
  name: 'top',
  operands: 'none',
  about: 'show what the running zerohop does, live',
  details:
    'On a terminal the command fills the screen once a second: questions a second, hit ratio, and answer times (median and ' +
    '99th percentile), by zone; upstreams with their state; the most frequent names and most active clients; rcodes; what ' +
    'took longest. q or Ctrl-C ends it. Elsewhere, or with -once, it prints one reading and exits.',
  flags: ['once', ...flagsOfAskers],
  examples: [
    ['kubectl -n kube-system exec -it ds/node-local-dns -- zerohop top', 'On one node of a cluster.'],
    ['zerohop top -once -o json', 'One reading, for a program.'],
  ],
  exitStatus: `${statusOfAskers} It is 0 after q and Ctrl-C, and 1 if zerohop ends meanwhile.`,
  read: ({ flags }) => ({ kind: 'top', shows: flags.isSet('once') ? 'once' : 'screen', options: askOptions(flags) }),
};

const doctorCommand: CommandSpec = {
  name: 'doctor',
  operands: 'none',
  about: 'find what is wrong with DNS on this node',
  details:
    'The command looks at the node, at the cluster DNS and its endpoints, and at the running zerohop, and says for each ' +
    'fault what it saw, what that means, and which command helps, the worst first. A run takes up to 12 s and sends at most ' +
    '300 questions: for names of the cluster, the root, and random names below invalid. It changes nothing.',
  flags: ['watch', 'doctor-name', ...flagsOfAskers],
  examples: [
    ['kubectl -n kube-system exec ds/node-local-dns -- zerohop doctor', 'On one node of a cluster.'],
    ['zerohop doctor -o json', 'For a program, with the codes of all findings.'],
    ['zerohop doctor -watch', 'During a repair: every minute, what has changed.'],
  ],
  exitStatus: '0 if all is well, 1 with warnings, 2 with failures or if the command line is invalid.',
  read: ({ flags }) => ({ kind: 'doctor', options: doctorOptions(flags) }),
};

const wordCommands: readonly CommandSpec[] = [
  checkFilesCommand,
  doctorCommand,
  statusCommand,
  lookupCommand,
  explainCommand,
  flushCommand,
  tailCommand,
  topCommand,
  demoCommand,
  completionCommand,
  manCommand,
  versionCommand,
];

const helpCommand: CommandSpec = {
  name: 'help',
  operands: '[COMMAND]',
  about: 'same as -help, and as COMMAND -help',
  details: 'The command prints the help of zerohop, or that of another command.',
  flags: ['help'],
  examples: [['zerohop help check', 'The flags and the exit status of check.']],
  exitStatus: '0.',
  read: ({ words: [name = ''] }) => ({ kind: 'help', command: commandNamed(name)! }),
};

/** Serving first, help last. */
export const commands: readonly CommandSpec[] = [serveCommand, ...wordCommands, helpCommand];

export function commandNamed(name: string): CommandSpec | undefined {
  return commands.find((command) => command.name === name);
}

/** The words of which a command takes one; empty where it takes files or nothing. */
export function operandChoices({ operands }: CommandSpec): string[] {
  if (operands === 'none') return [];
  return operands === '[COMMAND]' ? commands.slice(1).map(({ name }) => name) : choicesIn(operands);
}

/** Operands that may be any word: the most of them, and the least. */
export function freeOperands({ operands }: CommandSpec): { readonly most: number; readonly least: number } {
  const words = operands === '[COMMAND]' ? [] : operands.split(' ').filter((word) => /^\[?[A-Z]+\]?$/u.test(word));
  return { most: words.length, least: words.filter((word) => !word.startsWith('[')).length };
}

/** For every command's help, and the man page. */
export const flagGrammar =
  'Flags have one dash or two: -name value or -name=value. Booleans take a value only after =, as in -setupiptables=false. ' +
  'Durations: 60s, 500ms, 1h30m.';

/** `zerohop check [FILE...] [flags]`. */
export function usageOf(command: CommandSpec): string {
  const { operands, flags } = command;
  const written = operands === 'none' ? '' : ` ${operands}`;
  return `${calledName(command)}${written}${flags.length > 1 ? ' [flags]' : ''}`;
}

/** The flags that a command takes, whether they mean something to it or not. */
export function takes({ flags, ignores = [] }: CommandSpec, name: FlagName): boolean {
  return flags.includes(name) || ignores.includes(name);
}

/** `zerohop`, `zerohop check`: a command as sentences name it. */
export function calledName({ name }: CommandSpec): string {
  return name === '' ? 'zerohop' : `zerohop ${name}`;
}

export function versionText(): string {
  return `zerohop-${programVersion()}\n${process.platform}/${process.arch}, Node.js ${process.versions.node}`;
}

function readMachineOptions(flags: ReadFlags, { environment, addressesBeside }: Machine): ServeOptions {
  const options = serveOptions(flags, environment);
  // Where a kernel has no dummy interfaces, zerohop uses lo.
  refuseForeignAddresses(options, { environment, addresses: addressesBeside(options.interfaceName, 'lo') });
  return options;
}
