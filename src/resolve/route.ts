/**
 * The hooks of one server block, as resolve/ calls them: access checks before the cache, query plans and made answers
 * on a miss, its upstreams, what it caches.
 *
 * Zones with guards are deferred to the main thread, which alone runs them. Only blocks with directives that change
 * queries have query plans, and only a miss that a rule matches gets one; the answer is cached under the client's
 * question.
 *
 *     client's question ─> changers, in order ─> made or asked ─> next? ─> … ─> changes ─> cached, sent to the client
 */
import type { AccessRule } from '../config/config.js';
import type { Answerer } from '../counters.js';
import type { ExtendedError } from '../dns/answer.js';
import type { AnswerOrder, Changes, Normaliser } from '../dns/normalise.js';
import { encodeOptions } from '../dns/options.js';
import { Query, questionForType, questionOf } from '../dns/query.js';
import {
  atAdditionals,
  atAnswers,
  atAuthorities,
  messageRcode,
  rcodeNoError,
  rcodeNxDomain,
  setU16,
  setU32,
  skipPlainName,
  typeA,
  typeAaaa,
  typeSoa,
  u16,
} from '../dns/wire.js';
import { headerBytes, requestOptionsBytesMax } from '../limits.js';
import type { Client } from '../listen/client.js';
import type { Ask, Outcome, Request } from '../upstream/ask.js';
import type { KeepRoute } from './cacheability.js';
import type { QueryLogRecord, WorkerContext } from './worker-context.js';
import { aaaaSmart, type ServedZone, type ZoneTable, zoneOfQuestion } from './zones.js';

export interface MakeQuery {
  readonly id: number;
  /** The flags word of the query's header. */
  readonly flags: number;
  /** Name, type and class in wire form, uncompressed, in the client's spelling. */
  readonly question: Uint8Array;
  /** The client's address, without the port. */
  readonly remote: string;
}

/** An `Ask` on behalf of a client; its `reply` is not called. */
export type LookUp = (request: Request, client: Client, done: (outcome: Outcome) => void) => void;

export interface Route {
  /** Checks the packet that the context has read, before anything else; null: every query passes. */
  readonly guard: ((packet: Uint8Array, context: WorkerContext, client: Client) => GuardVerdict) | null;
  readonly ask: Ask;
  /** `ask` uses subqueries. */
  readonly asksOurselves: boolean;
  /** Asks the whole server, as this client of the same listener would. */
  readonly lookUp: LookUp;
  /** The zone of this listener in which a question is answered; null: none. */
  homeOf(question: Uint8Array): ServedZone | null;
  /** What the access rules say about a name asked in place of a client's; null: the listener has no rules. */
  readonly judge: ((query: AccessQuery & Pick<ServedZone, 'block'>) => AccessRule['action']) | null;
  /** Null: the block has no cache. */
  readonly keep: KeepRoute | null;
  readonly order: AnswerOrder;
  /** The sections that positive answers keep (`minimal`). */
  readonly sections: 'all' | 'answer';
  /** Null: nothing in the block changes queries. */
  readonly plan: PlanQuery | null;
  /** Makes an answer for a question of this zone; null: nothing in the block makes answers. */
  readonly make: ((query: MakeQuery, zone: ServedZone, client: Client) => Made) | null;
  /** For the query log and dnstap; borrows the record. Null: the block has neither. */
  readonly logQuery: ((record: QueryLogRecord) => void) | null;
  /** For the errors log: no upstream's answer could be used. */
  failed(question: Uint8Array, rcode: number, text: string): void;
  /** Called once when the upstream `from` itself has answered with another rcode than NOERROR and NXDOMAIN. */
  readonly answeredBadly?: ((question: Uint8Array, rcode: number, from: string) => void) | undefined;
}

export type Made =
  | {
      readonly kind: 'message';
      readonly message: Uint8Array;
      readonly by: Answerer;
      /** For clients with EDNS (RFC 8914); an answer that has one is not cached. */
      readonly extendedError: { readonly code: number; readonly text: string } | null;
      /** The target of its alias: the whole server is asked, and the answer appended. */
      readonly follow: Uint8Array | null;
      /** It is about this client: no denial, and nothing to cache for others. */
      readonly isForClientAlone?: true;
    }
  /** Another maker, or the upstream, answers. */
  | { readonly kind: 'next' }
  | { readonly kind: 'servfail'; readonly text: string };

export type GuardVerdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'drop' }
  /** This answer: a whole message to the query, without an OPT. */
  | { readonly kind: 'message'; readonly message: Uint8Array; readonly by: Answerer }
  /** This rcode and no records. */
  | {
      readonly kind: 'empty';
      readonly rcode: number;
      readonly extendedError: ExtendedError;
      readonly by: Answerer;
    };

export interface GuardQuery extends MakeQuery {
  /** The place of its zone and server in the counters. */
  readonly ordinal: number;
}

/** A name and type that is asked in place of a client's, or after it. */
export type AccessQuery = Pick<GuardQuery, 'question' | 'remote' | 'ordinal'>;

export type Guard = (query: GuardQuery) => GuardVerdict;

const passes: GuardVerdict = { kind: 'pass' };

/** Checks the packet that the context has read, in its zone; null where no plugin has a guard. */
export function guardFrom(atWork: readonly PluginAtWork[]): Route['guard'] {
  const guards = atWork.flatMap(({ guard }) => guard ?? []);
  if (guards.length === 0) return null;
  const aboutAddresses = atWork.flatMap(({ guard, judge }) =>
    guard === undefined || judge === undefined ? [] : guard,
  );
  return (packet, context, client) => {
    const query: GuardQuery = {
      id: u16(packet, 0),
      flags: context.query.flags,
      question: questionOf(packet, context.query),
      remote: client.remote.address,
      ordinal: context.zone!.ordinal,
    };
    const verdict = verdictOf(guards, query);
    if (verdict !== passes || context.query.type !== typeAaaa || context.zone!.aaaa !== aaaaSmart) return verdict;
    // The answer to AAAA tells whether the name has an A.
    return verdictOf(aboutAddresses, { ...query, question: questionForType(packet, context.query, typeA) });
  };
}

function verdictOf(guards: readonly Guard[], query: GuardQuery): GuardVerdict {
  for (const guard of guards) {
    const verdict = guard(query);
    if (verdict.kind !== 'pass') return verdict;
  }
  return passes;
}

/**
 * What a plugin does in one server block, in the order of a query's way: `guard` before the cache; `changer`, `maker`
 * and `translate` on a miss; `order` and `sections` when the answer is cached.
 */
export interface PluginAtWork {
  readonly guard?: Guard | undefined;
  /** What access rules say about a name asked in place of a client's. */
  judge?(query: AccessQuery): AccessRule['action'];
  readonly changer?: Changer | undefined;
  readonly maker?: Maker | undefined;
  /** Its answers are for one client alone, also where others get translated answers. */
  readonly isForClientAlone?: true;
  readonly order?: AnswerOrder;
  readonly sections?: Route['sections'];
  /** The route of clients whose AAAA answers are made of A records. */
  translate?(route: Route, subquery: Ask, normaliser: Normaliser): Route;
  /** The state that the same settings start from when they are put to work again. */
  prepared?(): unknown;
  /** Names that may have another answer than the same plugin gave before a reload; null: none. */
  differsFrom?(before: PluginAtWork): ((name: string) => boolean) | null;
  stop?(): void;
}

export type Maker = (query: MakeQuery, client: Client) => Made;

export interface QueryToPlan extends GuardQuery {
  /** Borrowed until the call returns. */
  readonly packet: Uint8Array;
  readonly client: Client;
}

export interface QueryPlan {
  /** Made or asked first. */
  readonly question: Uint8Array;
  /** Of every request; null: the client's RD. */
  readonly recursionDesired: boolean | null;
  /** Of every request. */
  readonly options: Uint8Array | undefined;
  /** What to ask next, and the final answer; null: the first outcome is final. */
  readonly next: Next | null;
  /** Changes to the answer; null: none. */
  readonly changes: Changes | null;
  /** Only answers for all clients are joined and cached; `unscoped` ones if the upstream says so (RFC 7871 7.3.1). */
  readonly holdsFor: 'everybody' | 'client' | 'unscoped';
}

/** The next step after an outcome, which is borrowed until it returns. */
export type Next = (outcome: Outcome) => Step;

export type Step =
  /** `ask`: in this block; `lookUp`: of the whole server, as a client would. */
  | { readonly kind: 'ask' | 'lookUp'; readonly question: Uint8Array }
  /** `isForNow`: not cached, as the next attempt may succeed. */
  | { readonly kind: 'end'; readonly outcome: Outcome; readonly isForNow?: true };

/** A query plan in the making; each changer sees the work of those before it. */
export interface QueryPlanDraft {
  question: Uint8Array;
  readonly options: Map<number, Uint8Array>;
  recursionDesired: QueryPlan['recursionDesired'];
  owner: Changes['owner'];
  value: Changes['value'];
  ttlSeconds: Changes['ttlSeconds'];
  rcode: Changes['rcode'];
  holdsFor: QueryPlan['holdsFor'];
  /** The last one gets the first outcome. */
  readonly next: Next[];
}

/** Changes the draft; returns a sentence when the query cannot be answered. */
export type Changer = (draft: QueryPlanDraft, query: QueryToPlan) => string | null;

/** Null: the question is asked as it is. */
export type PlanQuery = (query: QueryToPlan) => QueryPlan | { readonly failure: string } | null;

/** The query planner of a block; null where no plugin has a changer. */
export function planFrom(atWork: readonly PluginAtWork[]): PlanQuery | null {
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

export function newDraft(question: Uint8Array): QueryPlanDraft {
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

function finished(draft: QueryPlanDraft, asked: Uint8Array): QueryPlan | null {
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

/** Options that do not fit into a request are all left out. */
function optionsOf({ options }: QueryPlanDraft): Uint8Array | undefined {
  if (options.size === 0) return undefined;
  const bytes = encodeOptions(options);
  return bytes.length > requestOptionsBytesMax ? undefined : bytes;
}

/** In reverse order of the directives: the last to change the question gets the outcome first. */
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
 * Checks names asked in place of a client's by the rules of the asking block and of the name's block; null: no rules.
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

export function makeFrom(atWork: readonly PluginAtWork[]): Route['make'] {
  const inOrder = atWork.flatMap(({ maker }) => maker ?? []);
  if (inOrder.length === 0) return null;
  return (query: MakeQuery, zone: ServedZone, client: Client): Made => {
    for (const maker of inOrder) {
      const made = maker(query, client);
      if (made.kind === 'next') continue;
      if (made.kind === 'servfail' || made.isForClientAlone) return made;
      return { ...made, message: deniable(made.message, zone) };
    }
    return { kind: 'next' };
  };
}

/** A denial without a SOA gets the zone's: otherwise neither we nor the client could cache it (RFC 2308 5). */
function deniable(message: Uint8Array, zone: ServedZone): Uint8Array {
  const rcode = messageRcode(message);
  const denies = rcode === rcodeNxDomain || rcode === rcodeNoError;
  const empty = u16(message, atAnswers) === 0 && u16(message, atAuthorities) === 0;
  return denies && empty ? withSoa(message, zone) : message;
}

/** The message with the zone's SOA as authority, and without additional records, which a denial does not need. */
function withSoa(message: Uint8Array, zone: ServedZone): Uint8Array {
  const { soa, ttlSeconds, zoneBytes } = zone.denial;
  // A zone that `cache` lists apart uses the SOA of the block's zone that it is in.
  const owner = zone.wire.subarray(zone.wire.length - zoneBytes);
  const end = skipPlainName(message, headerBytes, message.length) + 4;
  const whole = new Uint8Array(end + owner.length + 10 + soa.length);
  whole.set(message.subarray(0, end));
  whole.set(owner, end);
  const fixed = end + owner.length;
  setU16(whole, fixed, typeSoa);
  setU16(whole, fixed + 2, u16(message, end - 2));
  setU32(whole, fixed + 4, ttlSeconds);
  setU16(whole, fixed + 8, soa.length);
  whole.set(soa, fixed + 10);
  setU16(whole, atAuthorities, 1);
  setU16(whole, atAdditionals, 0);
  return whole;
}
