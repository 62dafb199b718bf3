/**
 * `npm run bench`: reads its arguments, sees that the tools are there, measures, and says what came out. Progress
 * goes to stderr, the table to stdout. Exit codes: 0, 1 when something failed or is missing, 2 for bad usage.
 */
import { readFileSync } from 'node:fs';
import { builtEntry, repositoryPath } from '../test/corpus/repository.js';
import { readArguments, type Wishes } from './arguments.js';
import { chart } from './chart.js';
import { laneBench } from './lane/run.js';
import { resolveCommit, whileBuilt } from './load/before.js';
import { dnsdist, dnsmasq, echo, knot, unbound } from './load/peers.js';
import { runMatch } from './load/run.js';
import { nodeCacheLike, type Server, zerohop } from './load/servers.js';
import { withWorkers, workerCounts } from './load/workers.js';
import { atRate, choices, chosen } from './load/workloads.js';
import { commitOf, machine, twoCores } from './machine.js';
import { microBenches } from './micro/run.js';
import { hasNodeCache, shownOf, writeBeside, writeJson, writePlace } from './publish.js';
import type { Provenance, Report } from './report.js';
import { soak } from './soak/run.js';
import { soakText } from './soak/verdict.js';
import { longTable, promisesTable, shortTables, sourceText } from './tables.js';
import { findTools, type Tool, toolVersion } from './tools.js';
import { measureWalks, walksText } from './walks/run.js';
import { measureWatched, watchedText } from './watched/run.js';

/** Something that the user can change, told in one sentence. */
class Unable extends Error {}

/** What is measured beside the workloads, as `--only` has it. */
const others = ['memory', 'workers', 'moves'] as const;

/** Those to compare with, by the program they are; the echo needs none. */
const peers: readonly { readonly name: string; readonly tool: Tool | null; make(path: string): Server }[] = [
  { name: 'knot', tool: 'knotd', make: knot },
  { name: 'dnsdist', tool: 'dnsdist', make: dnsdist },
  { name: 'unbound', tool: 'unbound', make: unbound },
  { name: 'dnsmasq', tool: 'dnsmasq', make: dnsmasq },
  { name: 'echo', tool: null, make: echo },
];

async function main(words: readonly string[]): Promise<void> {
  const reading = readArguments(words, {
    workloads: [...choices, ...others],
    servers: peers.map(({ name }) => name),
  });
  if ('help' in reading) return print(reading.help);
  if ('usage' in reading) {
    say(`${reading.usage} (npm run bench -- --help)`);
    process.exitCode = 2;
    return;
  }
  const { wishes } = reading;
  if (wishes.report !== null) return publishWhole(readReport(wishes.report), repositoryPath('bench', 'results'));
  if (wishes.micro) return microBenches(wishes, print);
  if (wishes.lane) return laneOf(wishes, words);
  if (wishes.walks) return walksOf(wishes, words);
  if (wishes.watched) return watchedOf(wishes, words);
  if (wishes.soak !== null) return soakOf(wishes, words, wishes.soak);
  const report = wishes.against === null ? await againstOthers(wishes, words) : await againstBefore(wishes, words);
  publish(report, wishes);
}

async function againstOthers(wishes: Wishes, words: readonly string[]): Promise<Report> {
  const wanted = peers.filter(({ name }) => wishes.servers === null || wishes.servers.includes(name));
  const programs = tools(['dnsperf', 'knotd', 'taskset', ...wanted.flatMap(({ tool }) => tool ?? [])]);
  const servers = [
    zerohop('zerohop', builtEntry),
    ...wanted.map(({ tool, make }) => make(tool === null ? '' : programs[tool])),
    ...wishes.peers.map(({ name, path }) => nodeCacheLike(name, [path])),
  ];
  return match(wishes, words, servers, programs);
}

async function againstBefore(wishes: Wishes, words: readonly string[]): Promise<Report> {
  const programs = tools(['dnsperf', 'knotd', 'taskset']);
  const repository = repositoryPath();
  const commit = resolveCommit(repository, wishes.against!);
  if (commit === null) throw new Unable(`--against: ${wishes.against} is no commit of this repository`);
  const name = commit.slice(0, 10);
  say(`building ${name} …`);
  return whileBuilt(repository, commit, (entry) =>
    match(wishes, words, [zerohop('zerohop', builtEntry), zerohop(name, entry)], programs),
  );
}

type Programs = Readonly<Record<'dnsperf' | 'knotd', string> & Partial<Record<Tool, string>>>;

async function match(
  wishes: Wishes,
  words: readonly string[],
  servers: readonly Server[],
  programs: Programs,
): Promise<Report> {
  const { rounds, seconds, only, rate, quick } = wishes;
  const before = provenance(words, programs);
  const all = await runMatch({
    servers,
    workloads: chosen(only).map((workload) => (rate === null ? workload : atRate(workload, rate))),
    rounds,
    seconds,
    cores: before.cores,
    programs,
    memoryOf: isWanted(wishes, 'memory') && !quick ? servers.filter(({ entriesMax }) => entriesMax > 0) : [],
    workers: isWanted(wishes, 'workers')
      ? workerCounts.map((workers) => ({ workers, server: withWorkers(builtEntry, workers) }))
      : [],
    // Once in a whole run, as it takes most of a minute.
    moves: isWanted(wishes, 'moves') && !quick ? { entry: builtEntry, times: only === null ? 1 : rounds } : null,
    progress: say,
  });
  return { ...before, rounds, seconds, ...all };
}

function isWanted({ only, against }: Wishes, name: (typeof others)[number]): boolean {
  return only === name || (only === null && against === null);
}

function provenance(
  words: readonly string[],
  programs: Partial<Record<Tool, string>>,
): Omit<Provenance, 'rounds' | 'seconds'> {
  const cores = twoCores();
  if (cores === null) throw new Unable('The bench needs two cores: one for the server, one for the load');
  const versions = Object.entries(programs)
    .filter(([tool]) => tool !== 'taskset')
    .map(([tool, path]) => [tool, toolVersion(tool as Tool, path)]);
  return {
    command: ['npm run bench', ...(words.length > 0 ? ['--', ...words] : [])].join(' '),
    at: new Date().toISOString(),
    commit: commitOf(repositoryPath()),
    machine: machine(),
    versions: Object.fromEntries(versions),
    cores,
  };
}

async function soakOf(wishes: Wishes, words: readonly string[], seconds: number): Promise<void> {
  const programs = tools(['dnsperf', 'knotd', 'taskset']);
  const before = provenance(words, programs);
  const server = (slowFile: string): Server => zerohop('zerohop', builtEntry, { imports: slowFile, entries: 10_000 });
  const result = await soak({ server, seconds, cores: before.cores, programs, say });
  const text = `${soakText(result)}\n\n${sourceText(before)}`;
  print(`${text}\n`);
  const isWhole = seconds >= soakSecondsToShow && wishes.results === null;
  const folder = wishes.results ?? repositoryPath('bench', 'results', isWhole ? 'soak' : 'tmp');
  say(`written: ${writeJson(folder, { ...before, ...result })}`);
  if (isWhole && writePlace(repositoryPath('docs', 'FIGURES.md'), 'soak', text))
    say('written: the soak in docs/FIGURES.md');
}

async function laneOf({ rounds, seconds }: Wishes, words: readonly string[]): Promise<void> {
  const programs = tools(['dnsperf', 'knotd', 'dnsdist', 'unbound', 'taskset']);
  const before = provenance(words, programs);
  const table = await laneBench({ rounds, seconds, cores: before.cores, programs, say });
  print(`${table}\n\nMedians of ${rounds} rounds. ${sourceText(before)}\n`);
}

async function walksOf({ quick, rounds, results }: Wishes, words: readonly string[]): Promise<void> {
  const before = provenance(words, {});
  const size = quick ? { names: 100, seconds: 6 } : { names: 1000, seconds: 30 };
  const text = `${walksText(await measureWalks({ rounds, ...size, say }))}\n\n${sourceText(before)}`;
  print(`${text}\n`);
  if (!quick && results === null && writePlace(repositoryPath('docs', 'FIGURES.md'), 'walks', text)) {
    say('written: the walks in docs/FIGURES.md');
  }
}

async function watchedOf({ quick, rounds, results }: Wishes, words: readonly string[]): Promise<void> {
  const programs = tools(['dnsperf', 'knotd', 'taskset']);
  const before = provenance(words, programs);
  const seconds = quick ? 1 : watchedSeconds;
  const figures = await measureWatched({ rounds, seconds, cores: before.cores, programs, say });
  const text = `${watchedText(figures)}\n\n${sourceText(before)}`;
  print(`${text}\n`);
  if (!quick && rounds >= roundsToShow && results === null) {
    if (writePlace(repositoryPath('docs', 'FIGURES.md'), 'watched', text)) say('written: what watching costs');
  }
}

/** Differences of a hundredth need longer runs than servers that are compared. */
const watchedSeconds = 6;

/** A soak that is shown has lasted at least so long. */
const soakSecondsToShow = 300;

/** A figure that is shown has at least so many rounds behind it. */
const roundsToShow = 5;

/** Only what a whole run against the others has measured is kept in the repository and shown in its pages. */
function publish(report: Report, { quick, rounds, only, rate, servers, against, results }: Wishes): void {
  print(`${longTable(report)}\n\n${shortTables(report)}\n\n${promisesTable(report)}\n`);
  const isPart = only !== null || rate !== null || servers !== null || against !== null;
  if (!quick && rounds >= roundsToShow && !isPart && results === null) {
    return publishWhole(report, repositoryPath('bench', 'results'));
  }
  const folder = results ?? repositoryPath('bench', 'results', 'tmp');
  say(`written: ${writeJson(folder, report)}`);
  const drawn = chart(report.workloads);
  if (drawn !== null) say(`written: ${writeBeside(folder, 'chart.svg', drawn)}`);
}

/** Chart and promises are of the newest run against the servers that are in Debian. */
function publishWhole(report: Report, folder: string): void {
  say(`written: ${writeJson(folder, report)}`);
  if (!hasNodeCache(report)) {
    say(`written: ${writeBeside(folder, 'chart.svg', chart(report.workloads) ?? '')}`);
    say(`written: ${writeBeside(folder, 'promises.md', `${promisesTable(report)}\n\n${sourceText(report)}\n`)}`);
  }
  for (const { page, place, content } of shownOf(report)) {
    if (writePlace(repositoryPath(page), place, content)) say(`written: the figures in ${page}`);
  }
}

function readReport(path: string): Report {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Report;
  } catch (error) {
    throw new Unable(`--report: ${(error as Error).message}`);
  }
}

function tools<T extends Tool>(wanted: readonly T[]): Readonly<Record<T, string>> {
  const found = findTools([...new Set(wanted)]);
  if ('missing' in found) throw new Unable(found.missing);
  return found.paths;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function print(text: string): void {
  process.stdout.write(text);
}

// Servers are ended, and worktrees removed, when the process exits; a signal alone would not let it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

main(process.argv.slice(2)).catch((error: Error) => {
  say(error instanceof Unable ? error.message : String(error.stack));
  process.exitCode = 1;
});
