/**
 * What `zerohop check` found out, written down: lines for people, as `file:line: …`, or one JSON object for programs,
 * whose shape docs/REFERENCE.md promises.
 */
import { builtinSource } from './builtin.js';
import type { Finding, Report } from './check.js';
import { formatDiagnostic } from './config.js';

export const checkOutputs = ['text', 'json'] as const;
export type CheckOutput = (typeof checkOutputs)[number];

/** Raised when a field changes its meaning or goes; fields may be added without. */
const schema = 1;

export interface OutputWishes {
  readonly output: CheckOutput;
  /** A file with warnings is not accepted. */
  readonly isStrict: boolean;
}

/** Writes the reports line by line and gives the exit code: 0, or 2 if one of the files is not accepted. */
export function writeReports(
  reports: readonly Report[],
  { output, isStrict }: OutputWishes,
  write: (line: string) => void,
): 0 | 2 {
  const ok = reports.every((report) => report.ok);
  if (output === 'json') write(JSON.stringify({ schema, ok, files: reports }, null, 2));
  else for (const report of reports) writeText(report, isStrict, write);
  return ok && !(isStrict && reports.some(isUnwise)) ? 0 : 2;
}

/** The built-in configuration is nobody's to change. */
function isUnwise({ file, findings }: Report): boolean {
  return file !== builtinSource && findings.length > 0;
}

function writeText(report: Report, isStrict: boolean, write: (line: string) => void): void {
  const { file, text, madeWith, findings } = report;
  // It is printed to be a Corefile, so what is said of it is a comment.
  if (file === builtinSource && text !== null) {
    for (const { line, message } of findings) if (line === null) write(`# ${message}.`);
    return writeLines(text, write);
  }
  if (text !== null) {
    write(`${file}: a template, which${madeWith.length > 0 ? `, with ${madeWith.join(' and ')},` : ''} becomes:`);
    writeLines(text, write);
  }
  for (const finding of findings) write(lineOf(finding));
  if (!report.ok) return;
  const verdict = isStrict && isUnwise(report) ? 'rejected by -strict' : 'ok';
  write(`${file}: ${verdict}, ${counted(report.serverBlocks, 'server block')}, ${counted(findings.length, 'warning')}`);
}

function lineOf({ severity, file, line, message, remedy }: Finding): string {
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
