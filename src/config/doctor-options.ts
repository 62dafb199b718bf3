/** The command line of `zerohop doctor`, read: the socket to ask, the format, and what it may ask for. */
import { readQuestionName } from './ask-options.js';
import type { ReadFlags } from './flag-reader.js';
import { readChoice, readUnixPath, reportOutputs } from './serve-options.js';

export interface DoctorOptions {
  /** Null: the running zerohop is not asked. */
  readonly controlPath: string | null;
  readonly output: (typeof reportOutputs)[number];
  readonly isWatching: boolean;
  /** With the closing dot; null: no name of others is asked for. */
  readonly outsideName: string | null;
}

/** Throws a UsageError. */
export function doctorOptions(flags: ReadFlags): DoctorOptions {
  const name = flags.text('doctor-name');
  return {
    controlPath: readUnixPath(flags, 'control'),
    output: readChoice('output', flags.text('output'), reportOutputs),
    isWatching: flags.isSet('watch'),
    outsideName: name === '' ? null : readQuestionName(name),
  };
}
