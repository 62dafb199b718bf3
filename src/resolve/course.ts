/**
 * What is made or asked behind the cache in the place of a client's question, what is asked after that, and what
 * becomes of the answer before it is kept under the client's question. Only blocks with directives that change
 * questions have courses, only misses set out on them, and only those that a rule is about.
 *
 *     client's question ─> changers, in order ─> made or asked ─> next? ─> … ─> changes ─> kept, given to the client
 */
import type { Changes } from '../dns/normalise.js';
import { encodeOptions } from '../dns/options.js';
import { flagRd } from '../dns/wire.js';
import { requestOptionsBytesMax } from '../limits.js';
import type { Asker } from '../listen/asker.js';
import type { Outcome } from '../upstream/ask.js';
import { inPluginOrder } from './plugin-order.js';
import type { MakeQuery } from './route.js';

/** A query that may need a course. */
export interface CourseQuery extends MakeQuery {
  /** Borrowed until the call returns. */
  readonly packet: Uint8Array;
  readonly asker: Asker;
  /** Place of its zone and server in the counters. */
  readonly ordinal: number;
}

export interface Course {
  /** Made or asked first. */
  readonly question: Uint8Array;
  /** Of every request; null: as the client asked. */
  readonly recursionDesired: boolean | null;
  /** What goes with every request. */
  readonly options: Uint8Array | undefined;
  /** What is asked next, and what the answer is in the end; null: the first outcome is it. */
  readonly next: Next | null;
  /** What becomes of the answer; null: nothing. */
  readonly changes: Changes | null;
  /**
   * Who may get the same: what may depend on who asks is neither joined nor kept. `unscoped`: kept where the upstream
   * says that it holds for every network (RFC 7871 7.3.1).
   */
  readonly holdsFor: 'everybody' | 'asker' | 'unscoped';
}

/** What to do with an outcome, which is borrowed until it returns. */
export type Next = (outcome: Outcome) => Step;

export type Step =
  /** `ask`: in this block; `lookUp`: of the whole server, as a client would. */
  | { readonly kind: 'ask' | 'lookUp'; readonly question: Uint8Array }
  /** `isForNow`: it is not kept, as the next try may have better luck. */
  | { readonly kind: 'end'; readonly outcome: Outcome; readonly isForNow?: true };

/** A course as it takes shape; each changer sees what those before it have made of it. */
export interface Draft {
  /** Name, type and class in wire form. */
  question: Uint8Array;
  readonly options: Map<number, Uint8Array>;
  recursionDesired: Course['recursionDesired'];
  owner: Changes['owner'];
  value: Changes['value'];
  ttlSeconds: Changes['ttlSeconds'];
  rcode: Changes['rcode'];
  holdsFor: Course['holdsFor'];
  /** Asked in turn: the outcome of the last is the first one's. */
  readonly next: Next[];
}

/** Changes the draft as the query needs it. Gives a sentence when there is no way to answer. */
export type Changer = (draft: Draft, query: CourseQuery) => string | null;

/** What `header` does to what is asked; undefined where that is nothing. */
export function recursionChanger(wanted: boolean | null): Changer | undefined {
  if (wanted === null) return undefined;
  return (draft, { flags }) => {
    if (wanted !== ((flags & flagRd) !== 0)) draft.recursionDesired = wanted;
    return null;
  };
}

/** What a block has of those who change questions. */
export type Changers = { readonly [Name in 'rewrite' | 'header' | 'autopath']?: Changer | undefined };

/** Null: the question is asked as it is. */
export type PlanCourse = (query: CourseQuery) => Course | { readonly failure: string } | null;

/** What plans courses for a block; null when it has nothing that changes questions. */
export function planFrom(changers: Changers): PlanCourse | null {
  const inOrder = inPluginOrder(changers);
  if (inOrder.length === 0) return null;
  return (query) => {
    const draft = newDraft(query.question);
    for (const changer of inOrder) {
      const failure = changer(draft, query);
      if (failure !== null) return { failure };
    }
    return finished(draft, query.question);
  };
}

export function newDraft(question: Uint8Array): Draft {
  return {
    question,
    options: new Map(),
    recursionDesired: null,
    owner: null,
    value: null,
    ttlSeconds: null,
    rcode: null,
    holdsFor: 'everybody',
    next: [],
  };
}

function finished(draft: Draft, asked: Uint8Array): Course | null {
  const { question, recursionDesired, owner, value, ttlSeconds, rcode, holdsFor } = draft;
  const isOther = question !== asked || owner !== null || value !== null || ttlSeconds !== null || rcode !== null;
  const options = optionsOf(draft);
  const isAskedOtherwise = options !== undefined || recursionDesired !== null || draft.next.length > 0;
  if (!isOther && !isAskedOtherwise && holdsFor === 'everybody') return null;
  return {
    question,
    recursionDesired,
    options,
    next: inTurn(draft.next),
    changes: isOther ? { question: asked, owner, value, ttlSeconds, rcode } : null,
    holdsFor,
  };
}

/** Of more options than a request has room for, none is sent. */
function optionsOf({ options }: Draft): Uint8Array | undefined {
  if (options.size === 0) return undefined;
  const bytes = encodeOptions(options);
  return bytes.length > requestOptionsBytesMax ? undefined : bytes;
}

/** One after the other, as the directives stand behind each other: the last to change the question hears first. */
function inTurn(all: readonly Next[]): Next | null {
  if (all.length < 2) return all[0] ?? null;
  let index = all.length - 1;
  return (first) => {
    let end: Extract<Step, { kind: 'end' }> = { kind: 'end', outcome: first };
    for (; index >= 0; index--) {
      const step = all[index](end.outcome);
      if (step.kind !== 'end') return step;
      end = end.isForNow ? { ...step, isForNow: true } : step;
    }
    return end;
  };
}
