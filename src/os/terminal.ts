/** Whether somebody looks at what is written: the one place that asks about terminals and colors. */
import { isatty } from 'node:tty';

/** Whether a file descriptor is a terminal. */
export function isTerminal(descriptor: number): boolean {
  return isatty(descriptor);
}

/**
 * Whether to write colors there: on a terminal, unless NO_COLOR (https://no-color.org) or TERM=dumb says otherwise;
 * FORCE_COLOR asks for them anywhere else.
 */
export function wantsColor(descriptor: number, environment: Readonly<Record<string, string | undefined>>): boolean {
  if ((environment['NO_COLOR'] ?? '') !== '') return false;
  const forced = environment['FORCE_COLOR'] ?? '';
  if (forced !== '') return forced !== '0';
  return isTerminal(descriptor) && environment['TERM'] !== 'dumb';
}
