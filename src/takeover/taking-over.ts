/**
 * How an instance comes to have the packets of another: what the log says then, and what is counted. Who serves when
 * is succession.ts's business.
 */
import type { EventName } from '../counters.js';
import type { Log } from '../os/log.js';

interface Telling {
  readonly level: Exclude<keyof Log, 'debug'>;
  readonly sentence: string;
  readonly event: EventName;
}

export const takingOver = {
  /** It has just started, alone or beside one that serves. */
  start: { level: 'info', sentence: 'packets come to this instance from now on', event: 'takeoverStart' },
  /** It stood by, and the one that served ends in order. */
  left: {
    level: 'info',
    sentence: 'the instance that served leaves: packets come to this one from now on',
    event: 'takeoverLeft',
  },
  /** It stood by, and the one that served is dead. */
  gone: {
    level: 'warn',
    sentence: 'the instance that served is gone: packets come to this one from now on',
    event: 'takeoverGone',
  },
  /** It stood by, and the one that served hangs. */
  silent: {
    level: 'warn',
    sentence: 'the instance that serves says nothing: packets come to this one from now on',
    event: 'takeoverSilent',
  },
} as const satisfies Readonly<Record<string, Telling>>;

export type TakingOver = keyof typeof takingOver;
