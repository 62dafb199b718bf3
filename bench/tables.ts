/**
 * The report as Markdown: a long table that hides nothing, for the terminal; the short tables of docs/FIGURES.md; the
 * README's table of costs; and the promises with what was measured. All but the last say where the figures come from.
 */

import type { Spread } from './load/statistics.js';
import { type Rate, rateText } from './load/workloads.js';
import { movesOf, type Provenance, type Report, type ServerFigures, type WorkloadFigures } from './report.js';
import { verdicts } from './targets.js';

/** One line per workload, rate and server. */
export function longTable(report: Report): string {
  const ours = report.workloads[0]?.servers[0]?.name ?? '';
  const head = [
    `| work | server | CPU per answer, µs | of it user | answers/s | p50, p99, p99.9, longest, ms | lost | wrong | ${ours} ÷ server |`,
    '|---|---|--:|--:|--:|--:|--:|--:|--:|',
  ];
  const lines = report.workloads.flatMap((workload) =>
    workload.servers.map((server, index) => longLine(index === 0 ? fullTitle(workload) : '', server)),
  );
  return report.workloads.length === 0 ? '' : [...head, ...lines].join('\n');
}

function fullTitle({ title, rate }: Pick<WorkloadFigures, 'title' | 'rate'>): string {
  return `${title}, ${rateText(rate)}`;
}

function longLine(title: string, server: ServerFigures): string {
  return line([
    title,
    server.name,
    `**${server.microsecondsPerAnswer.median.toFixed(2)}** (${range(server.microsecondsPerAnswer)})`,
    server.userMicrosecondsPerAnswer.toFixed(2),
    count(server.answersPerSecond),
    percentilesText(server),
    portion(server.lost, server.answers + server.lost),
    portion(server.wrong, server.answers),
    server.ratio === null ? '' : `**${server.ratio.median.toFixed(2)}** (${range(server.ratio)})`,
  ]);
}

type Timed = Pick<ServerFigures, 'percentilesMs' | 'longestMs'>;

function percentilesText({ percentilesMs, longestMs = null }: Timed): string {
  if (percentilesMs === null) return '';
  const all = [percentilesMs.p50, percentilesMs.p99, percentilesMs.p999].map((value) => value.toFixed(3));
  return [...all, ...(longestMs === null ? [] : [longestMs.toFixed(1)])].join(', ');
}

/** What docs/FIGURES.md shows: a table per subject, those without figures left out. */
export function shortTables(report: Report): string {
  const parts = [
    ['CPU per answer, µs (user + system)', cpuTable(report)],
    [`Latency p50, p99, p99.9${hasLongest(report) ? ', longest' : ''}, ms`, latencyTable(report)],
    ['Anonymous memory, MB (10⁶ bytes), of one process each', memoryTable(report)],
    ['Workers, all on one core', workersTable(report)],
    [movesTitle(report), movesTable(report)],
  ];
  const shown = parts.filter(([, text]) => text !== '').map(([title, text]) => `**${title}**\n\n${text}`);
  return [...shown, [provenance(report), ...disturbances(report)].join('\n')].join('\n\n');
}

function cpuTable({ workloads }: Report): string {
  return crossTable(workloads, (server) => {
    const { microsecondsPerAnswer, userMicrosecondsPerAnswer, systemMicrosecondsPerAnswer } = server;
    const parts = `${userMicrosecondsPerAnswer.toFixed(1)} + ${systemMicrosecondsPerAnswer.toFixed(1)}`;
    const trouble = server.lost + server.wrong === 0 ? '' : ` (lost ${server.lost}, wrong ${server.wrong})`;
    return `**${microsecondsPerAnswer.median.toFixed(1)}** (${parts})${trouble}`;
  });
}

function latencyTable({ workloads }: Report): string {
  const timed = workloads.filter(({ servers }) => servers.some(({ percentilesMs }) => percentilesMs !== null));
  return crossTable(timed, percentilesText);
}

/** Reports of earlier versions have none. */
function hasLongest({ workloads }: Report): boolean {
  return workloads.some(({ servers }) => servers.some(({ longestMs = null }) => longestMs !== null));
}

/** Work by line, server by column. */
function crossTable(workloads: readonly WorkloadFigures[], cell: (server: ServerFigures) => string): string {
  const names = [...new Set(workloads.flatMap(({ servers }) => servers.map(({ name }) => name)))];
  if (names.length === 0) return '';
  const lines = workloads.map((workload) => {
    const cells = names.map((name) => workload.servers.find((server) => server.name === name));
    return line([fullTitle(workload), ...cells.map((server) => (server === undefined ? '' : cell(server)))]);
  });
  return [line(['work', ...names]), `|---|${'--:|'.repeat(names.length)}`, ...lines].join('\n');
}

function memoryTable({ memory }: Report): string {
  if (memory.length === 0) return '';
  const steps = memory[0].steps.map(({ entries }) =>
    entries === 0 ? 'after start' : `${count(entries)} answers cached`,
  );
  const lines = memory.map(({ name, steps: its }) =>
    line([name, ...its.map(({ anonymousBytes: bytes }) => (bytes === null ? '' : (bytes / 1e6).toFixed(1)))]),
  );
  return [line(['server', ...steps]), `|---|${'--:|'.repeat(steps.length)}`, ...lines].join('\n');
}

function workersTable({ workers }: Report): string {
  if (workers.length === 0) return '';
  const head = line([
    '-workers',
    'CPU per answer, µs',
    'answers/s',
    'hit ratio',
    'lost',
    'extrapolated to that many cores',
  ]);
  const lines = workers.map((each) =>
    line([
      String(each.workers),
      `**${each.microsecondsPerAnswer.median.toFixed(2)}** (${range(each.microsecondsPerAnswer)})`,
      count(each.answersPerSecond),
      each.hitRatio.median.toFixed(4),
      String(each.lost),
      `${count(each.projectedAnswersPerSecond)} answers/s`,
    ]),
  );
  return [head, '|--:|--:|--:|--:|--:|--:|', ...lines].join('\n');
}

function movesTitle({ moves = [] }: Report): string {
  const [first] = moves;
  if (first === undefined) return '';
  const { entries, hitsPerSecond } = first;
  return `Moves of a process with ${count(entries)} answers cached, hits at ${count(hitsPerSecond)} q/s`;
}

function movesTable({ moves = [] }: Report): string {
  const all = movesOf(moves);
  if (all.length === 0) return '';
  const head = line([
    'move',
    'took, ms',
    'CPU, ms',
    `hits in its second: ${moveLatencies}`,
    'hits in the second before',
    'lost',
  ]);
  const lost = moves.reduce((sum, each) => sum + each.lost, 0);
  const lines = all.map(({ name, tookMs, cpuMs, moving, quiet }, index) =>
    line([
      name,
      `**${tookMs.median.toFixed(0)}** (${tookMs.min.toFixed(0)}–${tookMs.max.toFixed(0)})`,
      cpuMs.toFixed(0),
      percentilesText(moving),
      percentilesText(quiet),
      // Of all moves together.
      index === 0 ? count(lost) : '',
    ]),
  );
  return [head, '|---|--:|--:|--:|--:|--:|', ...lines].join('\n');
}

const moveLatencies = 'p50, p99, p99.9, longest, ms';

/** The README's table: what one node pays for each of these servers, with where the figures come from. */
export function costsTable(report: Report): string {
  const names = costsOf.filter((name) => report.memory.some((server) => server.name === name));
  const cpu = costRows.map((alternatives) => {
    const measured = alternatives.map((row) => ({ row, servers: serversOf(report, row) }));
    const { row, servers } = measured.find((each) => each.servers.length > 0) ?? measured[0];
    const found = names.map((name) => servers.find((server) => server.name === name));
    return line([row.title, ...found.map((server) => (server === undefined ? '' : row.cell(server)))]);
  });
  const memory = memoryShown.map((entries) => {
    const bytes = names.map((name) => {
      const steps = report.memory.find((server) => server.name === name)?.steps ?? [];
      return steps.find((step) => step.entries === entries)?.anonymousBytes ?? null;
    });
    const cells = bytes.map((each) => (each === null ? '' : `${(each / 1e6).toFixed(0)} MB`));
    return line([`memory with ${count(entries)} answers cached`, ...cells]);
  });
  const table = [line(['', ...names]), `|---|${'--:|'.repeat(names.length)}`, ...cpu, ...memory].join('\n');
  return `${table}\n\n${sourceText(report)}`;
}

const costsOf = ['zerohop', 'node-cache', 'unbound', 'dnsdist'];
const memoryShown = [10_000, 100_000];

interface CostRow {
  readonly title: string;
  readonly workload: string;
  readonly rate: Rate;
  cell(server: ServerFigures): string;
}

/** Of each list the first row that was measured. */
const costRows: readonly (readonly CostRow[])[] = [
  [{ title: '1,000 cached answers a second', workload: 'cached', rate: 1000, cell: shareOfCore(1000) }],
  [{ title: '20,000 cached answers a second', workload: 'cached', rate: 20_000, cell: shareOfCore(20_000) }],
  [{ title: 'p99 latency of these', workload: 'cached', rate: 20_000, cell: slowestText }],
  ([1000, 'saturated'] as const).map((rate) => ({
    title: '1,000 answers a second from the upstream, over TCP',
    workload: 'uncached',
    rate,
    cell: shareOfCore(1000),
  })),
  [
    {
      title: '20,000 cached answers, 1,000 misses and 500 TCP queries a second, a scrape in 15 s',
      workload: 'mixed',
      rate: 20_000,
      cell: shareOfCore(21_500),
    },
    { title: '20,000 of all kinds a second (`busy`)', workload: 'busy', rate: 20_000, cell: shareOfCore(20_000) },
  ],
];

function serversOf({ workloads }: Report, { workload, rate }: CostRow): readonly ServerFigures[] {
  return workloads.find((each) => each.name === workload && each.rate === rate)?.servers ?? [];
}

function shareOfCore(answersPerSecond: number): (server: ServerFigures) => string {
  return ({ microsecondsPerAnswer }) => {
    const percent = (microsecondsPerAnswer.median * answersPerSecond) / 1e4;
    return `${percent.toFixed(percent < 10 ? 1 : 0)} % of a core`;
  };
}

function slowestText({ percentilesMs }: ServerFigures): string {
  return percentilesMs === null ? '' : `${percentilesMs.p99.toFixed(2)} ms`;
}

/** For developers: each promise, met or missed. */
export function promisesTable(report: Report): string {
  const all = verdicts(report);
  if (all.length === 0) return '';
  const lines = all.map(({ promise, measured, isMet }) => line([promise, measured, isMet ? 'met' : '**missed**']));
  return [line(['promise', 'measured', '']), '|---|---|---|', ...lines].join('\n');
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function range({ min, max }: Spread): string {
  return `${min.toFixed(2)}–${max.toFixed(2)}`;
}

function portion(part: number, of: number): string {
  return part === 0 ? '0' : `${part} (${((100 * part) / of).toPrecision(2)} %)`;
}

/** How the figures came about, in a few sentences. */
function provenance(report: Report): string {
  const { rounds, seconds } = report;
  return `Median (lowest–highest) of ${rounds} interleaved ${rounds === 1 ? 'round' : 'rounds'} of ${seconds} s with \
fresh processes, the server on one core, load and upstream on another; CPU is user and system time from /proc. \
${sourceText(report)}`;
}

/** The command, the commit, the machine and the programs that figures come from. */
export function sourceText({ command, at, commit, machine, versions }: Omit<Provenance, 'rounds' | 'seconds'>): string {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const tree = commit.dirty ? `${commit.name} with changes` : commit.name;
  return `\`${command}\`, ${at.slice(0, 10)}, commit ${tree}; ${machine.cpu}, ${machine.cores} cores, \
Linux ${machine.kernel}, ${[`Node.js ${machine.node.slice(1)}`, ...programs].join(', ')}.`;
}

/** From this share on, what others did on the server's core is said under the table. */
const disturbedShare = 0.05;

/** Sentences that spoil it, if there is something to say, each after a blank line. */
function disturbances({ workloads, repeated }: Report): string[] {
  const worst = Math.max(0, ...workloads.flatMap(({ servers }) => servers.map((server) => server.othersShareMax)));
  const share = `up to ${Math.round(worst * 100)} % of the server's core went to other processes`;
  return [
    ...(worst < disturbedShare ? [] : ['', `The machine was not idle: ${share}.`]),
    ...(repeated.length === 0 ? [] : ['', `Measured once more after a failure: ${repeated.join('; ')}.`]),
  ];
}
