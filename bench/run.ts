/**
 * `npm run bench`: reads its arguments, sees that the tools are there, measures, and says what came out. Progress
 * goes to stderr, the table to stdout. Exit codes: 0, 1 when something failed or is missing, 2 for bad usage.
 */
import { builtEntry, repositoryPath } from '../test/corpus/repository.js';
import { readArguments, type Wishes } from './arguments.js';
import { resolveCommit, whileBuilt } from './load/before.js';
import { runMatch } from './load/run.js';
import { type Server, unbound, zerohop } from './load/servers.js';
import { workloads } from './load/workloads.js';
import { commitOf, machine, twoCores } from './machine.js';
import { microBenches } from './micro/run.js';
import { type Report, table, writeJson, writeReadme } from './report.js';
import { findTools, type Tool, toolVersion } from './tools.js';

/** Something that the user can change, told in one sentence. */
class Unable extends Error {}

async function main(words: readonly string[]): Promise<void> {
  const reading = readArguments(
    words,
    workloads.map(({ name }) => name),
  );
  if ('help' in reading) return print(reading.help);
  if ('usage' in reading) {
    say(`${reading.usage} (npm run bench -- --help)`);
    process.exitCode = 2;
    return;
  }
  const { wishes } = reading;
  if (wishes.micro) return microBenches(wishes, print);
  const report = wishes.against === null ? await againstOthers(wishes, words) : await againstBefore(wishes, words);
  publish(report, wishes);
}

async function againstOthers(wishes: Wishes, words: readonly string[]): Promise<Report> {
  const programs = tools(['dnsperf', 'knotd', 'taskset', 'unbound']);
  const servers = [zerohop('zerohop', builtEntry), unbound(programs.unbound)];
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

async function match(
  wishes: Wishes,
  words: readonly string[],
  servers: readonly Server[],
  programs: Readonly<Record<'dnsperf' | 'knotd', string> & Partial<Record<Tool, string>>>,
): Promise<Report> {
  const cores = twoCores();
  if (cores === null) throw new Unable('The bench needs two cores: one for the server, one for the load');
  const { rounds, seconds, only } = wishes;
  const before = {
    command: ['npm run bench', ...(words.length > 0 ? ['--', ...words] : [])].join(' '),
    at: new Date().toISOString(),
    commit: commitOf(repositoryPath()),
    machine: machine(),
    versions: Object.fromEntries(
      Object.entries(programs)
        .filter(([tool]) => tool !== 'taskset')
        .map(([tool, path]) => [tool, toolVersion(tool as Tool, path)]),
    ),
  };
  const wanted = workloads.filter(({ name }) => only === null || only === name);
  const all = await runMatch({ servers, workloads: wanted, rounds, seconds, cores, programs, progress: say });
  return { ...before, cores, rounds, seconds, workloads: all };
}

/** A figure that is shown has at least so many rounds behind it. */
const roundsToShow = 5;

/** Only what a whole run against the others has measured is kept in the repository and shown in the README. */
function publish(report: Report, { quick, rounds, only, against, results }: Wishes): void {
  const text = table(report);
  print(`${text}\n`);
  const isWhole = !quick && rounds >= roundsToShow && only === null && against === null && results === null;
  const folder = results ?? (isWhole ? repositoryPath('bench', 'results') : repositoryPath('bench', 'results', 'tmp'));
  say(`written: ${writeJson(folder, report)}`);
  if (isWhole && writeReadme(repositoryPath('README.md'), text)) say('written: the table in README.md');
}

function tools<T extends Tool>(wanted: readonly T[]): Readonly<Record<T, string>> {
  const found = findTools(wanted);
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
