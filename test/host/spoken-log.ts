/** A log that remembers what was said. */
import type { Log } from '../../src/os/log.js';

export interface SpokenLog extends Log {
  readonly lines: string[];
  readonly levels: string[];
}

export function newSpokenLog(): SpokenLog {
  const lines: string[] = [];
  const levels: string[] = [];
  const say = (level: string) => (message: string) => {
    levels.push(level);
    lines.push(message);
  };
  return { lines, levels, debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
}
