/** A `Log` that keeps its lines, for tests. */
import type { Log, LogFields } from '../../src/os/log.js';

export interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields?: LogFields;
}

export function newLines(): { readonly lines: Line[]; readonly log: Log } {
  const lines: Line[] = [];
  const at = (level: Line['level']) => (message: string, fields?: LogFields) => {
    lines.push(fields === undefined ? { level, message } : { level, message, fields });
  };
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}
