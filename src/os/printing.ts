/**
 * Text for people, line by line, on stdout or stderr: what commands print. It is not the log, which has a stream of
 * its own and outlives its reader.
 */
import type { Writable } from 'node:stream';

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
