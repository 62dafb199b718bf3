/**
 * `zerohop check [FILE…]`: reports errors, warnings and advice for Corefiles, and the Corefile that a template becomes;
 * for people, or as JSON for programs. Without a file it checks the file of -basecorefile or -conf, else the built-in
 * configuration.
 */
import type { Endpoint } from '../os/network.js';
import { type AdviceDeps, adviceOn } from './advice.js';
import { directiveNames } from './block.js';
import { type Config, ConfigError, type Diagnostic, formatDiagnostic } from './config.js';
import { parseCorefile } from './corefile.js';
import {
  builtinSource,
  clusterDnsPlaceholder,
  fromBuiltin,
  fromTemplate,
  hasPillars,
  joined,
  kubeDnsFiles,
  type MakeOptions,
  readKubeDns,
} from './generated-corefile.js';
import { corefileText, type LoadOptions, parsePieces, readNamed } from './load.js';
import type { CheckOutputOptions, ServeOptions } from './serve-options.js';

export type CheckOptions = MakeOptions & AdviceDeps & Pick<ServeOptions, 'corefileGiven' | 'baseCorefileGiven'>;

/** The file `-`, and its name in findings. */
export const stdinFile = '-';
const stdinName = '(stdin)';

export interface ConfigFinding {
  readonly severity: 'error' | 'warning';
  /** A word for programs, listed in docs/REFERENCE.md. */
  readonly code: string;
  readonly file: string;
  /** Null for the file as a whole. */
  readonly line: number | null;
  readonly message: string;
  /** Null if the message has none. */
  readonly remedy: string | null;
}

/** The result for one file. */
export interface Report {
  readonly file: string;
  /** Whether it can be served. */
  readonly ok: boolean;
  readonly serverBlocks: number;
  /** The Corefile made from a template, or the built-in one; null for a Corefile. */
  readonly text: string | null;
  /** The files that `text` was made with, besides the template. */
  readonly madeWith: readonly string[];
  readonly findings: readonly ConfigFinding[];
}

/** Checks the files, or without any those that the flags name; `stdin` is the content of the file `-`. */
export function check(
  files: readonly string[],
  load: LoadOptions,
  options: CheckOptions,
  stdin: Uint8Array = new Uint8Array(0),
): Report[] {
  const wanted = files.length > 0 ? files : filesOfFlags(options);
  if (wanted.length === 0) return [reportOn(builtinSource, load, options, builtinLooked)];
  const once = readingOnce(load, stdin);
  return wanted
    .map((file) => (file === stdinFile ? stdinName : file))
    .map((file) => reportOn(file, once, options, isTemplate(file, once) ? templateLooked : corefileLooked));
}

/** As at a start, the template goes before the file that is made from it. */
function filesOfFlags({ corefilePath, corefileGiven, baseCorefilePath, baseCorefileGiven }: CheckOptions): string[] {
  if (baseCorefileGiven) return [baseCorefilePath];
  return corefileGiven ? [corefilePath] : [];
}

/** A pipe, as /dev/stdin may be one, can be read once. */
function readingOnce(load: LoadOptions, stdin: Uint8Array): LoadOptions {
  const texts = new Map<string, string>();
  const read = (file: string): string => {
    const text = texts.get(file) ?? (file === stdinName ? corefileText(stdin) : load.files.read(file));
    texts.set(file, text);
    return text;
  };
  return { ...load, files: { ...load.files, read } };
}

/** A valid configuration. */
interface Looked extends Pick<Report, 'text' | 'madeWith' | 'findings'> {
  readonly config: Config;
}

type LookAtFile = (file: string, load: LoadOptions, options: CheckOptions) => Looked;

function reportOn(file: string, load: LoadOptions, options: CheckOptions, look: LookAtFile): Report {
  const names = directiveNames(load.plugins);
  try {
    const { config, text, madeWith, findings } = look(file, load, options);
    const all = findingsInOrder([...findings, ...findingsOn(config, load, options)]);
    return { file, ok: true, serverBlocks: config.blocks.length, text, madeWith, findings: all };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const found = [
      ...error.warnings.map((warning) => findingOf(warning, 'warning', names)),
      ...error.errors.map((each) => findingOf(each, 'error', names)),
    ];
    return { file, ok: false, serverBlocks: 0, text: null, madeWith: [], findings: findingsInOrder(distinct(found)) };
  }
}

/** Warnings and advice on a valid configuration. Throws a ConfigError if a file that it imports is gone. */
export function findingsOn(config: Config, load: LoadOptions, options: AdviceDeps): readonly ConfigFinding[] {
  const names = directiveNames(load.plugins);
  const advice = adviceOn(config, parseCorefile(config.pieces, load, []), options, load.plugins);
  const all = [
    ...config.warnings.map((warning) => findingOf(warning, 'warning', names)),
    ...advice.map(({ at, code, message, remedy }) => placed('warning', at, { code, message, remedy })),
  ];
  return findingsInOrder(distinct(all));
}

const corefileLooked: LookAtFile = (file, load) => {
  const pieces = [{ text: readNamed(file, load, '; name a Corefile that this user can read.'), file }];
  return { config: parsePieces(pieces, [], load), text: null, madeWith: [], findings: [] };
};

/** Stand-ins for an unknown cluster DNS, as off the node: kubeadm's address, and one for documentation (RFC 5737). */
const examples = { builtin: { address: '10.96.0.10', port: 53 }, template: { address: '192.0.2.53', port: 53 } };

const builtinLooked: LookAtFile = (file, load, options) => {
  const make = withExample(options, examples.builtin);
  const pieces = fromBuiltin(readKubeDns(options.kubeDnsFolder, load.files), make, load);
  const findings = exampleFindings(file, options, examples.builtin);
  const config = parsePieces(pieces, [], load);
  return { config, text: joined(pieces), madeWith: kubeDnsHere(options, load), findings };
};

const templateLooked: LookAtFile = (file, load, options) => {
  const make = withExample(options, examples.template);
  const template = load.files.read(file);
  const pieces = fromTemplate({ text: template, file }, readKubeDns(options.kubeDnsFolder, load.files), make, load);
  const config = parsePieces(pieces, [file], load);
  const asksIt = template.includes(clusterDnsPlaceholder);
  const findings = asksIt ? exampleFindings(file, options, examples.template) : [];
  return { config, text: joined(pieces), madeWith: kubeDnsHere(options, load), findings };
};

function withExample(options: CheckOptions, example: Endpoint): MakeOptions {
  return { ...options, clusterDns: { endpoint: options.clusterDns.endpoint ?? example, missing: null } };
}

function exampleFindings(file: string, { clusterDns }: CheckOptions, { address }: Endpoint): ConfigFinding[] {
  if (clusterDns.missing === null) return [];
  const message = `${address} is used as the cluster DNS here: ${clusterDns.missing}`;
  return [findingOf({ at: { file, line: 0 }, message, code: 'cluster-dns-unknown' }, 'warning', [])];
}

function kubeDnsHere({ kubeDnsFolder }: CheckOptions, { files }: LoadOptions): string[] {
  return Object.values(kubeDnsFiles(kubeDnsFolder)).filter((path) => files.exists(path));
}

/** An unreadable file is reported when it is read as a Corefile. */
function isTemplate(file: string, { files }: LoadOptions): boolean {
  try {
    return hasPillars(files.read(file));
  } catch {
    return false;
  }
}

/** A message begins with its directive, if it is about one, and ends with the remedy. */
function findingOf(
  { at, code, message: sentence }: Diagnostic,
  severity: ConfigFinding['severity'],
  names: readonly string[],
): ConfigFinding {
  const [, name = ''] = /^(\w+)(?: [\w ]+)?: /u.exec(sentence) ?? [];
  const [, message, remedy] = /^(.*); ([^;]+?)\.?$/su.exec(sentence) ?? [undefined, sentence.replace(/\.$/u, ''), null];
  return placed(severity, at, { code: code ?? (names.includes(name) ? name : 'corefile'), message, remedy });
}

function placed(
  severity: ConfigFinding['severity'],
  { file, line }: Diagnostic['at'],
  said: Pick<ConfigFinding, 'code' | 'message' | 'remedy'>,
): ConfigFinding {
  const { code, message, remedy } = said;
  return { severity, code, file, line: line === 0 ? null : line, message, remedy };
}

/** A snippet in several blocks gives one finding. */
function distinct(findings: readonly ConfigFinding[]): ConfigFinding[] {
  return [...new Map(findings.map((each) => [`${each.file} ${each.line} ${each.message}`, each])).values()];
}

/** By file, in order of appearance, and by line. */
function findingsInOrder(findings: readonly ConfigFinding[]): ConfigFinding[] {
  const files = [...new Set(findings.map(({ file }) => file))];
  return findings.toSorted(
    (one, other) => files.indexOf(one.file) - files.indexOf(other.file) || (one.line ?? 0) - (other.line ?? 0),
  );
}

/** Raised when a field changes its meaning or is removed, not when one is added. */
const schema = 1;

/** Writes the reports line by line and returns the exit code: 0, or 2 if a file is rejected. */
export function writeReports(
  reports: readonly Report[],
  { output, isStrict }: CheckOutputOptions,
  write: (line: string) => void,
): 0 | 2 {
  const ok = reports.every((report) => report.ok);
  if (output === 'json') write(JSON.stringify({ schema, ok, files: reports }, null, 2));
  else for (const report of reports) writeText(report, isStrict, write);
  return ok && !(isStrict && reports.some(isUnwise)) ? 0 : 2;
}

/** Users cannot change the built-in configuration. */
function isUnwise({ file, findings }: Report): boolean {
  return file !== builtinSource && findings.length > 0;
}

function writeText(report: Report, isStrict: boolean, write: (line: string) => void): void {
  const { file, text, madeWith, findings } = report;
  // The output is a Corefile, so findings are comments.
  if (file === builtinSource && text !== null) {
    for (const { line, message } of findings) if (line === null) write(`# ${message}.`);
    return writeLines(text, write);
  }
  if (text !== null) {
    write(`${file}: a template, which${madeWith.length > 0 ? `, with ${madeWith.join(' and ')},` : ''} becomes:`);
    writeLines(text, write);
  }
  for (const finding of findings) write(findingText(finding));
  if (!report.ok) return;
  const verdict = isStrict && isUnwise(report) ? 'rejected by -strict' : 'ok';
  write(`${file}: ${verdict}, ${counted(report.serverBlocks, 'server block')}, ${counted(findings.length, 'warning')}`);
}

function findingText({ severity, file, line, message, remedy }: ConfigFinding): string {
  const sentence = remedy === null ? message : `${message}; ${remedy}`;
  const end = /[.?]$/u.test(sentence) ? '' : '.';
  return formatDiagnostic({ at: { file, line: line ?? 0 }, message: `${severity}: ${sentence}${end}` });
}

function writeLines(text: string, write: (line: string) => void): void {
  for (const line of text.trimEnd().split('\n')) write(line);
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}
