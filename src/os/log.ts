/**
 * What the program says about itself: one line per change of state. `observe/logger.ts` writes them with pino; tests
 * collect them.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[]>>;
