/** `zerohop check [FILE…]`: says of Corefiles what is wrong or unwise in them; without a file it prints the built-in one. */
import { builtinCorefile, builtinExample } from './builtin.js';
import { ConfigError, formatDiagnostic } from './error.js';
import { type LoadOptions, loadCorefile } from './load.js';

/**
 * Checks every file and writes lines: errors and warnings as `file:line: …`, and `FILE: ok, …` for each file that
 * can be served. Gives the exit code: 0, or 2 if a file cannot be served.
 */
export function check(files: readonly string[], options: LoadOptions, write: (line: string) => void): 0 | 2 {
  if (files.length === 0) {
    for (const line of builtinCorefile(builtinExample).trimEnd().split('\n')) write(line);
    return 0;
  }
  const results = files.map((file) => checkFile(file, options, write));
  return results.includes(false) ? 2 : 0;
}

function checkFile(file: string, options: LoadOptions, write: (line: string) => void): boolean {
  try {
    const { blocks, warnings } = loadCorefile(file, options);
    for (const { at, message } of warnings) write(formatDiagnostic({ at, message: `warning: ${message}` }));
    write(`${file}: ok, ${counted(blocks.length, 'server block')}, ${counted(warnings.length, 'warning')}`);
    return true;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { at, message } of error.warnings) write(formatDiagnostic({ at, message: `warning: ${message}` }));
    write(formatDiagnostic({ at: error.at, message: `error: ${error.sentence}` }));
    return false;
  }
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}
