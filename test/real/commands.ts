/**
 * Real programs as tests use them: run to the end, or started and ended by process id, never by name. Also the one
 * place that says what a test does where a tool or root is missing: in CI it fails, elsewhere it says so.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { after } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

export interface Finished {
  /** Exit code; 128 + n when signal n ended it, as a shell says it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly pid: number;
  /** Everything written so far. */
  stdout(): string;
  stderr(): string;
  signal(name: NodeJS.Signals): void;
  readonly finished: Promise<Finished>;
  /** SIGTERM, and SIGKILL after five seconds; does nothing when it has ended. */
  stop(): Promise<Finished>;
}

const alive = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** What a failed test has left, programs and sockets, would keep its file from ending; other hooks have this long. */
const leftoversMs = 10_000;
if (process.env['NODE_TEST_CONTEXT'] !== undefined && process.argv[1].endsWith('.test.js')) {
  after(() => void setTimeout(() => process.exit(), leftoversMs).unref());
}

/** Starts a program with no stdin. Its output is kept. */
export function start(command: readonly string[], environment: NodeJS.ProcessEnv = {}): Running {
  const [program, ...rest] = command;
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  alive.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const finished = new Promise<Finished>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      alive.delete(child);
      resolve({ status: code ?? 128 + signalNumber(signal), stdout, stderr });
    });
  });
  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    signal: (name) => child.kill(name),
    finished,
    async stop() {
      child.kill('SIGTERM');
      const patience = new AbortController();
      const impatient = pause(5_000, undefined, { signal: patience.signal }).then(
        () => child.kill('SIGKILL'),
        () => {},
      );
      const result = await finished;
      patience.abort();
      await impatient;
      return result;
    },
  };
}

/** Runs a program to its end; one that takes more than `withinMs` is ended and fails the test. */
export async function run(command: readonly string[], withinMs = 15_000): Promise<Finished> {
  const program = start(command);
  const patience = new AbortController();
  const late = pause(withinMs, 'late' as const, { signal: patience.signal }).catch(() => 'late' as const);
  const result = await Promise.race([program.finished, late]);
  patience.abort();
  if (result !== 'late') return result;
  program.signal('SIGKILL');
  throw new Error(`${command.join(' ')} did not end within ${withinMs} ms: ${program.stdout()}${program.stderr()}`);
}

/** Runs a program that must succeed, and gives its output. */
export async function output(command: readonly string[], withinMs?: number): Promise<string> {
  const { status, stdout, stderr } = await run(command, withinMs);
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}

/** Waits until `probe` gives something, looking again every 20 ms; fails with `what` after `withinMs`. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  withinMs = 10_000,
): Promise<T> {
  const started = performance.now();
  while (performance.now() - started < withinMs) {
    const result = await probe();
    if (result !== undefined) return result;
    await pause(20);
  }
  throw new Error(`not within ${withinMs} ms: ${what}`);
}

/**
 * For a test's `skip`: false when `root` (if named) and every program is there, else the reason. In CI a missing
 * one throws instead, so that nothing is skipped there.
 */
export function needs(...wanted: string[]): string | false {
  const missing = wanted.filter((name) => (name === 'root' ? process.getuid?.() !== 0 : !installed(name)));
  if (missing.length === 0) return false;
  const reason = `needs ${missing.join(', ')}`;
  if (process.env['CI'] === 'true') throw new Error(`${reason}, and CI must have it`);
  return reason;
}

function installed(program: string): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : constants.signals[signal];
}
