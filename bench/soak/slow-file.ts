/**
 * A file that is slow to read, as one on a storage that hangs: a named pipe. Who reads it without patience elsewhere
 * to be, as a main thread that loads its configuration, does nothing else meanwhile, and uses no CPU that others
 * would lack. That makes it a pause of known length and nothing more.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

export interface SlowFile {
  /** The next reader waits so long for its text; resolves when it has it. */
  holdNext(milliseconds: number): Promise<void>;
  /** Nobody can read it any more. */
  close(): Promise<void>;
}

/** A reader has seen the end of its text by then and is not taken for the next one. */
const betweenReadersMs = 50;

/** Makes the file; readers get `text`, at once unless told otherwise. Needs `mkfifo`. */
export function makeSlowFile(path: string, text: string): SlowFile {
  execFileSync('mkfifo', [path]);
  let isClosed = false;
  let next: { readonly milliseconds: number; done(): void } | null = null;

  async function serve(): Promise<void> {
    while (!isClosed) {
      // Opening waits for a reader.
      const pipe = await open(path, 'w');
      const held = next;
      next = null;
      if (held !== null) await pause(held.milliseconds);
      // A reader that was ended meanwhile breaks the pipe, which is its own affair.
      if (!isClosed) await pipe.writeFile(text).catch(() => {});
      await pipe.close();
      held?.done();
      await pause(betweenReadersMs);
    }
  }

  /** A reader of our own, for the one that `serve` waits for; without it not even the process could end. */
  function release(): number {
    isClosed = true;
    return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  }

  process.prependOnceListener('exit', release);
  const serving = serve();
  return {
    holdNext: (milliseconds) =>
      new Promise((done) => {
        next = { milliseconds, done };
      }),
    async close() {
      process.off('exit', release);
      const reader = release();
      await serving;
      closeSync(reader);
    },
  };
}
