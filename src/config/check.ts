/**
 * `zerohop check [FILE…]`: says of Corefiles what is wrong or unwise in them, and of templates what they become; without
 * a file it prints the built-in configuration.
 */
import { builtinCorefile, builtinExample } from './builtin.js';
import type { Config } from './config.js';
import { ConfigError, formatDiagnostic } from './error.js';
import { kubeDnsFiles, readKubeDns } from './kube-dns.js';
import { type LoadOptions, loadCorefile, parsePieces } from './load.js';
import { clusterDnsPlaceholder, hasPillars } from './pillars.js';
import { fromTemplate, joined, type MakeOptions } from './template-corefile.js';

/**
 * Checks every file and writes lines: errors and warnings as `file:line: …`, what a template becomes, and `FILE: ok,
 * …` for each file that can be served. Gives the exit code: 0, or 2 if a file cannot be served.
 */
export function check(
  files: readonly string[],
  options: LoadOptions,
  make: MakeOptions,
  write: (line: string) => void,
): 0 | 2 {
  if (files.length === 0) {
    writeText(builtinCorefile(builtinExample), write);
    return 0;
  }
  const results = files.map((file) => checkFile(file, options, make, write));
  return results.includes(false) ? 2 : 0;
}

function checkFile(file: string, options: LoadOptions, make: MakeOptions, write: (line: string) => void): boolean {
  try {
    const { blocks, warnings } = isTemplate(file, options)
      ? checkTemplate(file, options, make, write)
      : loadCorefile(file, options);
    for (const { at, message } of warnings) write(formatDiagnostic({ at, message: `warning: ${message}` }));
    write(`${file}: ok, ${counted(blocks.length, 'server block')}, ${counted(warnings.length, 'warning')}`);
    return true;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { at, message } of error.warnings) write(formatDiagnostic({ at, message: `warning: ${message}` }));
    write(formatDiagnostic({ at: error.at, message: `error: ${error.sentence}` }));
    return false;
  }
}

/** What cannot be read is for loadCorefile to say. */
function isTemplate(file: string, { files }: LoadOptions): boolean {
  try {
    return hasPillars(files.read(file));
  } catch {
    return false;
  }
}

/** An address for documentation (RFC 5737). */
const exampleClusterDns = { address: '192.0.2.53', port: 53 };

/** Writes the Corefile that a template becomes. Where no cluster DNS is known, as off the node, an example stands for it. */
function checkTemplate(file: string, options: LoadOptions, make: MakeOptions, write: (line: string) => void): Config {
  const { endpoint, missing } = make.clusterDns;
  const clusterDns = { endpoint: endpoint ?? exampleClusterDns, missing: null };
  const kubeDns = readKubeDns(make.kubeDnsFolder, options.files);
  const text = options.files.read(file);
  const pieces = fromTemplate({ text, file }, kubeDns, { ...make, clusterDns }, options);
  const config = parsePieces(pieces, [file], options);
  const from = Object.values(kubeDnsFiles(make.kubeDnsFolder)).filter((path) => options.files.exists(path));
  write(`${file}: a template, which${from.length > 0 ? `, with ${from.join(' and ')},` : ''} becomes:`);
  writeText(joined(pieces), write);
  if (missing !== null && text.includes(clusterDnsPlaceholder)) {
    write(`${file}: warning: ${exampleClusterDns.address} stands for the cluster DNS here: ${missing}`);
  }
  return config;
}

function writeText(text: string, write: (line: string) => void): void {
  for (const line of text.trimEnd().split('\n')) write(line);
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}
