/** The log, one line per change of state, written by `observe/logger.ts` with pino; and what commands print. */
import type { Writable } from 'node:stream';

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Prints lines on a stream that opens with the first line; `failed` gets its errors. */
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
