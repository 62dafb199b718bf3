/**
 * The program behind main.ts: a command line in, and what carries it out, which is loaded when it is known. Exit codes: 0
 * after a clean stop, 1 for a failed start, 2 for bad usage or configuration, each with one sentence on stderr.
 */
import { release } from 'node:os';
import type { CliCommand } from '../config/commands.js';
import { parseFlags, pluginsText } from '../config/flags.js';
import { corefileBytesMax } from '../limits.js';
import { stayAlive, systemClock } from '../os/clock.js';
import { endWhenWritten } from '../os/exit.js';
import { newPrinter } from '../os/log.js';
import { hostAddressesBeside } from '../os/node-network.js';
import { nameProcess } from '../os/process-name.js';
import type { EarlySignals } from './early-signals.js';

const exitFailed = 1;
const exitUsage = 2;

const print = newPrinter(() => process.stdout, unwritable);
const complain = newPrinter(
  () => process.stderr,
  () => {},
);

/** `early` has the signals so far. */
export async function runProgram(early: EarlySignals): Promise<void> {
  nameProcess('zerohop', process.argv.slice(2));
  const command = parseFlags(process.argv.slice(2), process.env, hostAddressesBeside);
  if (command.kind !== 'serve') early.letGo();
  switch (command.kind) {
    case 'help':
      return print(await helpOf(command));
    case 'completion':
      return print((await import('../config/completion.js')).completionScript(command.shell));
    case 'man':
      return print((await import('../config/man-page.js')).manPage());
    case 'version':
      return print(command.text);
    case 'plugins':
      return listPlugins();
    case 'try lane':
      return tryKernelLane();
    case 'remove lane':
      return removeKernelLane(command);
    case 'usage':
      return endWith(exitUsage, command.message);
    case 'ask':
      return askTheRunning(command).then(endWhenWritten);
    case 'tail':
    case 'top':
      return watchTheRunning(command).then(endWhenWritten);
    case 'check':
      return checkFiles(command);
    case 'doctor':
      return lookForFaults(command).then(endWhenWritten);
    case 'demo':
      return runDemoCommand();
    case 'serve':
      return startServing(command, early);
  }
}

async function listPlugins(): Promise<void> {
  const { plugins } = await import('../plugins/registry.js');
  const { directiveNames } = await import('../config/block.js');
  print(pluginsText(directiveNames(plugins)));
}

async function tryKernelLane(): Promise<void> {
  const { tryLane } = await import('../lane/try.js');
  const { loadSystemCalls } = await import('../os/system-calls.js');
  const clock = systemClock();
  const { isPossible, sentence } = await tryLane(loadSystemCalls(), release(), () => clock.nowMs());
  print(sentence);
  if (!isPossible) process.exitCode = exitFailed;
}

async function removeKernelLane({ folder }: Extract<CliCommand, { kind: 'remove lane' }>): Promise<void> {
  const { removeAllPins } = await import('../lane/pins.js');
  try {
    const count = removeAllPins(folder);
    print(
      count === 0
        ? `Nothing of the kernel lane is left in ${folder}.`
        : `Removed ${count} pins from ${folder}; the kernel answers nothing more.`,
    );
  } catch (error) {
    endWith(
      exitFailed,
      `the kernel lane cannot be removed from ${folder}: ${(error as Error).message}; it takes root.`,
    );
  }
}

async function askTheRunning({ question, options }: Extract<CliCommand, { kind: 'ask' }>): Promise<void> {
  const { askRunning } = await import('./ask-running.js');
  const failure = await askRunning({ environment: process.env, print }, question, options);
  if (failure !== null) endWith(failure.exitCode, failure.sentence);
}

async function watchTheRunning(command: Extract<CliCommand, { kind: 'tail' | 'top' }>): Promise<void> {
  const { tailRunning, topRunning } = await import('./watch-running.js');
  const onInterrupt = (ended: () => void): void => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, ended);
  };
  const program = { environment: process.env, print, complain, onInterrupt };
  const { options } = command;
  const failure =
    command.kind === 'tail'
      ? await tailRunning(program, command.wishes, options)
      : await topRunning(program, command.shows, options);
  if (failure !== null) endWith(failure.exitCode, failure.sentence);
}

async function lookForFaults({ options }: Extract<CliCommand, { kind: 'doctor' }>): Promise<void> {
  const { runDoctorCommand } = await import('./doctor-command.js');
  const alive = stayAlive();
  process.exitCode = await runDoctorCommand({ environment: process.env, print }, options);
  alive.stop();
}

async function helpOf({ command }: Extract<CliCommand, { kind: 'help' }>): Promise<string> {
  const { helpColumns, helpText } = await import('../config/help.js');
  return helpText(command, helpColumns(process.stdout.columns));
}

async function checkFiles({ files, options, wishes }: Extract<CliCommand, { kind: 'check' }>): Promise<void> {
  const { check, stdinFile, writeReports } = await import('../config/check.js');
  const { loadOptions } = await import('./serve-command.js');
  const stdin = files.includes(stdinFile) ? await readStdin().catch((error: Error) => error) : undefined;
  if (stdin instanceof Error) return endWith(exitUsage, `cannot read stdin: ${stdin.message}.`);
  const reports = check(files, loadOptions(options.dnsPort), options, stdin);
  process.exitCode = writeReports(reports, wishes, print);
}

/** Stops reading beyond the allowed length. */
async function readStdin(): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > corefileBytesMax) break;
  }
  return Buffer.concat(chunks);
}

async function startServing({ options }: Extract<CliCommand, { kind: 'serve' }>, early: EarlySignals): Promise<void> {
  const { serve } = await import('./serve-command.js');
  await serve(options, early, failWith);
}

async function runDemoCommand(): Promise<void> {
  const { serveDemo } = await import('./serve-command.js');
  await serveDemo(print, failWith);
}

/** On a closed pipe, as `head` leaves it, the program ends in silence. */
function unwritable(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') endWith(exitFailed, `cannot write to stdout: ${error.message}`);
  process.exit();
}

function failWith(why: 'usage' | 'failed', sentence: string): void {
  endWith(why === 'usage' ? exitUsage : exitFailed, sentence);
}

function endWith(exitCode: number, sentence: string): void {
  complain(`zerohop: ${sentence}`);
  process.exitCode = exitCode;
}
