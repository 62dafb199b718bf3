/**
 * What is wrong in a configuration, and where. A configuration that cannot be used is an exception (nothing is
 * served from it) with all that is wrong in it; one that can be used but is unwise gives warnings, which travel in
 * `Config.warnings`.
 */
import type { Diagnostic, Position } from './config.js';

/** What else is known where a configuration is refused. */
export interface Refused {
  /** What was unwise before it came to this; often the reason for it. */
  readonly warnings?: readonly Diagnostic[];
  /** What is wrong besides. */
  readonly others?: readonly Diagnostic[];
  /** The Corefile's path, which is where an import stands, too. */
  readonly source?: string | null;
  /** The files that were looked at: a change in them may be the remedy. */
  readonly files?: readonly string[];
}

/** A configuration that is refused; `message` is `file:line: sentence`, about the first of its errors. */
export class ConfigError extends Error {
  readonly at: Position;
  /** The message without its place: the directive, what was expected, what to change. */
  readonly sentence: string;
  /** All errors, this one first. */
  readonly errors: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
  readonly source: string | null;
  readonly files: readonly string[];

  constructor(at: Position, sentence: string, { warnings = [], others = [], source = null, files = [] }: Refused = {}) {
    super(formatDiagnostic({ at, message: sentence }));
    this.name = 'ConfigError';
    this.at = at;
    this.sentence = sentence;
    this.errors = [{ at, message: sentence }, ...others];
    this.warnings = warnings;
    this.source = source;
    this.files = files;
  }

  /** The message, and how to see the others. */
  get summary(): string {
    const more = this.errors.length - 1;
    if (more === 0) return this.message;
    // What is in parentheses is no file.
    const isFile = this.source !== null && !this.source.startsWith('(');
    const how = isFile ? `; see zerohop check ${this.source}` : '';
    return `${this.message} And ${more} more error${more === 1 ? '' : 's'}${how}.`;
  }
}

/** What is found while a configuration is read: reading goes on behind an error, so that all of them are found. */
export class Findings {
  readonly errors: Diagnostic[] = [];
  readonly warnings: Diagnostic[];

  constructor(warnings: Diagnostic[] = []) {
    this.warnings = warnings;
  }

  get hasErrors(): boolean {
    return this.errors.length > 0;
  }

  error(at: Position, message: string): void {
    this.errors.push({ at, message });
  }

  /** What `read` gives, or `instead` where it is refused, which is kept in mind. */
  attempt<Value, Instead>(read: () => Value, instead: Instead): Value | Instead {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.errors.push(...error.errors);
      return instead;
    }
  }

  /** Throws a ConfigError if there are errors: each place and sentence once, those of `source` first, by line. */
  refuse(source: string, more: Pick<Refused, 'files'> = {}): void {
    const [first, ...others] = inOrder(source, this.errors);
    if (first === undefined) return;
    throw new ConfigError(first.at, first.message, { ...more, source, others, warnings: this.warnings });
  }
}

/** Reads each of them, also behind one that is refused; then throws one ConfigError with what was wrong in all. */
export function eachOf<Item, Value>(items: readonly Item[], read: (item: Item) => Value): Value[] {
  const findings = new Findings();
  const values = items.flatMap((item) => findings.attempt(() => [read(item)], []));
  const [first, ...others] = findings.errors;
  if (first !== undefined) throw new ConfigError(first.at, first.message, { others });
  return values;
}

function inOrder(source: string, errors: readonly Diagnostic[]): Diagnostic[] {
  const distinct = [...new Map(errors.map((error) => [formatDiagnostic(error), error])).values()];
  const files = [...new Set([source, ...distinct.map(({ at }) => at.file)])];
  return distinct.sort(
    ({ at: one }, { at: other }) => files.indexOf(one.file) - files.indexOf(other.file) || one.line - other.line,
  );
}

/** `file:line: message`; line 0 stands for the file as a whole and is left out. */
export function formatDiagnostic({ at, message }: Diagnostic): string {
  return at.line === 0 ? `${at.file}: ${message}` : `${at.file}:${at.line}: ${message}`;
}
