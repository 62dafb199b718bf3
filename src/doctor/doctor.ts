/**
 * One run of the doctor: the checks in their order, some at a time, within a time and a number of questions. A check that
 * throws, or is not done in time, is reported as not looked at; the others go on.
 */
import { doctorChecksAtOnce, doctorQuestionsMax, doctorRunMs } from '../limits.js';
import type { Check, DoctorOutsides, Finding, Verdict } from './check.js';
import { explainedFindings } from './explained.js';
import { skippedFinding } from './found.js';
import { countedNetwork, QuestionBudget } from './question-budget.js';

export interface DoctorReport {
  /** Worst first, otherwise in the order of the checks. */
  readonly findings: readonly Finding[];
  /** Wall clock. */
  readonly startedAtMs: number;
  readonly tookMs: number;
  /** Questions sent. */
  readonly questions: number;
}

interface DoctorRun {
  readonly checks: readonly Check[];
  readonly outsides: DoctorOutsides;
  /** `3 of 21: endpoints of the cluster DNS`, as checks begin. */
  progress(text: string): void;
}

/** The code of what a run could not look at because of itself: a bug, or the time was over. */
export const notLookedAt = 'not-looked-at';

/** Never rejects. */
export async function runDoctor({ checks, outsides, progress }: DoctorRun): Promise<DoctorReport> {
  const { clock } = outsides;
  const startedMs = clock.nowMs();
  const startedAtMs = clock.wallMs();
  const budget = new QuestionBudget(doctorQuestionsMax);
  const bounded: DoctorOutsides = Object.assign({}, outsides, {
    network: countedNetwork(outsides.network, budget),
    questionsLeft: () => budget.left,
  });
  const isOver = new Promise<null>((resolve) => clock.after(doctorRunMs, () => resolve(null)));
  const found: (readonly Finding[])[] = checks.map(() => []);
  let next = 0;

  async function work(): Promise<void> {
    while (next < checks.length) {
      const at = next++;
      progress(`${at + 1} of ${checks.length}: ${checks[at].about}`);
      found[at] = await runCheck(checks[at], bounded, isOver);
    }
  }

  await Promise.all(Array.from({ length: doctorChecksAtOnce }, work));
  const findings = await explainedOrNot(bounded, found.flat(), isOver);
  return {
    findings: worstFirst(findings),
    startedAtMs,
    tookMs: clock.nowMs() - startedMs,
    questions: doctorQuestionsMax - budget.left,
  };
}

async function runCheck(check: Check, outsides: DoctorOutsides, isOver: Promise<null>): Promise<readonly Finding[]> {
  try {
    const findings = await Promise.race([check.run(outsides), isOver]);
    const why = `${check.about}: not done within ${doctorRunMs / 1_000} s`;
    return findings ?? [skippedFinding(notLookedAt, why)];
  } catch (error) {
    return [skippedFinding(notLookedAt, `${check.about}: ${(error as Error).message}`)];
  }
}

async function explainedOrNot(
  outsides: DoctorOutsides,
  findings: readonly Finding[],
  isOver: Promise<null>,
): Promise<readonly Finding[]> {
  try {
    return await explainedFindings(outsides, findings, isOver);
  } catch {
    return findings;
  }
}

const worseness: readonly Verdict[] = ['fail', 'warn', 'info', 'ok', 'skipped'];

function worstFirst(findings: readonly Finding[]): Finding[] {
  return worseness.flatMap((verdict) => findings.filter((finding) => finding.verdict === verdict));
}

/** `fail`, `warn` or `ok`: what the report as a whole says. */
export function verdictOfAll(findings: readonly Finding[]): 'ok' | 'warn' | 'fail' {
  if (findings.some(({ verdict }) => verdict === 'fail')) return 'fail';
  return findings.some(({ verdict }) => verdict === 'warn') ? 'warn' : 'ok';
}

/** 0 without a fault, 1 with warnings, 2 with failures. */
export function exitCodeOf(findings: readonly Finding[]): 0 | 1 | 2 {
  return ({ ok: 0, warn: 1, fail: 2 } as const)[verdictOfAll(findings)];
}
