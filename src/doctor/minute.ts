/**
 * The doctor in the serving process: once a minute it runs the cheap checks, one after the other, and says what began and
 * what ended. Nobody waits for it: a check that takes too long is left behind, and the next run begins only when the last is
 * over. Its result is a metric with a fixed list of codes, so that a cluster sees its faults without asking each node.
 */
import { doctorCheckMs, doctorFirstMs, doctorPeriodMs } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Check, DoctorOutsides, Finding } from './check.js';

/** The codes of the metric: faults that an operator can repair, and that end then. What is a matter of taste or of size is left out. */
export const watchedCodes = [
  'placeholder',
  'wrong-cluster-ip',
  'local-address',
  'mode',
  'iptables-unused',
  'notrack-unused',
  'nobody-asks',
  'link-down',
  'stub-resolver',
  'conntrack-full',
  'insert-failed',
  'queue-full',
  'softnet-drops',
  'ipvs-reuse',
  'ipvs-conntrack',
  'ipvs-expire',
  'memory',
  'reload-refused',
  'duplicate',
] as const;

interface MinuteDeps {
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn' | 'info' | 'error'>;
  readonly checks: readonly Check[];
  readonly codes: readonly string[];
  /** With the facts of now; null: this instance does not serve, so there is nothing to look at. */
  outsides(): DoctorOutsides | null;
  /** A check threw, which is a bug. */
  panicked(): void;
}

export interface MinuteRun {
  /** By code: whether its last finding was a warning or a failure. Every code is there from the start. */
  readonly failed: ReadonlyMap<string, boolean>;
  /** Of the last run; null before the first, and while another instance serves. */
  readonly findings: readonly Finding[] | null;
  stop(): void;
}

export function startMinuteRun(deps: MinuteDeps): MinuteRun {
  const { clock } = deps;
  const cheap = deps.checks.filter(({ isCheap }) => isCheap);
  const failed = new Map(deps.codes.map((code) => [code, false]));
  let findings: readonly Finding[] | null = null;
  let isStopped = false;
  let timer: Timer = clock.after(doctorFirstMs, () => void run());

  async function run(): Promise<void> {
    const outsides = deps.outsides();
    const found: Finding[] = [];
    for (const check of outsides === null ? [] : cheap) {
      found.push(...(await bounded(check, outsides!)));
      if (isStopped) return;
    }
    findings = outsides === null ? null : found;
    // Another instance serves this node, and its doctor speaks for it.
    if (outsides === null) for (const code of deps.codes) failed.set(code, false);
    else for (const code of deps.codes) note(code, found);
    timer = clock.after(doctorPeriodMs, () => void run());
  }

  async function bounded(check: Check, outsides: DoctorOutsides): Promise<readonly Finding[]> {
    let late: Timer | null = null;
    const tooLate = new Promise<readonly Finding[]>((resolve) => {
      late = clock.after(doctorCheckMs, () => resolve([]));
    });
    try {
      return await Promise.race([check.run(outsides), tooLate]);
    } catch (error) {
      deps.panicked();
      deps.log.error(`doctor: the check of ${check.about} failed`, { error: String((error as Error).stack) });
      return [];
    } finally {
      late!.stop();
    }
  }

  /** What could not be looked at is neither well nor ill: it leaves the last state. */
  function note(code: string, found: readonly Finding[]): void {
    const ofCode = found.filter((each) => each.code === code && each.verdict !== 'skipped');
    if (ofCode.length === 0) return;
    const worst = ofCode.find(isFault);
    const was = failed.get(code) === true;
    failed.set(code, worst !== undefined);
    if (worst !== undefined && !was) deps.log.warn(`doctor: ${code}: ${worst.seen}`, { meaning: worst.meaning });
    if (worst === undefined && was) deps.log.info(`doctor: ${code}: over: ${ofCode[0].seen}`);
  }

  return {
    failed,
    get findings() {
      return findings;
    },
    stop() {
      isStopped = true;
      timer.stop();
    },
  };
}

export function isFault({ verdict }: Pick<Finding, 'verdict'>): boolean {
  return verdict === 'warn' || verdict === 'fail';
}
