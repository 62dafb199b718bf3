/**
 * `zerohop check [FILE…]`: finds out what is wrong, unwise or hurts in Corefiles, and what templates become; without a
 * file it is about the built-in configuration. How it is written down is check-output.ts's business.
 */
import type { AdviceWorld } from './advice/advised.js';
import { adviceOn } from './advice.js';
import { builtinCorefile, builtinExample, builtinSource } from './builtin.js';
import type { Config, Diagnostic } from './config.js';
import { parseCorefile } from './corefile.js';
import { isSupported } from './directives/known.js';
import { ConfigError } from './error.js';
import type { Written } from './imports.js';
import { kubeDnsFiles, readKubeDns } from './kube-dns.js';
import { type LoadOptions, loadCorefile, parsePieces } from './load.js';
import { clusterDnsPlaceholder, hasPillars } from './pillars.js';
import { fromTemplate, joined, type MakeOptions } from './template-corefile.js';

/** What the flags say of a Corefile's surroundings. */
export type CheckOptions = MakeOptions & AdviceWorld;

export interface Finding {
  readonly severity: 'error' | 'warning';
  /** A word for programs, listed in docs/REFERENCE.md. */
  readonly code: string;
  readonly file: string;
  /** Null for the file as a whole. */
  readonly line: number | null;
  readonly message: string;
  /** What to do about it; null where nothing but the message says so. */
  readonly remedy: string | null;
}

/** One file, looked at. */
export interface Report {
  readonly file: string;
  /** Whether it can be served. */
  readonly ok: boolean;
  readonly serverBlocks: number;
  /** What a template becomes, or the text of the built-in configuration; null for a Corefile. */
  readonly text: string | null;
  /** The files that a template became this with, beside itself. */
  readonly madeWith: readonly string[];
  readonly findings: readonly Finding[];
}

/** Looks at each file, or at the built-in configuration where there are none. */
export function check(files: readonly string[], load: LoadOptions, options: CheckOptions): Report[] {
  if (files.length === 0) return [reportOn(builtinSource, load, options, builtinLooked)];
  const once = readingOnce(load);
  return files.map((file) => reportOn(file, once, options, isTemplate(file, once) ? templateLooked : corefileLooked));
}

/** A pipe, as /dev/stdin may be one, can be read once. */
function readingOnce(load: LoadOptions): LoadOptions {
  const texts = new Map<string, string>();
  const read = (file: string): string => {
    const text = texts.get(file) ?? load.files.read(file);
    texts.set(file, text);
    return text;
  };
  return { ...load, files: { ...load.files, read } };
}

/** A configuration that can be served, and where it comes from. */
interface Looked {
  readonly config: Config;
  readonly pieces: readonly Written[];
  readonly text: string | null;
  readonly madeWith: readonly string[];
  readonly findings: readonly Finding[];
}

type Look = (file: string, load: LoadOptions, options: CheckOptions) => Looked;

function reportOn(file: string, load: LoadOptions, options: CheckOptions, look: Look): Report {
  try {
    const { config, pieces, text, madeWith, findings } = look(file, load, options);
    const advice = adviceOn(config, parseCorefile(pieces, load, []), options);
    const all = [
      ...findings,
      ...config.warnings.map((warning) => findingOf(warning, 'warning')),
      ...advice.map(({ at, code, message, remedy }) => placed('warning', at, { code, message, remedy })),
    ];
    return { file, ok: true, serverBlocks: config.blocks.length, text, madeWith, findings: inOrder(distinct(all)) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const warnings = error.warnings.map((warning) => findingOf(warning, 'warning'));
    const fatal = findingOf({ at: error.at, message: error.sentence }, 'error');
    return { file, ok: false, serverBlocks: 0, text: null, madeWith: [], findings: [...distinct(warnings), fatal] };
  }
}

const builtinLooked: Look = (file, load) => {
  const text = builtinCorefile(builtinExample);
  const pieces = [{ text, file }];
  return { config: parsePieces(pieces, [], load), pieces, text, madeWith: [], findings: [] };
};

const corefileLooked: Look = (file, load) => {
  const config = loadCorefile(file, load);
  return { config, pieces: [{ text: load.files.read(file), file }], text: null, madeWith: [], findings: [] };
};

/** An address for documentation (RFC 5737). */
const exampleClusterDns = { address: '192.0.2.53', port: 53 };

/** Where no cluster DNS is known, as off the node, an example stands for it. */
const templateLooked: Look = (file, load, options) => {
  const { endpoint, missing } = options.clusterDns;
  const clusterDns = { endpoint: endpoint ?? exampleClusterDns, missing: null };
  const kubeDns = readKubeDns(options.kubeDnsFolder, load.files);
  const template = load.files.read(file);
  const pieces = fromTemplate({ text: template, file }, kubeDns, { ...options, clusterDns }, load);
  const config = parsePieces(pieces, [file], load);
  const madeWith = Object.values(kubeDnsFiles(options.kubeDnsFolder)).filter((path) => load.files.exists(path));
  const isExample = missing !== null && template.includes(clusterDnsPlaceholder);
  const message = `${exampleClusterDns.address} stands for the cluster DNS here: ${missing}`;
  const example = findingOf({ at: { file, line: 0 }, message, code: 'cluster-dns-unknown' }, 'warning');
  return { config, pieces, text: joined(pieces), madeWith, findings: isExample ? [example] : [] };
};

/** What cannot be read is for loadCorefile to say. */
function isTemplate(file: string, { files }: LoadOptions): boolean {
  try {
    return hasPillars(files.read(file));
  } catch {
    return false;
  }
}

/** A message begins with the directive that it is about, if it is about one, and ends with what to do. */
function findingOf({ at, code, message: sentence }: Diagnostic, severity: Finding['severity']): Finding {
  const [, name = ''] = /^(\w+)(?: [\w ]+)?: /u.exec(sentence) ?? [];
  const [, message, remedy] = /^(.*); ([^;]+?)\.?$/su.exec(sentence) ?? [undefined, sentence.replace(/\.$/u, ''), null];
  return placed(severity, at, { code: code ?? (isSupported(name) ? name : 'corefile'), message, remedy });
}

function placed(
  severity: Finding['severity'],
  { file, line }: Diagnostic['at'],
  said: Pick<Finding, 'code' | 'message' | 'remedy'>,
): Finding {
  const { code, message, remedy } = said;
  return { severity, code, file, line: line === 0 ? null : line, message, remedy };
}

/** A snippet that is imported into several blocks is one place. */
function distinct(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((each) => [`${each.file} ${each.line} ${each.message}`, each])).values()];
}

/** By file, as they come, and by line. */
function inOrder(findings: readonly Finding[]): Finding[] {
  const files = [...new Set(findings.map(({ file }) => file))];
  return findings.toSorted(
    (one, other) => files.indexOf(one.file) - files.indexOf(other.file) || (one.line ?? 0) - (other.line ?? 0),
  );
}
