/**
 * The `log` and `errors` directives of one server block: lines for queries and for failures, in CoreDNS's words so that
 * existing log searches match. Lines per second are bounded, and dropped ones counted, because a log must not cost answers.
 */
import type { ConsolidateConfig, ErrorsConfig, LogConfig } from '../config/config.js';
import { formatDuration } from '../config/durations.js';
import { isInZone, typeName } from '../dns/names.js';
import { consolidatedErrorsMax, errorLinesPerSecondMax, queryLogLinesPerSecondMax } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { QueryLogRecord } from '../resolve/worker-context.js';
import { toEach } from '../scheduling/each.js';
import { type AnswerClass, answerClass, compileLogFormat, type FormatLine } from './log-format.js';

/** Writes the query's line, if a directive of the block matches. */
type LogQuery = (facts: QueryLogRecord) => void;

interface QueryLogOutside {
  readonly clock: Clock;
  /** Writes one line, at level info. */
  write(line: string): void;
  /** Counts a dropped line. */
  dropped(): void;
}

interface Rule {
  readonly names: readonly string[];
  readonly classes: ReadonlySet<AnswerClass | 'all'>;
  readonly format: FormatLine;
}

/** The output of all blocks. */
export function newQueryLogOutput(outside: QueryLogOutside): (line: () => string) => void {
  const fits = newLineBudget(outside.clock, queryLogLinesPerSecondMax);
  return (line) => {
    if (fits()) outside.write(line());
    else outside.dropped();
  };
}

/** Null without `log`. The first directive whose zones contain the name decides, even if its classes do not match. */
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

/** Calls both; null if both are. */
export function bothTold(one: LogQuery | null, other: LogQuery | null): LogQuery | null {
  if (one === null || other === null) return one ?? other;
  return (facts) => {
    one(facts);
    other(facts);
  };
}

interface QueryFailure {
  /** Of the answer: 2 is SERVFAIL, 5 is REFUSED. */
  readonly rcode: number;
  /** Presentation form. */
  readonly name: string;
  readonly type: number;
  /** `read udp …: i/o timeout`. */
  readonly text: string;
}

export interface ErrorsLog {
  failed(failure: QueryFailure): void;
  /** Writes pending summaries now; later failures get lines of their own. */
  stop(): void;
}

interface ErrorsLogOutside {
  readonly log: Log;
  readonly clock: Clock;
}

/** Matches of one pattern since its period began. */
interface Consolidation {
  readonly config: ConsolidateConfig;
  count: number;
  summary: Timer | null;
}

/**
 * `errors` of one block: a line for each failed query, or one line per period for failures that match a `consolidate`
 * pattern. Throws an Error if there are more patterns than limits.ts allows.
 */
export function newErrorsLog(config: ErrorsConfig, { log, clock }: ErrorsLogOutside): ErrorsLog {
  if (config.consolidate.length > consolidatedErrorsMax)
    throw new Error(`more than ${consolidatedErrorsMax} consolidate patterns in one errors directive; use fewer.`);
  const consolidations = config.consolidate.map((each): Consolidation => ({ config: each, count: 0, summary: null }));
  const fits = newLineBudget(clock, errorLinesPerSecondMax);
  let surplus = 0;
  let surplusTimer: Timer | null = null;
  let stopped = false;

  function write(level: ConsolidateConfig['level'], text: string): void {
    if (fits()) return writeLine(log, level, text);
    surplus++;
    if (!stopped) surplusTimer ??= clock.after(1_000, summariseSurplus);
  }

  function summariseSurplus(): void {
    surplusTimer?.stop();
    surplusTimer = null;
    if (surplus > 0) writeLine(log, 'error', `${surplus} error lines dropped: too many in one second`);
    surplus = 0;
  }

  function summarise(consolidation: Consolidation): void {
    const { config, count } = consolidation;
    consolidation.summary?.stop();
    consolidation.summary = null;
    consolidation.count = 0;
    // The line of a single failure that was shown is enough.
    if (count === 0 || (count === 1 && config.showFirst)) return;
    const period = formatDuration(config.periodMs);
    write(config.level, `${count} errors like '${config.pattern.source}' occurred in last ${period}`);
  }

  /** Counts the failure; true when it also gets a line of its own. */
  function consolidate(consolidation: Consolidation): boolean {
    consolidation.count++;
    if (consolidation.count > 1) return false;
    consolidation.summary = clock.after(consolidation.config.periodMs, () => summarise(consolidation));
    return consolidation.config.showFirst;
  }

  return {
    failed({ rcode, name, type, text }) {
      const consolidation = stopped ? undefined : consolidations.find((each) => each.config.pattern.test(text));
      if (consolidation !== undefined && !consolidate(consolidation)) return;
      write(consolidation?.config.level ?? 'error', `${rcode} ${name} ${typeName(type)}: ${text}`);
    },
    stop() {
      stopped = true;
      toEach(consolidations, summarise);
      summariseSurplus();
    },
  };
}

function writeLine(log: Log, level: ConsolidateConfig['level'], text: string): void {
  const message = `[${level.toUpperCase()}] plugin/errors: ${text}`;
  if (level === 'warning') log.warn(message);
  else log[level](message);
}

const linesPeriodMs = 1_000;

/**
 * A function that returns whether one more line fits into this second. Whole seconds are counted, not averaged: a new
 * second has its full budget at once.
 */
export function newLineBudget(clock: Clock, linesPerSecondMax: number): () => boolean {
  let secondStartedMs = Number.NEGATIVE_INFINITY;
  let written = 0;
  return () => {
    const nowMs = clock.nowMs();
    if (nowMs - secondStartedMs >= linesPeriodMs) {
      secondStartedMs = nowMs;
      written = 0;
    }
    if (written === linesPerSecondMax) return false;
    written++;
    return true;
  };
}
