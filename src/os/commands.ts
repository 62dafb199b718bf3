/** Runs programs that change the node's link and firewall, without a shell, within bounds. Every end is a value. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock } from './clock.js';

export interface Command {
  /** Looked up in PATH and the system folders. */
  readonly program: string;
  readonly parameters: readonly string[];
  readonly input?: string;
  /** Then the program is killed. */
  readonly timeoutMs: number;
  /** Per output stream; a program that writes more is killed. */
  readonly outputBytesMax: number;
  /** The lines of standard output to keep and count; by default all. */
  readonly keep?: (line: string) => boolean;
}

export type CommandEnd =
  | { readonly ran: true; readonly status: number; readonly stdout: string; readonly stderr: string }
  | { readonly ran: false; readonly why: 'missing' | 'late' | 'too much' | 'failed'; readonly text: string };

export type RunCommand = (command: Command) => Promise<CommandEnd>;

/** A container may set its own PATH. */
const systemFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Programs print English, because their output is parsed. */
export function systemCommands(clock: Clock): RunCommand {
  return (command) =>
    new Promise((resolve) => {
      const environment = { PATH: commandPath(process.env['PATH']), LC_ALL: 'C' };
      let child: ChildProcess;
      try {
        child = spawn(command.program, command.parameters, { stdio: ['pipe', 'pipe', 'pipe'], env: environment });
      } catch (error) {
        resolve(commandFailure(command, error as NodeJS.ErrnoException));
        return;
      }
      watchProcess(child, command, clock, resolve);
    });
}

function watchProcess(child: ChildProcess, command: Command, clock: Clock, resolve: (end: CommandEnd) => void): void {
  const { program, timeoutMs, outputBytesMax } = command;
  let refusal: CommandEnd | null = null;
  const refuse = (why: 'late' | 'too much', text: string): void => {
    refusal ??= { ran: false, why, text: `${program} ${text}` };
    child.kill('SIGKILL');
  };
  const timer = clock.after(timeoutMs, () => refuse('late', `did not exit within ${timeoutMs} ms`));
  const tooMuch = (): void => refuse('too much', `printed more than ${outputBytesMax} bytes`);
  const stdout = collect(outputBytesMax, tooMuch, command.keep);
  const stderr = collect(outputBytesMax, tooMuch);
  child.stdout!.setEncoding('utf8').on('data', stdout.take);
  child.stderr!.setEncoding('utf8').on('data', stderr.take);
  // The program may exit without reading its input.
  child.stdin!.on('error', () => {});
  child.stdin!.end(command.input ?? '');
  const end = (result: CommandEnd): void => {
    timer.stop();
    resolve(refusal ?? result);
  };
  child.once('error', (error) => end(commandFailure(command, error)));
  child.once('close', (status, signal) => {
    if (status === null) end({ ran: false, why: 'failed', text: `${program} was killed by ${signal}` });
    else end({ ran: true, status, stdout: stdout.text(), stderr: stderr.text() });
  });
}

function commandFailure({ program }: Command, error: NodeJS.ErrnoException): CommandEnd {
  if (error.code === 'ENOENT') return { ran: false, why: 'missing', text: `${program} is not installed` };
  // execvp(3) says so too of a name that it found nowhere, if one folder of PATH may not be searched.
  if (error.code === 'EACCES' && !program.includes('/')) {
    return { ran: false, why: 'missing', text: `${program} is not installed, or this user may not run it` };
  }
  return { ran: false, why: 'failed', text: `cannot run ${program}: ${error.message}` };
}

interface Collected {
  take(text: string): void;
  text(): string;
}

/** Keeps output up to a bound, with `keep` line by line. */
function collect(bytesMax: number, tooMuch: () => void, keep?: (line: string) => boolean): Collected {
  let kept = '';
  let unfinished = '';
  return {
    take(text) {
      if (keep === undefined) kept += text;
      else {
        const lines = (unfinished + text).split('\n');
        unfinished = lines.pop()!;
        for (const line of lines) if (keep(line)) kept += `${line}\n`;
      }
      if (kept.length + unfinished.length > bytesMax) tooMuch();
    },
    text: () => (unfinished !== '' && keep?.(unfinished) === true ? kept + unfinished : kept),
  };
}

function commandPath(path = ''): string {
  const folders = path.split(':').filter((folder) => folder.startsWith('/'));
  return [...new Set([...folders, ...systemFolders])].join(':');
}
