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
  start: { level: 'info', sentence: 'this instance receives packets now', event: 'takeoverStart' },
  /** It stood by, and the one that served ends in order. */
  left: {
    level: 'info',
    sentence: 'the serving instance is exiting: this instance receives packets now',
    event: 'takeoverLeft',
  },
  /** It stood by, and the one that served is dead. */
  gone: {
    level: 'warn',
    sentence: 'the serving instance is gone: this instance receives packets now',
    event: 'takeoverGone',
  },
  /** It stood by, and the one that served hangs. */
  silent: {
    level: 'warn',
    sentence: 'the serving instance is silent: this instance receives packets now',
    event: 'takeoverSilent',
  },
} as const satisfies Readonly<Record<string, Telling>>;

export type TakingOver = keyof typeof takingOver;
