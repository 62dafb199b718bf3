/** How the process shows in `ps`: by default as `node`, with the flags of Node.js and the path of a file. */
import { writeFileSync } from 'node:fs';

/**
 * Names the process: `ps`, `pgrep` and `pidof` find it as `name`, and its command line is the name with the arguments.
 * Linux keeps both in the memory of the command line it was started with, so a longer one is cut.
 */
export function nameProcess(name: string, argv: readonly string[]): void {
  process.title = [name, ...argv].join(' ');
  try {
    // Node.js has put the beginning of the title there, arguments and all, and tools compare the whole of it.
    writeFileSync('/proc/self/comm', name);
  } catch {
    // Without /proc, or where it is not written to, the beginning of the title stays.
  }
}
