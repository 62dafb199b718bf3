/** The man page, made from the lists of commands and flags, in the macros of man(7). */
import { type CommandSpec, calledName, commands, flagGrammar, usageOf } from './commands.js';
import { type Flag, flagTable } from './flag-reader.js';
import { programVersion } from './version.js';

/** Without the last line end. */
export function manPage(): string {
  const [serving, ...others] = commands;
  return [
    `.TH ZEROHOP 8 "" "zerohop ${programVersion()}" "System Administration"`,
    // Flags and paths are not hyphenated, and lines not stretched.
    '.nh',
    '.ad l',
    '.SH NAME',
    'zerohop \\- DNS cache for every node of a Kubernetes cluster',
    '.SH SYNOPSIS',
    ...commands.flatMap((command, index) => [...(index === 0 ? [] : ['.br']), synopsis(command)]),
    '.SH DESCRIPTION',
    roff(serving.details),
    '.SH COMMANDS',
    ...others.flatMap(commandPart),
    '.SH FLAGS',
    roff(flagGrammar),
    ...flagParts(),
    '.SH EXIT STATUS',
    roff(serving.exitStatus),
    '.SH ENVIRONMENT',
    ...environment.flatMap(([name, about]) => ['.TP', `.B ${roff(name)}`, roff(about)]),
    '.SH EXAMPLES',
    ...commands.flatMap(({ examples }) => examples).flatMap(([line, what]) => ['.TP', `.B ${roff(line)}`, roff(what)]),
  ].join('\n');
}

const environment: readonly (readonly [name: string, about: string])[] = [
  [
    'ZEROHOP_IO',
    'If it is "portable", zerohop answers UDP without workers and without the system calls that they need.',
  ],
  ['NAME_SERVICE_HOST, NAME_SERVICE_PORT_DNS', 'Address and port of the Service of -upstreamsvc, set by Kubernetes.'],
  ['KUBE_DNS_SERVICE_HOST', 'Address of the Service kube-dns, set by Kubernetes; -localip is compared with it.'],
  ['NO_COLOR', 'If it is not empty, zerohop writes no colors to a terminal.'],
  ['FORCE_COLOR', 'If it is not empty, zerohop writes colors to pipes and files too.'],
];

/** `zerohop check` in bold, the rest of the usage as it is. */
function synopsis(command: CommandSpec): string {
  const name = calledName(command);
  return `\\fB${roff(name)}\\fR${roff(usageOf(command).slice(name.length))}`;
}

function commandPart(command: CommandSpec): string[] {
  const flags = command.flags.map((name) => `-${name}`).join(', ');
  const onlyHere = command.flags.length > 1 ? ['.IP', roff(`Flags: ${flags}.`)] : [];
  return [
    '.TP',
    synopsis(command),
    roff(command.details),
    ...onlyHere,
    '.IP',
    roff(`Exit status: ${command.exitStatus}`),
  ];
}

/** The groups of flags in the order of their first flags. */
function flagParts(): string[] {
  const flags = Object.entries<Flag>(flagTable);
  return [...new Set(flags.map(([, { group }]) => group))].flatMap((group) => [
    `.SS ${roff(group.replace(/:$/u, ''))}`,
    ...flags.filter(([, flag]) => flag.group === group).flatMap(flagPart),
  ]);
}

function flagPart([name, { aliases, kind, value, about, byDefault }]: readonly [string, Flag]): string[] {
  const names = [name, ...aliases].map((each) => `\\fB${roff(`-${each}`)}\\fR`).join(', ');
  const written = kind === 'boolean' ? '' : ` \\fI${roff(value)}\\fR`;
  return ['.TP', `${names}${written}`, roff(`${about} Default: ${byDefault === '' ? 'empty' : byDefault}.`)];
}

/** The text as troff takes it for itself: hyphens that may be copied, no escapes, no request at the start of a line. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/u, '\\&');
}
