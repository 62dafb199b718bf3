/**
 * The log, on pino: JSON lines, written by libuv's threads so that a slow reader of stdout never holds up an answer.
 * Lines wait in a bounded buffer; beyond the bound they are lost and counted. It does not decide what is worth a
 * line.
 */
import { createRequire } from 'node:module';
import type { DestinationStream } from 'pino';
import { logUnsentBytesMax } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Log, LogFields } from '../os/log.js';

// With `import`, Node first loads a WebAssembly parser to find a CommonJS module's names: 5 MB that nobody needs.
const pino: typeof import('pino') = createRequire(import.meta.url)('pino');

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Logger extends Log {
  /** Lines below this level are not written from now on; a reload may switch `debug`. */
  setLevel(level: LogLevel): void;
  /** One line of the query log: written at level info whatever the level of the log, as with CoreDNS's -quiet. */
  queryLine(message: string): void;
  /** Lines lost so far because nobody read stdout. */
  readonly linesLost: number;
  /** Writes everything out before it returns; for the end of the process, which also does it by itself. */
  flush(): void;
}

interface LoggerOptions {
  readonly level: LogLevel;
  readonly clock: Clock;
  /** Where lines go instead of stdout: a file descriptor, or a stream for tests. */
  readonly destination?: number | DestinationStream;
}

/** Which level the flags and the Corefile ask for: `debug` wins over `-quiet`. */
export function logLevel(asked: { readonly debug: boolean; readonly quiet: boolean }): LogLevel {
  if (asked.debug) return 'debug';
  return asked.quiet ? 'warn' : 'info';
}

export function newLogger({ level, clock, destination = 1 }: LoggerOptions): Logger {
  let linesLost = 0;
  const file =
    typeof destination === 'number'
      ? pino.destination({ dest: destination, sync: false, maxLength: logUnsentBytesMax })
      : null;
  file?.on('drop', () => linesLost++);
  // A reader that went away (EPIPE) takes the log with it, not the service.
  file?.on('error', () => linesLost++);
  const root = pino(
    {
      level,
      base: null,
      messageKey: 'msg',
      timestamp: () => `,"time":"${new Date(clock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    file ?? (destination as DestinationStream),
  );
  const queries = root.child({}, { level: 'info' });
  const write = (at: LogLevel) => (message: string, fields?: LogFields) => {
    if (fields === undefined) root[at](message);
    else root[at](fields, message);
  };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    setLevel(next) {
      root.level = next;
    },
    queryLine: (message) => queries.info(message),
    get linesLost() {
      return linesLost;
    },
    flush() {
      if (file !== null) flushQuietly(file);
    },
  };
}

/** A stream that is not open yet, or broken, has nothing to flush and says so by throwing. */
function flushQuietly(stream: { flushSync(): void }): void {
  try {
    stream.flushSync();
  } catch {
    // The lines cannot be written; there is nobody left to tell.
  }
}
