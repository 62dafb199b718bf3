/**
 * Queries of our own for a client: answered from the cache, made here, or asked upstream together with identical ones.
 * They are neither counted nor logged, use the client's deadline, and obey its access rules. A chain of them has one
 * client, one deadline and one maximum length.
 */
import { keyCheckingDisabled, keyDnssecOk } from '../cache/blocks.js';
import { answerers, byForward, overTcp, overUdp, type Transport } from '../counters.js';
import { typeName, wireToName } from '../dns/names.js';
import { optionOf } from '../dns/options.js';
import { ownQuery } from '../dns/own-queries.js';
import { readQuery } from '../dns/query.js';
import { withAliasAnswer } from '../dns/sections.js';
import {
  copyOf,
  messageRcode,
  optionExtendedError,
  rcodeNoError,
  rcodeNxDomain,
  rcodeRefused,
  typeAaaa,
  u16,
} from '../dns/wire.js';
import { subquestionsMax } from '../limits.js';
import type { Client } from '../listen/client.js';
import type { Clock } from '../os/clock.js';
import type { Ask, FailedOutcome, Outcome, Request } from '../upstream/ask.js';
import { answerCached, deferred, rcodeForAaaa } from './fast-path.js';
import type { OwnWaiter, Pending } from './pending.js';
import { finalFailures, type MadeSource } from './respond.js';
import type { LookUp, Made, Next, Route } from './route.js';
import { circularText, edeStale, edeStaleNxdomain, extendedErrorOf, type WorkerContext } from './worker-context.js';
import { aaaaForward, type CachePolicy, findZone, type ServedZone, type ZoneTable, zoneOfClient } from './zones.js';

interface SubqueryDeps {
  readonly context: WorkerContext;
  readonly clock: Clock;
  readonly misses: {
    waitForSubquery(packet: Uint8Array, client: Client, subquery: Subquery): void;
    refresh(packet: Uint8Array, client: Client, nowMs: number): void;
  };
  readonly routes: Pick<WeakMap<ServedZone, Route>, 'get'>;
}

const nowhere = { address: '', port: 0 };

/** Asks in this zone. The outcome comes in a later turn: a whole answer with its TTLs counted down. */
export function subqueryIn(deps: SubqueryDeps, zone: ServedZone): Ask {
  const { context, routes } = deps;
  return (request, done) => {
    const client = { remote: { address: request.client ?? '', port: 0 }, local: nowhere };
    const asking = queryFor(request, client, done, context);
    context.zone = zone;
    const { ordinal, block } = zone;
    const asked = { question: request.question, remote: client.remote.address, ordinal, block };
    const action = routes.get(zone)!.judge?.(asked) ?? 'allow';
    if (action !== 'allow') return asking.ours.failed(action);
    // The result replaces a stale answer, so it must not be made of one itself.
    answer(deps, asking, request, zone.cache === null ? null : { ...zone.cache, staleAtOnce: false });
  };
}

/**
 * Asks like a client of this table's listener: in the name's own zone, with its guards, policies, cache and upstreams.
 */
export function lookUpIn(deps: SubqueryDeps, table: ZoneTable): LookUp {
  const { context, routes } = deps;
  return (request, from, done) => {
    const asking = queryFor(request, from, done, context);
    const { packet, client, ours } = asking;
    const zone = findZone(table, packet, context.query);
    if (zone === null) return ours.failed('nobody');
    context.zone = zoneOfClient(zone, context.query, context.family);
    const verdict = routes.get(zone)!.guard?.(packet, context, client) ?? { kind: 'pass' };
    if (verdict.kind === 'drop') return ours.failed('drop');
    if (verdict.kind === 'empty') return ours.failed(verdict.rcode === rcodeRefused ? 'block' : 'filter');
    if (verdict.kind === 'message') return ours.answered(verdict.message, true);
    answer(deps, asking, request, context.zone.cache);
  };
}

type Asking = ReturnType<typeof queryFor>;

/** Afterwards the context has read the packet. */
function queryFor(
  request: Request,
  { remote, local }: Pick<Client, 'remote' | 'local'>,
  done: (outcome: Outcome) => void,
  context: WorkerContext,
): { packet: Uint8Array; client: Client; ours: OwnWaiter } {
  const packet = ownQuery(request);
  const transport = request.clientTransport === 'tcp' ? overTcp : overUdp;
  readQuery(packet, packet.length, context.query);
  context.family = remote.address.includes(':') ? 1 : 0;
  context.transport = overTcp;
  return { packet, client: { transport, remote, local, reply() {} }, ours: waiterFor(request, done) };
}

/** `done` is called in a later turn: the code that answers is in the middle of something. */
function waiterFor({ question }: Request, done: (outcome: Outcome) => void): OwnWaiter {
  return {
    answered(answer, mayKeep) {
      const message = copyOf(answer, 0, answer.length);
      queueMicrotask(() => done({ ok: true, message, from: '', mayKeep, isStale: saysStale(message) }));
    },
    failed(why) {
      const asked = `${wireToName(question, 0)} ${typeName(u16(question, question.length - 4))}`;
      const text = why === 'circular' ? circularText : `${asked}, the next name in the chain, got no answer (${why})`;
      queueMicrotask(() => done({ ok: false, why, text }));
    },
  };
}

/** Answers the query that the context has read, at once or when its answer is there. */
function answer(
  { context, clock, misses }: SubqueryDeps,
  { packet, client, ours }: Asking,
  request: Request,
  policy: CachePolicy | null,
): void {
  const nowMs = clock.nowMs();
  context.refreshDue = false;
  const bytes = answerKnown(context, policy, packet, nowMs);
  if (bytes === deferred) {
    const { askedAtMs = nowMs, depth = 0 } = request;
    return misses.waitForSubquery(packet, client, { askedAtMs, depth, ours });
  }
  ours.answered(context.written(bytes), context.block === 0 || nowMs < context.blocks.expiresAtMs(context.block));
  if (context.refreshDue) misses.refresh(packet, client, nowMs);
}

/** Sets the context's block; 0: the answer is from none. */
function answerKnown(context: WorkerContext, policy: CachePolicy | null, packet: Uint8Array, nowMs: number): number {
  const zone = context.zone!;
  context.block = 0;
  if (context.query.type === typeAaaa && zone.aaaa !== aaaaForward) {
    const rcode = rcodeForAaaa(context, packet, zone, nowMs);
    return rcode < 0 ? deferred : context.answerDenial(packet, zone, rcode);
  }
  return policy === null ? deferred : answerCached(context, policy, packet, nowMs);
}

function saysStale(message: Uint8Array): boolean {
  const error = optionOf(message, optionExtendedError);
  const code = error === null ? 0 : u16(error, 0);
  return code === edeStale.code || code === edeStaleNxdomain.code;
}

export interface Chase {
  /** Why access rules refuse this question; null: they allow it. */
  judge(question: Uint8Array): FailedOutcome | null;
  make(question: Uint8Array): Made | null;
  /** `done` is called once, never before the call has returned. */
  ask(question: Uint8Array, done: (outcome: Outcome) => void): void;
  /** The same of the whole server. */
  lookUp(question: Uint8Array, done: (outcome: Outcome) => void): void;
  readonly next: Next | null;
}

/** `made` is null for an upstream's outcome. The outcome is borrowed until it returns. */
export type Done = (outcome: Outcome, made: MadeSource | null) => void;

/** Makes or asks the question, and what its answers lead to, until there is one outcome. */
export function followUp(chase: Chase, question: Uint8Array, done: Done): void {
  const goOn: Done = (outcome, source) => {
    const step = chase.next === null ? null : chase.next(outcome);
    if (step === null) return done(outcome, source);
    if (step.kind === 'end') return done(step.outcome, step.isForNow ? forNow(source) : source);
    if (step.kind === 'ask') return followUp(chase, step.question, done);
    chase.lookUp(step.question, (found) => goOn(found, null));
  };
  const refused = chase.judge(question);
  if (refused !== null) return goOn(refused, null);
  const made = chase.make(question);
  if (made === null || made.kind === 'next') chase.ask(question, (outcome) => goOn(outcome, null));
  else finishMade(made, chase.lookUp, goOn);
}

function forNow(source: MadeSource | null): MadeSource {
  return { extendedError: source?.extendedError ?? null, by: source?.by ?? byForward, mayKeep: false };
}

/** A made answer as an outcome, with the records of its alias's target if there are any: stub resolvers follow none. */
export function finishMade(made: Exclude<Made, { kind: 'next' }>, lookUp: Chase['lookUp'], done: Done): void {
  if (made.kind === 'servfail') return done({ ok: false, why: 'nobody', text: made.text }, null);
  const { message, by, follow, extendedError: error } = made;
  const extendedError = error === null ? null : extendedErrorOf(error.code, error.text);
  const from = answerers[by];
  if (follow === null)
    return done({ ok: true, message, from }, { extendedError, mayKeep: made.isForClientAlone !== true, by });
  lookUp(follow, (target) => {
    if (!target.ok && finalFailures.has(target.why)) return done(target, null);
    const isWhole = target.ok && isAnswered(target.message);
    const whole = isWhole ? withAliasAnswer(message, target.message) : message;
    done({ ok: true, message: whole, from }, { extendedError, mayKeep: isWhole && target.mayKeep !== false, by });
  });
}

/** Other rcodes than these are temporary failures. */
function isAnswered(message: Uint8Array): boolean {
  const rcode = messageRcode(message);
  return rcode === rcodeNoError || rcode === rcodeNxDomain;
}

export interface Subquery {
  readonly askedAtMs: number;
  /** The number of subqueries from the client's query to this one. */
  readonly depth: number;
  readonly ours: OwnWaiter;
}

export interface Origin {
  readonly client: Client;
  readonly transport: Transport;
}

/** Why access rules refuse the question; null: allowed. The client's own question has passed the guards already. */
export function judged(
  { route, zone, question: own }: Pending,
  question: Uint8Array,
  remote: string,
): FailedOutcome | null {
  if (route.judge === null || question === own) return null;
  const action = route.judge({ question, remote, ordinal: zone.ordinal, block: zone.block });
  return action === 'allow' ? null : { ok: false, why: action, text: `acl: ${action}` };
}

/** Asks the whole server for the target of an alias in an answer for `pending`; `done` is called in a later turn. */
export function lookUpFor(
  pending: Pending,
  question: Uint8Array,
  { client, transport }: Origin,
  done: (outcome: Outcome) => void,
): void {
  const { key, recursionDesired, startedAtMs, route } = pending;
  const depth = pending.depth + 1;
  if (depth > subquestionsMax) return queueMicrotask(() => done({ ok: false, why: 'circular', text: circularText }));
  pending.asksOurselves = true;
  const request = {
    question,
    recursionDesired,
    checkingDisabled: (key & keyCheckingDisabled) !== 0,
    dnssecOk: (key & keyDnssecOk) !== 0,
    clientTransport: transport === overTcp ? 'tcp' : 'udp',
    client: client.remote.address,
    askedAtMs: startedAtMs,
    depth,
  } as const;
  route.lookUp(request, client, done);
}

/**
 * Whether a subquery may wait for a question under way. Not for one that waits for a subquery itself: two that wait for
 * each other wait for ever. Not for a later one: it ends after the client's deadline.
 */
export function mayWaitFor(running: Pending, { startedAtMs }: Pending): boolean {
  return !running.asksOurselves && running.startedAtMs <= startedAtMs;
}
