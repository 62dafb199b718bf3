/**
 * What is wrong in a configuration, and where. A configuration that cannot be used is an exception (nothing is
 * served from it); one that can be used but is unwise gives warnings, which travel in `Config.warnings`.
 */
import type { Diagnostic, Position } from './config.js';

/** A configuration that is refused; `message` is `file:line: sentence`. */
export class ConfigError extends Error {
  readonly at: Position;
  /** The message without its place: the directive, what was expected, what to change. */
  readonly sentence: string;
  /** What was unwise before it came to this; often the reason for it. */
  readonly warnings: readonly Diagnostic[];

  constructor(at: Position, sentence: string, warnings: readonly Diagnostic[] = []) {
    super(formatDiagnostic({ at, message: sentence }));
    this.name = 'ConfigError';
    this.at = at;
    this.sentence = sentence;
    this.warnings = warnings;
  }
}

/** `file:line: message`; line 0 stands for the file as a whole and is left out. */
export function formatDiagnostic({ at, message }: Diagnostic): string {
  return at.line === 0 ? `${at.file}: ${message}` : `${at.file}:${at.line}: ${message}`;
}
