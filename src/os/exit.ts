/**
 * The end of a command. Node.js ends V8 and its threads first, and waits for them: a compiler that waits for a collection,
 * or a thread in a call of the kernel, may keep it forever (nodejs/node#54918), and with it all that wait for the exit
 * status, as `kubectl exec` does. So the kernel is told to end the process as soon as all listeners to `exit` have run. Not
 * for a process that serves: its log is written by other threads, for which Node.js waits as well.
 */
import { loadExit } from './system-calls.js';

/** `portable`: Node.js ends it. */
export function endProcess(status: number, io = process.env['ZEROHOP_IO']): never {
  const exit = io === 'portable' || writesAtItsEnd() ? null : loadExit();
  // The last listener.
  if (exit !== null) process.on('exit', exit);
  process.exit(status);
}

/** Ends it when what was printed is written. */
export function endWhenWritten(): void {
  const end = (): never => endProcess(Number(process.exitCode ?? 0));
  process.stdout.write('', () => process.stderr.write('', end));
}

/** Profiles and coverage are written while V8 ends. */
function writesAtItsEnd(): boolean {
  const flags = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ');
  return /--(?:cpu|heap)-prof/u.test(flags) || process.env['NODE_V8_COVERAGE'] !== undefined;
}
