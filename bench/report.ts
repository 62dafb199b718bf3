/**
 * Samples become figures: medians per server, ratios per pair of rounds, a table for people, JSON for machines, and
 * the table's place in the README. What spoils a figure (lost or wrong answers, a neighbour on the core) is shown
 * beside it.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sample } from './load/measure.js';
import { median, ratios, type Spread, spread } from './load/statistics.js';
import type { Commit, Machine } from './machine.js';

/** How the figures came about. */
export interface Provenance {
  readonly command: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly commit: Commit;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly cores: { readonly server: number; readonly load: number };
  readonly rounds: number;
  readonly seconds: number;
}

export interface ServerFigures {
  readonly name: string;
  readonly microsecondsPerAnswer: Spread;
  readonly userMicrosecondsPerAnswer: number;
  readonly systemMicrosecondsPerAnswer: number;
  readonly answersPerSecond: number;
  readonly answers: number;
  readonly lost: number;
  readonly wrong: number;
  /** Ours divided by this server's, round by round; null for ours. */
  readonly ratio: Spread | null;
  readonly othersShareMax: number;
  readonly samples: readonly Sample[];
}

export interface WorkloadFigures {
  readonly name: string;
  readonly title: string;
  /** Ours first. */
  readonly servers: readonly ServerFigures[];
}

export interface Report extends Provenance {
  readonly workloads: readonly WorkloadFigures[];
}

/** The figures of one workload from each server's samples; the first server is ours. */
export function figures(
  workload: { readonly name: string; readonly title: string },
  samples: ReadonlyMap<string, readonly Sample[]>,
): WorkloadFigures {
  const [ours] = samples.values();
  const servers = [...samples].map(([name, its]) => serverFigures(name, its, its === ours ? null : ours));
  return { name: workload.name, title: workload.title, servers };
}

function serverFigures(name: string, samples: readonly Sample[], ours: readonly Sample[] | null): ServerFigures {
  const all = (pick: (sample: Sample) => number): number[] => samples.map(pick);
  const sum = (pick: (sample: Sample) => number): number => all(pick).reduce((total, value) => total + value, 0);
  const costs = all((sample) => sample.microsecondsPerAnswer);
  return {
    name,
    microsecondsPerAnswer: spread(costs),
    userMicrosecondsPerAnswer: median(all((sample) => sample.userMicrosecondsPerAnswer)),
    systemMicrosecondsPerAnswer: median(all((sample) => sample.systemMicrosecondsPerAnswer)),
    answersPerSecond: median(all((sample) => sample.answersPerSecond)),
    answers: sum((sample) => sample.answers),
    lost: sum((sample) => sample.lost),
    wrong: sum((sample) => sample.wrong),
    ratio:
      ours === null
        ? null
        : ratios(
            ours.map((sample) => sample.microsecondsPerAnswer),
            costs,
          ),
    othersShareMax: Math.max(...all((sample) => sample.othersShare)),
    samples,
  };
}

/** Markdown: one line per workload and server, and under it where the figures come from. */
export function table(report: Report): string {
  const ours = report.workloads[0]?.servers[0]?.name ?? '';
  const head = [
    `| work | server | CPU per answer, µs | of it user | answers/s | lost | wrong | ${ours} ÷ server |`,
    '|---|---|--:|--:|--:|--:|--:|--:|',
  ];
  const lines = report.workloads.flatMap(({ title, servers }) =>
    servers.map((server, index) => tableLine(index === 0 ? title : '', server)),
  );
  return [...head, ...lines, '', provenance(report), ...disturbances(report)].join('\n');
}

function tableLine(title: string, server: ServerFigures): string {
  const cells = [
    title,
    server.name,
    spreadText(server.microsecondsPerAnswer),
    server.userMicrosecondsPerAnswer.toFixed(2),
    Math.round(server.answersPerSecond).toLocaleString('en-US'),
    portion(server.lost, server.answers + server.lost),
    portion(server.wrong, server.answers),
    server.ratio === null ? '' : `**${server.ratio.median.toFixed(2)}** (${range(server.ratio)})`,
  ];
  return `| ${cells.join(' | ')} |`;
}

function spreadText(value: Spread): string {
  return `**${value.median.toFixed(2)}** (${range(value)})`;
}

function range({ min, max }: Spread): string {
  return `${min.toFixed(2)}–${max.toFixed(2)}`;
}

function portion(count: number, of: number): string {
  return count === 0 ? '0' : `${count} (${((100 * count) / of).toPrecision(2)} %)`;
}

function provenance({ command, at, commit, machine, versions, rounds, seconds }: Report): string {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const tree = commit.dirty ? `${commit.name} with changes` : commit.name;
  return `\`${command}\`, ${at.slice(0, 10)}, commit ${tree}: median (lowest–highest) of ${rounds} interleaved rounds of \
${seconds} s with fresh processes, the server on one core, load and upstream on another; CPU is user and system time \
from /proc. ${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node.js ${machine.node.slice(1)}, ${programs.join(', ')}.`;
}

/** From this share on, what others did on the server's core is said under the table. */
const disturbedShare = 0.05;

function disturbances({ workloads }: Report): string[] {
  const worst = Math.max(0, ...workloads.flatMap(({ servers }) => servers.map((server) => server.othersShareMax)));
  if (worst < disturbedShare) return [];
  return [
    '',
    `The machine was not idle: up to ${Math.round(worst * 100)} % of the server's core went to other processes.`,
  ];
}

/** Writes the report and returns where it is. */
export function writeJson(folder: string, report: Report): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${report.at.slice(0, 19).replaceAll(':', '')}Z-${report.commit.name}.json`);
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
  return path;
}

const begin = '<!-- bench:begin -->';
const end = '<!-- bench:end -->';

/** The text with what stands between the markers replaced, or null when it has no such place. */
export function withTable(text: string, content: string): string | null {
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) return null;
  return `${text.slice(0, from + begin.length)}\n${content}\n${text.slice(to)}`;
}

/** Puts the table into the file's marked place; false when there is no file or no place. */
export function writeReadme(path: string, content: string): boolean {
  const text = existsSync(path) ? withTable(readFileSync(path, 'utf8'), content) : null;
  if (text === null) return false;
  writeFileSync(path, text);
  return true;
}
