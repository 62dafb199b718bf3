/**
 * The `log` directives of one server block: which queries get a line and which line. All blocks write through one
 * output that lets a bounded number of lines a second pass and counts the rest, because a log must not cost answers.
 */
import type { LogConfig } from '../config/config.js';
import { isInZone } from '../dns/names.js';
import { queryLogLinesPerSecondMax } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { QueryLogRecord } from '../resolve/lane.js';
import { newLineBudget } from './line-budget.js';
import { compileLogFormat, type FormatLine } from './log-format.js';
import { type AnswerClass, answerClass } from './query-facts.js';

/** Writes the query's line, if the block's directives want one. */
type LogQuery = (facts: QueryLogRecord) => void;

interface QueryLogOutside {
  readonly clock: Clock;
  /** Writes one line, at level info. */
  write(line: string): void;
  /** A line did not fit into its second. */
  dropped(): void;
}

interface Rule {
  readonly names: readonly string[];
  readonly classes: ReadonlySet<AnswerClass | 'all'>;
  readonly format: FormatLine;
}

/** The output that all blocks share. */
export function newQueryLogOutput(outside: QueryLogOutside): (line: () => string) => void {
  const fits = newLineBudget(outside.clock, queryLogLinesPerSecondMax);
  return (line) => {
    if (fits()) outside.write(line());
    else outside.dropped();
  };
}

/**
 * The block's query log, or null without `log`. The first directive that names the query's name decides, also
 * when its classes then keep it silent. Lines begin as CoreDNS's do, so that existing log searches find them.
 */
export function newQueryLog(directives: readonly LogConfig[], output: (line: () => string) => void): LogQuery | null {
  const rules = directives.map(
    ({ names, classes, format }): Rule => ({ names, classes: new Set(classes), format: compileLogFormat(format) }),
  );
  if (rules.length === 0) return null;
  return (facts) => {
    const rule = rules.find(({ names }) => names.some((zone) => isInZone(facts.name, zone)));
    if (rule === undefined) return;
    if (!rule.classes.has('all') && !rule.classes.has(answerClass(facts))) return;
    output(() => `[INFO] ${rule.format(facts)}`);
  };
}

/** One that tells both of those that are there; null where none is. */
export function bothTold(one: LogQuery | null, other: LogQuery | null): LogQuery | null {
  if (one === null || other === null) return one ?? other;
  return (facts) => {
    one(facts);
    other(facts);
  };
}
