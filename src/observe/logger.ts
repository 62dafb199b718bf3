/**
 * The log, on pino: JSON lines, or text for people, written by libuv's threads so that a slow reader of stdout never delays
 * an answer. Lines wait in a bounded buffer; beyond the bound they are lost and counted.
 */
import { createRequire } from 'node:module';
import type { DestinationStream } from 'pino';
import type { Environment } from '../config/flag-reader.js';
import type { LogFormat } from '../config/serve-options.js';
import { logUnsentBytesMax } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Log, LogFields } from '../os/log.js';
import { isTerminal, wantsColor } from '../os/terminal.js';
import { logText } from './log-text.js';

// With `import`, Node first loads a WebAssembly parser for the names of a CommonJS module: 5 MB for nothing.
const pino: typeof import('pino') = createRequire(import.meta.url)('pino');

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Logger extends Log {
  /** A reload may switch `debug`. */
  setLevel(level: LogLevel): void;
  /** A line of the query log, at level info whatever the level of the log, as with CoreDNS's -quiet. */
  queryLine(message: string): void;
  readonly linesLost: number;
  /** Writes all waiting lines synchronously, for the end of the process. */
  flush(): void;
}

interface LoggerOptions {
  readonly level: LogLevel;
  readonly clock: Clock;
  /** Instead of stdout: a file descriptor, or a stream for tests. */
  readonly destination?: number | DestinationStream;
  /** JSON if absent. */
  readonly format?: LogStyle;
}

type LogStyle = 'json' | 'text' | 'colored text';

/** The format for a file descriptor: `auto` is text on a terminal, and JSON for everything that programs read. */
export function logStyle(format: LogFormat, descriptor: number, environment: Environment): LogStyle {
  if (format === 'json' || (format === 'auto' && !isTerminal(descriptor))) return 'json';
  return wantsColor(descriptor, environment) ? 'colored text' : 'text';
}

/** The level of flags and Corefile: `debug` wins over `-quiet`. */
export function logLevel(asked: { readonly debug: boolean; readonly quiet: boolean }): LogLevel {
  if (asked.debug) return 'debug';
  return asked.quiet ? 'warn' : 'info';
}

export function newLogger({ level, clock, destination = 1, format = 'json' }: LoggerOptions): Logger {
  let linesLost = 0;
  const file =
    typeof destination === 'number'
      ? pino.destination({ dest: destination, sync: false, maxLength: logUnsentBytesMax })
      : null;
  file?.on('drop', () => linesLost++);
  // When the reader is gone (EPIPE), the log ends and the service continues.
  file?.on('error', () => linesLost++);
  const sink: DestinationStream = file ?? (destination as DestinationStream);
  const root = pino(
    {
      level,
      base: null,
      messageKey: 'msg',
      timestamp: () => `,"time":"${new Date(clock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    format === 'json' ? sink : { write: (line) => sink.write(logText(line, format === 'colored text')) },
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

/** flushSync throws for a stream that is not open yet, or broken. */
function flushQuietly(stream: { flushSync(): void }): void {
  try {
    stream.flushSync();
  } catch {
    // The lines are lost, and so would be a message about it.
  }
}
