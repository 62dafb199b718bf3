/**
 * How one server block gets what it does not have, declared by its user, the waiting half: who judges a query before
 * everything else, what is made or asked in its place, whom it asks, what it keeps.
 *
 * Guards stand before the cache, and may end a query there: zones that have such are deferred by the answering lanes, so
 * that only the control lane looks at them. Courses stand behind it: what is made or asked in the place of a client's
 * question, what is asked after that, and what becomes of the answer before it is kept under the client's question. Only
 * blocks with directives that change questions have courses, only misses set out on them, and only those that a rule is about.
 *
 *     client's question ─> changers, in order ─> made or asked ─> next? ─> … ─> changes ─> kept, given to the client
 */
import type { Kind } from '../cache/blocks.js';
import type { AccessRule } from '../config/config.js';
import type { Answerer } from '../counters.js';
import type { ExtendedError } from '../dns/answer.js';
import type { AnswerOrder, Changes, Normaliser } from '../dns/normalise.js';
import { encodeOptions } from '../dns/options.js';
import { Query, questionForType, questionOf } from '../dns/query.js';
import { typeA, typeAaaa, u16 } from '../dns/wire.js';
import { requestOptionsBytesMax } from '../limits.js';
import type { Client } from '../listen/client.js';
import type { Ask, Outcome, Request } from '../upstream/ask.js';
import type { KeepPolicy } from './cacheability.js';
import type { Lane } from './lane.js';
import type { QueryLogRecord } from './query-log-record.js';
import { aaaaSmart, type ServedZone, type ZoneTable, zoneOfQuestion } from './zones.js';

/** A question for which something of the block may have the answer. */
export interface MakeQuery {
  readonly id: number;
  /** The flags word of the query's header. */
  readonly flags: number;
  /** Name, type and class in wire form, uncompressed, in the client's spelling. */
  readonly question: Uint8Array;
  /** The client's address, without the port. */
  readonly remote: string;
}

/** An `Ask` in the name of a client; its `reply` is not called. */
export type LookUp = (request: Request, client: Client, done: (outcome: Outcome) => void) => void;

export interface Route {
  /** Judges the packet that the lane has read before anything else does; null: everybody may ask anything. */
  readonly guard: ((packet: Uint8Array, lane: Lane, asker: Client) => Verdict) | null;
  readonly ask: Ask;
  /** `ask` asks by questions of ours. */
  readonly asksOurselves: boolean;
  /** Asks the whole server, as this client of the same listener would. */
  readonly lookUp: LookUp;
  /** What the rules say of a name that is asked in the place of a client's; null: there are no rules on this listener. */
  readonly judge: ((query: AccessQuery & Pick<ServedZone, 'block'>) => AccessRule['action']) | null;
  /** Null: the block has no cache. */
  readonly keep: KeepRoute | null;
  /** In which order answers are kept. */
  readonly order: AnswerOrder;
  /** What positive answers keep (`minimal`). */
  readonly sections: 'all' | 'answer';
  /** What a miss makes or asks in the place of its question; null: the block has nothing that changes questions. */
  readonly plan: PlanCourse | null;
  /** Makes an answer to a question of this zone; null: the block has nothing that makes answers. */
  readonly make: ((query: MakeQuery, zone: ServedZone, asker: Client) => Made) | null;
  /** Tells the query log and dnstap's collectors; borrows the facts. Null: the block has neither. */
  readonly logQuery: ((facts: QueryLogRecord) => void) | null;
  /** A question ended without an answer that clients could get: for the errors log. */
  failed(question: Uint8Array, rcode: number, text: string): void;
}

export type Made =
  | {
      readonly kind: 'message';
      readonly message: Uint8Array;
      /** Who made it, for the metrics. */
      readonly by: Answerer;
      /** Goes with the answer to clients with EDNS (RFC 8914); an answer that has one is not kept. */
      readonly extendedError: { readonly code: number; readonly text: string } | null;
      /** What its alias leads to: the whole server is asked, and the answer put behind it. */
      readonly follow: Uint8Array | null;
      /** It says something of the one who asked: no denial, and nothing to be kept for others. */
      readonly isForAskerAlone?: true;
    }
  /** It is somebody else's; the next in line is asked. */
  | { readonly kind: 'next' }
  | { readonly kind: 'servfail'; readonly text: string };

export interface KeepRoute {
  readonly policy: KeepPolicy;
  /** How long clients wait while a stale answer is at hand; Infinity is until the upstream fails. */
  readonly patienceMs: number;
  /** After a failed refresh the upstream is not asked again for this long. */
  readonly recheckMs: number;
  /** A positive answer, even past its expiry, is not replaced by a negative one while it may be used. */
  readonly preferPositive: boolean;
  /** Whether answers of this kind to this question are kept (`disable`). */
  keeps(kind: Kind, question: Uint8Array): boolean;
}

export type Verdict =
  /** It may go on. */
  | { readonly kind: 'pass' }
  /** It gets no answer. */
  | { readonly kind: 'drop' }
  /** It gets this answer, a whole message to it without an OPT. */
  | { readonly kind: 'message'; readonly message: Uint8Array; readonly by: Answerer }
  /** It gets this rcode and no records. */
  | {
      readonly kind: 'empty';
      readonly rcode: number;
      readonly extendedError: ExtendedError;
      /** Who says so, for the metrics. */
      readonly by: Answerer;
    };

/** A query to be judged. */
export interface GuardQuery extends MakeQuery {
  /** Place of its zone and server in the counters. */
  readonly ordinal: number;
}

/** A name and type that is asked for in the place of a client's, or after it. */
export type AccessQuery = Pick<GuardQuery, 'question' | 'remote' | 'ordinal'>;

export type Guard = (query: GuardQuery) => Verdict;

const passes: Verdict = { kind: 'pass' };

/** Judges the packet that the lane has read, in its zone; null when the block has nothing that would. */
export function guardFrom(
  atWork: readonly PluginAtWork[],
): ((packet: Uint8Array, lane: Lane, asker: Client) => Verdict) | null {
  const guards = atWork.flatMap(({ guard }) => guard ?? []);
  if (guards.length === 0) return null;
  const aboutAddresses = atWork.flatMap(({ guard, judge }) =>
    guard === undefined || judge === undefined ? [] : guard,
  );
  return (packet, lane, asker) => {
    const query: GuardQuery = {
      id: u16(packet, 0),
      flags: lane.query.flags,
      question: questionOf(packet, lane.query),
      remote: asker.remote.address,
      ordinal: lane.zone!.ordinal,
    };
    for (const guard of guards) {
      const verdict = guard(query);
      if (verdict.kind !== 'pass') return verdict;
    }
    if (lane.query.type !== typeAaaa || lane.zone!.aaaa !== aaaaSmart) return passes;
    // The answer to AAAA says whether the name has an A.
    const forA = { ...query, question: questionForType(packet, lane.query, typeA) };
    for (const guard of aboutAddresses) {
      const verdict = guard(forA);
      if (verdict.kind !== 'pass') return verdict;
    }
    return passes;
  };
}

/**
 * What a plugin does in one server block, each part at its place on a query's way: `guard` before the cache is looked at;
 * `changer`, `maker` and `translate` on a miss; `order` and `sections` when the answer is cached.
 */
export interface PluginAtWork {
  readonly guard?: Guard | undefined;
  /** What access rules say of a name that is asked in place of a client's. */
  judge?(query: AccessQuery): AccessRule['action'];
  readonly changer?: Changer | undefined;
  readonly maker?: Maker | undefined;
  /** Its answers hold for one client alone, also where others get translated answers. */
  readonly isForClientAlone?: true;
  readonly order?: AnswerOrder;
  readonly sections?: Route['sections'];
  /** The route of clients for which AAAA answers are made of A records. */
  translate?(route: Route, within: Ask, normaliser: Normaliser): Route;
  /** What the same settings, put to work again, begin with. */
  prepared?(): unknown;
  /** Names that may have another answer than the same plugin gave before a reload; null: none. */
  differsFrom?(before: PluginAtWork): ((name: string) => boolean) | null;
  stop?(): void;
}

/** Makes an answer to a question, or leaves it to the next plugin. */
export type Maker = (query: MakeQuery, client: Client) => Made;

/** A query that may need a course. */
export interface CourseQuery extends MakeQuery {
  /** Borrowed until the call returns. */
  readonly packet: Uint8Array;
  readonly asker: Client;
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

/** Null: the question is asked as it is. */
export type PlanCourse = (query: CourseQuery) => Course | { readonly failure: string } | null;

/** What plans courses for a block; null when it has nothing that changes questions. */
export function planFrom(atWork: readonly PluginAtWork[]): PlanCourse | null {
  const inOrder = atWork.flatMap(({ changer }) => changer ?? []);
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

/**
 * Judges names that are asked in the place of a client's, by the rules of the block that asks and of the block that serves
 * the name in this table; null where nobody there has rules.
 */
export function judgeIn(table: ZoneTable, atWork: (block: number) => readonly PluginAtWork[]): Route['judge'] {
  const judges = new Map(
    table.byBytes.flat().map(({ block }) => [block, atWork(block).filter(({ judge }) => judge !== undefined)]),
  );
  if ([...judges.values()].every((each) => each.length === 0)) return null;
  const read = new Query();
  return (query) => {
    const home = zoneOfQuestion(table, query.question, read);
    for (const one of new Set([query.block, home?.block ?? query.block].flatMap((block) => judges.get(block) ?? []))) {
      const action = one.judge!(query);
      if (action !== 'allow') return action;
    }
    return 'allow';
  };
}
