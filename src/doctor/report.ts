/**
 * How the doctor writes: for people, the worst first, with what helps; for programs as JSON; and with -watch only what has
 * changed. Names in findings come from other machines, so everything is escaped.
 */
import {
  asciiJson,
  type Color,
  colored,
  printable,
  type TextStyle,
  textColumns,
  wrappedText,
} from '../control/text.js';
import type { Finding, Verdict } from './check.js';
import { type DoctorReport, verdictOfAll } from './doctor.js';
import { howMany } from './found.js';

const marks: Readonly<Record<Verdict, readonly [word: string, color: Color]>> = {
  fail: ['FAIL', 'red'],
  warn: ['WARN', 'yellow'],
  info: ['info', 'bold'],
  ok: ['ok', 'green'],
  skipped: ['skip', 'dim'],
};
const indent = 6;

/** Lines for people. */
export function doctorText(report: DoctorReport, style: TextStyle): string {
  const faults = report.findings.filter(({ verdict }) => verdict !== 'ok' && verdict !== 'skipped');
  const others = report.findings.filter((finding) => !faults.includes(finding));
  return [
    ...faults.flatMap((finding) => [...faultLines(finding, style), '']),
    ...others.filter(({ verdict }) => verdict === 'ok').map((finding) => shortLine(finding, style)),
    ...skippedLines(others, style),
    ...(others.length > 0 ? [''] : []),
    summaryOf(report),
  ].join('\n');
}

function faultLines({ code, verdict, seen, meaning, command, explainedBy }: Finding, style: TextStyle): string[] {
  const blanks = ' '.repeat(indent);
  const because = explainedBy === undefined ? '' : ` (explained by ${explainedBy})`;
  const head = indented(`${code}: ${printable(seen)}${because}`);
  return [
    `${verdictMark(verdict, style)}${head.trimStart()}`,
    ...(meaning === '' || explainedBy !== undefined ? [] : [indented(printable(meaning))]),
    ...(command === null || explainedBy !== undefined
      ? []
      : [`${blanks}${colored(printable(command), 'bold', style)}`]),
  ];
}

/** Wrapped, with blanks before every line. */
function indented(text: string): string {
  const blanks = ' '.repeat(indent);
  return wrappedText(`${blanks}${text}`, { columns: textColumns, indent });
}

function shortLine({ code, verdict, seen }: Finding, style: TextStyle): string {
  return `${verdictMark(verdict, style)}${indented(`${code}: ${printable(seen)}`).trimStart()}`;
}

/** One for each reason, with all that it keeps from being looked at. */
function skippedLines(findings: readonly Finding[], style: TextStyle): string[] {
  const codesOf = new Map<string, string[]>();
  for (const { code, verdict, seen } of findings) {
    if (verdict === 'skipped') codesOf.set(seen, [...(codesOf.get(seen) ?? []), code]);
  }
  return [...codesOf].map(([why, codes]) => {
    const text = indented(`${printable(why)}: ${codes.join(', ')}`).trimStart();
    return `${verdictMark('skipped', style)}${colored(text, 'dim', style)}`;
  });
}

function verdictMark(verdict: Verdict, style: TextStyle): string {
  const [word, color] = marks[verdict];
  return `${colored(word, color, style)}${' '.repeat(indent - word.length)}`;
}

function summaryOf({ findings, tookMs, questions }: DoctorReport): string {
  const count = (verdict: Verdict): number => findings.filter((finding) => finding.verdict === verdict).length;
  const parts = [howMany(count('fail'), 'failure'), howMany(count('warn'), 'warning'), `${count('ok')} ok`];
  const skipped = count('skipped') === 0 ? [] : [`${count('skipped')} skipped`];
  return `${[...parts, ...skipped].join(', ')}; ${(tookMs / 1_000).toFixed(1)} s, ${howMany(questions, 'question')}.`;
}

/** Increases when a field is removed or changes its meaning. */
const doctorSchema = 1;

interface DoctorSource {
  readonly version: string;
  /** The host's name, as several nodes' reports are compared. */
  readonly node: string;
}

/** The report as docs/REFERENCE.md describes it. */
export function doctorJson(
  { findings, startedAtMs, tookMs, questions }: DoctorReport,
  { version, node }: DoctorSource,
): string {
  return asciiJson({
    schema: doctorSchema,
    version,
    node,
    verdict: verdictOfAll(findings),
    startedAt: new Date(startedAtMs).toISOString(),
    tookMs: Math.round(tookMs),
    questions,
    findings: findings.map(({ code, verdict, seen, meaning, command, explainedBy = null }) => ({
      code,
      verdict,
      seen,
      meaning,
      command,
      explainedBy,
    })),
  });
}

/** By code: the worst verdict, and since when it has been so. */
export type DoctorStates = ReadonlyMap<string, { readonly verdict: Verdict; readonly sinceMs: number }>;

/** What a run changes in the states of the codes. What was skipped keeps its state. */
export function statesAfter(before: DoctorStates, { findings, startedAtMs }: DoctorReport): DoctorStates {
  const states = new Map(before);
  // The worst comes first, so the first of a code counts.
  const worst = new Map([...findings].reverse().map((finding) => [finding.code, finding.verdict]));
  for (const [code, verdict] of worst) {
    if (verdict === 'skipped' && states.has(code)) continue;
    if (states.get(code)?.verdict !== verdict) states.set(code, { verdict, sinceMs: startedAtMs });
  }
  return states;
}

/** Lines for the codes that are another than before: `13:22 ok    endpoint-dead: ok since 13:22`. */
export function changesText(before: DoctorStates, report: DoctorReport, style: TextStyle): string[] {
  const after = statesAfter(before, report);
  return [...after].flatMap(([code, { verdict }]) => {
    if (before.get(code)?.verdict === verdict) return [];
    const time = clockText(report.startedAtMs);
    const finding = report.findings.find((each) => each.code === code && each.verdict === verdict)!;
    const isFault = verdict === 'fail' || verdict === 'warn';
    if (!isFault)
      return [`${time} ${verdictMark(verdict, style)}${code}: ${verdict} since ${time}: ${printable(finding.seen)}`];
    return [`${time} ${faultLines(finding, style).join('\n')}`];
  });
}

/** `13:22`, in the time zone of the process. */
function clockText(ms: number): string {
  return new Date(ms).toTimeString().slice(0, 5);
}
