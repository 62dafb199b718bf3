/**
 * The `errors` directive of one server block: a line for each query that failed, in CoreDNS's words so that existing
 * log searches find it, or one line per period for failures that match a `consolidate` pattern.
 */
import type { ConsolidateConfig, ErrorsConfig } from '../config/config.js';
import { formatDuration } from '../config/durations.js';
import { typeName } from '../dns/names.js';
import { consolidatedErrorsMax, errorLinesPerSecondMax } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Log } from '../os/log.js';
import { toEach } from '../scheduling/each.js';
import { newLineBudget } from './line-budget.js';

/** A query that failed. */
interface QueryFailure {
  /** What the client got; 2 is SERVFAIL, 5 is REFUSED. */
  readonly rcode: number;
  /** Presentation form. */
  readonly name: string;
  readonly type: number;
  /** `read udp …: i/o timeout`. */
  readonly text: string;
}

export interface ErrorsLog {
  failed(failure: QueryFailure): void;
  /** Writes the summaries that are due later, now; failures after it are lines of their own. */
  stop(): void;
}

interface ErrorsLogOutside {
  readonly log: Log;
  readonly clock: Clock;
}

/** What has matched one pattern since its period began. */
interface Consolidation {
  readonly config: ConsolidateConfig;
  count: number;
  summary: Timer | null;
}

/** The log of one block. Throws an Error when there are more patterns than limits.ts allows. */
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
    // A single failure that was shown when it came needs no summary.
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
