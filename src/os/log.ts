/**
 * What the program says about itself: one line per change of state. `observe/logger.ts` writes them with pino; tests
 * collect them.
 */
import type { Writable } from 'node:stream';

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Gives what prints a line on the stream, which is opened with the first; `failed` is told when one cannot be written. */
export function newPrinter(
  open: () => Writable,
  failed: (error: NodeJS.ErrnoException) => void,
): (line: string) => void {
  let stream: Writable | null = null;
  return (line) => {
    if (stream === null) {
      stream = open();
      stream.on('error', failed);
    }
    stream.write(`${line}\n`);
  };
}
