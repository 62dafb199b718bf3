/**
 * `zerohop doctor` as a process of its own: gets the facts of the serving process over the control socket, runs the checks
 * with the machine's own outsides, and prints. Without a serving process it runs what needs none.
 */
import { hostname } from 'node:os';
import type { DoctorOptions } from '../config/doctor-options.js';
import { programVersion } from '../config/version.js';
import { askControl } from '../control/client.js';
import { readServerFacts, serverCheck } from '../doctor/check-server.js';
import { clusterChecks } from '../doctor/cluster-checks.js';
import { type DoctorReport, exitCodeOf, runDoctor } from '../doctor/doctor.js';
import type { ServerFacts } from '../doctor/facts.js';
import { fetchOver } from '../doctor/fetch.js';
import { pause } from '../doctor/found.js';
import { nodeChecks } from '../doctor/node-checks.js';
import { changesText, type DoctorStates, doctorJson, doctorText, statesAfter } from '../doctor/report.js';
import { doctorWatchPeriodMs } from '../limits.js';
import { type Clock, systemClock } from '../os/clock.js';
import { systemCommands } from '../os/commands.js';
import { readPieces, readTextFile } from '../os/files.js';
import { nodeNetwork } from '../os/node-network.js';
import { systemRandom } from '../os/random.js';
import { isTerminal, wantsColor } from '../os/terminal.js';
import { commandSockets } from './control-handlers.js';
import { networkNamespace } from './shared-sockets.js';

interface DoctorProgram {
  readonly environment: Readonly<Record<string, string | undefined>>;
  print(text: string): void;
}

const stderr = 2;
const stdout = 1;

/** One run; tests have another one than the machine's. */
type LookOnce = (program: DoctorProgram, options: DoctorOptions, clock: Clock) => Promise<DoctorReport>;

/** Looks, prints, and gives the exit code; with `isWatching` it goes on until the process ends. */
export async function runDoctorCommand(
  program: DoctorProgram,
  options: DoctorOptions,
  { look = lookOnce, clock = systemClock() }: { readonly look?: LookOnce; readonly clock?: Clock } = {},
): Promise<number> {
  const style = { isColored: wantsColor(stdout, program.environment) };
  const report = await look(program, options, clock);
  printReport(program, options, report, (each) => doctorText(each, style));
  let states: DoctorStates = statesAfter(new Map(), report);
  while (options.isWatching) {
    await pause(clock, doctorWatchPeriodMs);
    const next = await look(program, options, clock);
    printReport(program, options, next, (each) => changesText(states, each, style).join('\n'));
    states = statesAfter(states, next);
  }
  return exitCodeOf(report.findings);
}

async function lookOnce(program: DoctorProgram, options: DoctorOptions, clock: Clock): Promise<DoctorReport> {
  const { environment } = program;
  const { facts, missing } = await factsFrom(program, options, clock);
  const network = nodeNetwork({ sendFailed() {}, acceptFailed() {} });
  const { progress, end } = progressOn(stderr);
  const report = await runDoctor({
    checks: [serverCheck(missing), ...clusterChecks, ...nodeChecks],
    outsides: {
      clock,
      network,
      environment,
      facts,
      readPieces,
      random: systemRandom(),
      run: systemCommands(clock),
      readFile: readTextFile,
      fetchText: fetchOver(network, clock),
      networkNamespace: networkNamespace() || undefined,
      outsideName: options.outsideName,
    },
    progress,
  });
  end();
  return report;
}

async function factsFrom(
  { environment }: DoctorProgram,
  { controlPath: path }: DoctorOptions,
  clock: Clock,
): Promise<{ readonly facts: ServerFacts | null; readonly missing: string | null }> {
  if (path === null) return { facts: null, missing: '-control is empty' };
  const sockets = commandSockets(environment);
  const said: unknown[] = [];
  const { outcome } = askControl(
    { clock, sockets, path, version: programVersion() },
    { command: 'facts', arguments: {}, item: (value) => void said.push(value) },
  );
  const result = await outcome;
  if (!result.ok) return { facts: null, missing: result.sentence };
  const facts = readServerFacts(said[0]);
  return facts === null ? { facts, missing: `the zerohop at ${path} is of another version` } : { facts, missing: null };
}

function printReport(
  { print }: DoctorProgram,
  { output, isWatching }: DoctorOptions,
  report: DoctorReport,
  text: (report: DoctorReport) => string,
): void {
  if (output === 'text') {
    const lines = text(report);
    if (lines !== '') print(lines);
    return;
  }
  const json = doctorJson(report, { version: programVersion(), node: hostname() });
  // One report a line, for programs that read line by line. Strings of JSON have no line ends.
  print(isWatching ? json.replace(/\n */gu, '') : json);
}

/** One line that is written over, on a terminal alone. */
function progressOn(descriptor: number): { progress(text: string): void; end(): void } {
  if (!isTerminal(descriptor)) return { progress() {}, end() {} };
  const write = (text: string): void => void process.stderr.write(`\r\x1b[K${text}`);
  return { progress: write, end: () => write('') };
}
