/**
 * The end of a command. Node.js ends V8 and its threads first, and waits for them: a compiler that waits for a collection,
 * or a thread in a call of the kernel, may keep it forever (nodejs/node#54918), and with it all that wait for the exit
 * status, as `kubectl exec` does. So the kernel is told to end the process as soon as all listeners to `exit` have run. Not
 * for a process that serves: its log is written by other threads, for which Node.js waits as well.
 */
import { loadExit } from './system-calls.js';

/**
 * Ends the process with its exit code when what was printed is written. With ZEROHOP_IO=portable Node.js ends it; where stdout
 * cannot be written to, the listener to its errors does.
 */
export function endWhenWritten(): void {
  process.stdout.write('', (error) => {
    if (error == null) process.stderr.write('', endNow);
  });
}

function endNow(): never {
  const exit = process.env['ZEROHOP_IO'] === 'portable' || writesAtItsEnd() ? null : loadExit();
  // The last listener.
  if (exit !== null) process.on('exit', exit);
  process.exit();
}

/** Profiles and coverage are written while V8 ends. */
function writesAtItsEnd(): boolean {
  const flags = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ');
  return /--(?:cpu|heap)-prof/u.test(flags) || process.env['NODE_V8_COVERAGE'] !== undefined;
}
