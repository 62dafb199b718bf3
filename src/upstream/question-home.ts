/**
 * What a question is given by the `forward` that asks it: settings, upstreams, budget. Types only.
 */
import type { Answer, Outcome, Request } from './ask.js';
import type { AgainBudget } from './budget.js';
import type { UpstreamDeps } from './place.js';
import type { Question } from './question.js';
import type { RoundsSettings } from './rounds.js';
import type { Upstream, UpstreamTransport } from './upstream.js';

export interface QuestionSettings extends RoundsSettings {
  readonly transport: 'client' | UpstreamTransport;
  /** From when it was asked until it has failed where all that were asked have been silent altogether. */
  readonly deadlineMs: number;
  /** The same while one of them answers other questions. */
  readonly slowDeadlineMs: number;
  /** 0: twice the number of upstreams, and no less than three. */
  readonly connectAttemptsMax: number;
  readonly failover: readonly number[];
}

/** The `forward` that asks. */
export interface QuestionHome {
  readonly settings: QuestionSettings;
  readonly deps: UpstreamDeps;
  readonly budget: AgainBudget;
  /** The question is over: it leaves the table. */
  finished(question: Question): void;
  /** It has failed, and takes the answer that may still come: it is swept until it says `lateEnded`. */
  staysForLate(question: Question): void;
  lateEnded(question: Question): void;
}

export interface Asked {
  readonly request: Request;
  readonly askedAtMs: number;
  /** At least one; not changed while the question lives. Those given come first, then those learned. */
  readonly upstreams: readonly Upstream[];
  /** How many of them were learned. */
  readonly learned: number;
  /** How many questions were asked before it: where round_robin begins. */
  readonly number: number;
  readonly done: (outcome: Outcome) => void;
  /** Wants the answer that comes after `done` was told of a failure; null: nobody does. */
  readonly late: ((answer: Answer) => void) | null;
}
