/**
 * Turns an outcome into answers: an upstream's message is normalised, cached once if it may be, and sent to all
 * waiters; a failure becomes a stale answer where there is one, else SERVFAIL. `respond` holds the decisions.
 */
import { type BlockRef, kindServfail, kindSuccess, onFailureOnly } from '../cache/blocks.js';
import type { Cache, Store } from '../cache/cache.js';
import { type Answerer, byAcl, byCache, byForward, overTcp, zonePlaces } from '../counters.js';
import type { ExtendedError } from '../dns/answer.js';
import { leaveFirst, leaveOnlyAnswers, Normaliser } from '../dns/normalise.js';
import { optionIn, optionOf } from '../dns/options.js';
import { readQuery } from '../dns/query.js';
import { optionSubnet, rcodeNoError, rcodeNxDomain, rcodeRefused, rcodeServFail } from '../dns/wire.js';
import { headerBytes, nameBytesMax } from '../limits.js';
import type { AnswerOrigin, Client } from '../listen/client.js';
import type { Clock } from '../os/clock.js';
import { toEach } from '../scheduling/each.js';
import type { Answer, Failure, Outcome } from '../upstream/ask.js';
import { type Kept, keeping, keepOf } from './cacheability.js';
import { denyAaaa } from './fast-path.js';
import type { Pending, Waiter } from './pending.js';
import type { QueryPlan, Route } from './route.js';
import {
  type AnswerWatch,
  edeBlocked,
  edeCircular,
  edeFiltered,
  edeNetworkError,
  edeNoReachableAuthority,
  edeStale,
  edeStaleNxdomain,
  queryLogRecordOf,
  type WorkerContext,
} from './worker-context.js';
import type { ServedZone } from './zones.js';

export interface RespondDeps {
  readonly clock: Clock;
  readonly context: WorkerContext;
  readonly cache: Cache;
  readonly routes: Pick<WeakMap<ServedZone, Route>, 'get'>;
  readonly answerWatch: AnswerWatch;
  /** The store for this zone's answers; null after a reload without the zone or its cache. */
  store(zone: ServedZone): Store | null;
}

/** The origin of an answer that was made here. */
export interface MadeSource {
  /** An answer that has one is not cached. */
  readonly extendedError: ExtendedError | null;
  /** False: for one client only, or the target of its alias is missing: better than nothing, now. */
  readonly mayKeep: boolean;
  readonly by: Answerer;
}

interface AnswerSource extends MadeSource {
  /** Null for an answer that was made here or cached. */
  readonly upstream: string | null;
  readonly origin: AnswerOrigin;
}

const known: AnswerSource = { upstream: null, by: byForward, extendedError: null, mayKeep: true, origin: 'hit' };

type StaleReason = 'staleOnFailure' | 'stalePatience';

type AskedFor = Pick<Pending, 'zone' | 'question' | 'key'>;

/** Failures that are neither temporary nor an upstream's: clients get them even where an answer is cached. */
export const finalFailures: ReadonlySet<Failure> = new Set<Failure>(['circular', 'block', 'filter', 'drop']);

export class Responder {
  readonly #deps: RespondDeps;
  readonly #normaliser: Normaliser;
  /** A packet with nothing but a question, for looking it up. */
  readonly #lookup = new Uint8Array(headerBytes + nameBytesMax + 4);

  constructor(deps: RespondDeps) {
    this.#deps = deps;
    this.#normaliser = new Normaliser(deps.cache.blocks.hashKey);
  }

  /** Sends every waiter of a question its answer, and caches what may be cached. */
  respond(pending: Pending, waiters: readonly Waiter[], outcome: Outcome, made: MadeSource | null): void {
    const { route, plan } = pending;
    if (!outcome.ok && finalFailures.has(outcome.why))
      return this.#respondFinal(pending, waiters, outcome.why, outcome.text);
    const changes = plan === null ? null : plan.changes;
    const isRead = outcome.ok && this.#normaliser.read(outcome.message, route.order, changes);
    const message = isRead ? this.#normaliser.out : null;
    if (outcome.ok && message === null) this.#deps.context.counters.count('answersRejectedMalformed');
    const rcode = message === null ? rcodeServFail : message.rcode;
    const isStale = outcome.ok && outcome.isStale === true;
    const good = (rcode === rcodeNoError || rcode === rcodeNxDomain) && !isStale;
    if (!good || (route.keep?.preferPositive && denies(this.#normaliser.out))) {
      const usable = this.findUsable(pending);
      const better = usable !== 0 && (!good || this.#deps.context.blocks.kind(usable) === kindSuccess);
      if (better) return this.#respondUsable(pending, waiters, usable);
    }
    if (message === null || rcode > 0x0f) {
      const why = outcome.ok ? 'malformed' : outcome.why;
      route.failed(pending.question, rcodeOf(why), outcome.ok ? unreadable(outcome.from, message) : outcome.text);
      return answerEach(waiters, (waiter) => this.sendFailure(waiter, why));
    }
    if (outcome.ok && !good && !isStale && made === null) route.answeredBadly?.(pending.question, rcode, outcome.from);
    if (route.sections === 'answer') leaveOnlyAnswers(message);
    const kept = route.keep === null ? null : keeping(message, route.keep.policy, this.#deps.clock.wallMs());
    const isForAll = plan === null || holdsForAll(plan, outcome);
    const isForNow = outcome.ok && outcome.mayKeep === false;
    const of = isStale ? staleSource(rcode, made) : made;
    const extendedError = of === null ? null : of.extendedError;
    const mayKeep = isForAll && !isForNow && (of === null || (of.mayKeep && extendedError === null));
    const upstream = made === null && outcome.ok && outcome.from !== '' ? outcome.from : null;
    const origin: AnswerOrigin = isStale ? 'stale' : made === null ? 'miss' : 'plugin';
    const source = { upstream, by: of === null ? byForward : of.by, extendedError, mayKeep, origin };
    const isCutToNothing = message.truncated && message.records === 0;
    const left = isCutToNothing ? this.#failOverTcp(pending, waiters) : waiters;
    const isKept = this.#sendKept(pending, left, mayKeep ? kept : null, source);
    if (!isKept && good && !isForNow && made?.mayKeep !== false) this.#supersede(pending, isForAll);
  }

  /** An answer cut to nothing refers the client to TCP: over TCP it is a failure. Returns the other waiters. */
  #failOverTcp(pending: Pending, waiters: readonly Waiter[]): readonly Waiter[] {
    const failed = waiters.filter(({ client }) => client.transport === overTcp);
    if (failed.length === 0) return waiters;
    const usable = this.findUsable(pending);
    if (usable !== 0) this.#respondUsable(pending, failed, usable);
    else {
      pending.route.failed(pending.question, rcodeServFail, 'the answer was truncated over UDP, and TCP got no answer');
      answerEach(failed, (waiter) => this.sendFailure(waiter, 'unreachable'));
    }
    return waiters.filter(({ client }) => client.transport !== overTcp);
  }

  /** The cached answer that may be used where the upstream has none: fresh, or stale where that is allowed; or 0. */
  findUsable({ zone, question, key }: AskedFor): BlockRef {
    if (zone.cache === null) return 0;
    const { blocks } = this.#deps.context;
    const ref = this.#find(zone, question, key);
    if (ref === 0 || blocks.kind(ref) === kindServfail) return 0;
    return this.#deps.clock.nowMs() < blocks.expiresAtMs(ref) + zone.cache.staleMaxMs ? ref : 0;
  }

  /** The same where the upstream is only slow: a stale denial is used on failure only. */
  findForStaleTimer(asked: AskedFor): BlockRef {
    const { blocks } = this.#deps.context;
    const ref = this.findUsable(asked);
    if (ref === 0 || this.#deps.clock.nowMs() < blocks.expiresAtMs(ref)) return ref;
    return blocks.kind(ref) === kindSuccess && blocks.recheckAtMs(ref) !== onFailureOnly ? ref : 0;
  }

  /** Whether an answer was cached after the question was asked. */
  hasNewer({ zone, question, key, startedAtMs }: Pending): boolean {
    const ref = this.#find(zone, question, key);
    return ref !== 0 && this.#deps.context.blocks.storedAtMs(ref) > startedAtMs;
  }

  #find({ zoneId }: ServedZone, question: Uint8Array, key: number): BlockRef {
    this.#lookup.set(question, headerBytes);
    return this.#deps.context.blocks.find(this.#lookup, headerBytes + question.length, zoneId, key);
  }

  /** Sends waiters the block, fresh or stale, that was found in this turn. */
  sendUsable(zone: ServedZone, waiters: readonly Waiter[], usable: BlockRef, reason: StaleReason): void {
    const { context, clock } = this.#deps;
    const { blocks, counters } = context;
    const nowMs = clock.nowMs();
    const isStale = nowMs >= blocks.expiresAtMs(usable);
    const { keepTtl, staleTtlSeconds } = zone.cache!;
    const ageSeconds = keepTtl ? 0 : Math.floor((nowMs - blocks.storedAtMs(usable)) / 1000);
    blocks.touch(usable, nowMs, 0);
    const source: AnswerSource = { ...known, mayKeep: !isStale, origin: isStale ? 'stale' : 'hit' };
    answerEach(waiters, (waiter) => {
      if (isStale) {
        counters.count(reason);
        counters.zones[counters.zoneBase(waiter.zone.ordinal) + zonePlaces.servedStale]++;
      }
      if (this.#begin(waiter, blocks.rcode(usable), source)) return;
      const bytes = isStale
        ? context.answerStale(waiter.packet, usable, staleTtlSeconds)
        : context.answerStored(waiter.packet, usable, ageSeconds, null);
      this.#send(waiter, bytes, source);
    });
  }

  /** SERVFAIL, REFUSED beyond max_concurrent as in CoreDNS, or a rule's answer; the reason is in the EDE (RFC 8914). */
  sendFailure(waiter: Waiter, why: Failure | 'no-room'): void {
    const { context } = this.#deps;
    if (waiter.ours !== null) return waiter.ours.failed(why === 'no-room' ? 'overloaded' : why);
    if (why === 'drop') return waiter.client.reply(null);
    const { extendedError = null, by = byForward } = failures[why] ?? {};
    const source: AnswerSource = { ...known, by, origin: by === byAcl ? 'plugin' : 'failure' };
    this.#begin(waiter, rcodeServFail, source);
    this.#send(waiter, context.answerEmpty(waiter.packet, rcodeOf(why), extendedError), source);
  }

  /** Logged once, for the name that the client asked for. */
  #respondFinal({ route, question, depth }: Pending, waiters: readonly Waiter[], why: Failure, text: string): void {
    if (why === 'circular' && depth === 0) route.failed(question, rcodeServFail, text);
    answerEach(waiters, (waiter) => this.sendFailure(waiter, why));
  }

  #respondUsable(pending: Pending, waiters: readonly Waiter[], usable: BlockRef): void {
    this.#deps.cache.refreshFailed(usable, this.#deps.clock.nowMs() + (pending.route.keep?.recheckMs ?? 0));
    this.sendUsable(pending.zone, waiters, usable, 'staleOnFailure');
  }

  /** Sends waiters the answer; returns whether it was cached. */
  #sendKept(pending: Pending, waiters: readonly Waiter[], kept: Kept | null, source: AnswerSource): boolean {
    const { context, cache, clock } = this.#deps;
    const { out } = this.#normaliser;
    const nowMs = clock.nowMs();
    const store = this.#storeFor(pending, kept);
    let lent: BlockRef = 0;
    if (store !== null && kept!.records < out.records) {
      // The waiters also get the records that end too soon to be cached.
      lent = cache.borrow(keepOf(out, kept, pending), nowMs);
      leaveFirst(out, kept!.records);
    }
    const keep = keepOf(out, kept, pending);
    const ref = store === null ? 0 : cache.keep(store, keep, nowMs);
    if (ref !== 0 && source.upstream !== null) cache.cameFrom(ref, source.upstream);
    if (store !== null && ref === 0) context.counters.count('storeFailed');
    if (ref === 0 && lent === 0) lent = cache.borrow(keep, nowMs);
    const block = lent === 0 ? ref : lent;
    try {
      if (block === 0) answerEach(waiters, (waiter) => this.sendFailure(waiter, 'no-room'));
      else answerEach(waiters, (waiter) => this.#sendStored(waiter, block, source));
    } finally {
      if (lent !== 0) cache.release(lent);
    }
    return ref !== 0;
  }

  #sendStored(waiter: Waiter, block: BlockRef, source: AnswerSource): void {
    const { context } = this.#deps;
    const { extendedError } = source;
    const { rcode } = this.#normaliser.out;
    if (this.#begin(waiter, rcode, source)) return;
    // The outcome is that of the name's A.
    const bytes =
      waiter.wants === 'aaaa'
        ? context.answerEmpty(waiter.packet, rcode, extendedError)
        : context.answerStored(waiter.packet, block, 0, extendedError);
    this.#send(waiter, bytes, source);
  }

  /**
   * A successful answer ends the cached one even if it is not cached itself (RFC 8767 4). An answer that was cut or is
   * not for all clients leaves the older one for failures.
   */
  #supersede({ zone, question, key, recursionDesired, startedAtMs }: Pending, isForAll: boolean): void {
    const { cache, context } = this.#deps;
    const old = this.#find(zone, question, key);
    // Without RD the answer is one upstream's own view. What was cached after the question was asked may be newer.
    if (old === 0 || !recursionDesired || context.blocks.storedAtMs(old) > startedAtMs) return;
    const { truncated, rcode } = this.#normaliser.out;
    const isContrary = rcode === rcodeNxDomain || context.blocks.kind(old) !== kindSuccess;
    if (isForAll && (!truncated || isContrary)) cache.end(old);
    else cache.leaveForFailure(old);
  }

  /**
   * The store for this answer, or null. An answer without RD is an upstream's own view, not for others. `respond` has
   * made sure that SERVFAIL never replaces a usable answer.
   */
  #storeFor(pending: Pending, kept: Kept | null): Store | null {
    const { keep } = pending.route;
    if (kept === null || keep === null || !pending.recursionDesired) return null;
    if (!keep.keeps(kept.kind, pending.question, 0)) return null;
    return this.#deps.store(pending.zone);
  }

  /**
   * Prepares the context for this waiter's answer, which is then written and given to `#send`. True if the waiter has had
   * its answer: an AAAA that waited for the name's A, whose rcode this is, is denied by policy.
   */
  #begin(waiter: Waiter, rcode: number, { upstream, mayKeep }: AnswerSource): boolean {
    const { context } = this.#deps;
    const { packet, queryBytes, client, zone, ours } = waiter;
    context.zone = zone;
    // A subquery takes answers of any length.
    context.transport = ours === null ? client.transport : overTcp;
    context.family = client.remote.address.includes(':') ? 1 : 0;
    readQuery(packet, packet.length, context.query);
    if (waiter.wants !== 'aaaa' || (rcode !== rcodeNoError && rcode !== rcodeNxDomain)) return false;
    if (ours !== null) {
      ours.answered(context.written(context.answerDenial(packet, zone, rcode)), mayKeep);
    } else {
      const bytes = denyAaaa(context, packet, queryBytes, zone, rcode);
      client.reply(context.written(bytes));
      this.#told(waiter, bytes, 'policy');
      this.#log(waiter, bytes, upstream);
    }
    return true;
  }

  /** Sends the answer that was written for the waiter after `#begin`. */
  #send(waiter: Waiter, bytes: number, { upstream, by, mayKeep, origin }: AnswerSource): void {
    const { context, clock } = this.#deps;
    const { queryBytes, client, zone, ours } = waiter;
    if (ours !== null) return ours.answered(context.written(bytes), mayKeep);
    const seconds = (clock.nowMs() - waiter.receivedAtMs) / 1000;
    // Access rules act before the cache.
    const answerer = zone.cache === null || by === byAcl ? by : byCache;
    context.count(context.counters.zoneBase(zone.ordinal), answerer, queryBytes, bytes, seconds);
    client.reply(context.written(bytes));
    this.#told(waiter, bytes, origin);
    this.#log(waiter, bytes, upstream);
  }

  /** Tells those who watch queries. */
  #told({ client, receivedAtMs }: Waiter, bytes: number, origin: AnswerOrigin): void {
    const { context, clock, answerWatch } = this.#deps;
    if (!answerWatch.isWatched) return;
    answerWatch.answered(context.slot, client, { origin, bytes, durationMs: clock.nowMs() - receivedAtMs });
  }

  #log({ packet, queryBytes, client, receivedAtMs }: Waiter, bytes: number, upstream: string | null): void {
    const { context, clock, routes } = this.#deps;
    const log = context.zone === null ? null : routes.get(context.zone)?.logQuery;
    if (!log) return;
    const came = { durationMs: clock.nowMs() - receivedAtMs, upstream };
    log({ ...queryLogRecordOf(context, packet, client, bytes, came), queryBytes });
  }
}

type FailureAnswer = Partial<Pick<MadeSource, 'extendedError' | 'by'>> & { readonly rcode?: number };

/** What clients get for a failure; the rcode is SERVFAIL by default. */
const failures: Partial<Record<Failure | 'no-room', FailureAnswer>> = {
  timeout: { extendedError: edeNoReachableAuthority },
  unhealthy: { extendedError: edeNoReachableAuthority },
  unreachable: { extendedError: edeNetworkError },
  malformed: { extendedError: edeNetworkError },
  overloaded: { rcode: rcodeRefused },
  circular: { extendedError: edeCircular },
  block: { rcode: rcodeRefused, extendedError: edeBlocked, by: byAcl },
  filter: { rcode: rcodeNoError, extendedError: edeFiltered, by: byAcl },
};

function rcodeOf(why: Failure | 'no-room'): number {
  return failures[why]?.rcode ?? rcodeServFail;
}

function unreadable(from: string, message: Normaliser['out'] | null): string {
  return message === null ? `${from}: dns: bad message` : `${from}: rcode ${message.rcode} needs EDNS`;
}

/** Answers each waiter; a waiter for which that throws gets no answer. */
function answerEach(waiters: readonly Waiter[], answer: (waiter: Waiter) => void): void {
  toEach(waiters, (waiter) => {
    try {
      answer(waiter);
    } catch (error) {
      if (waiter.ours === null) leaveUnanswered(waiter.client);
      else waiter.ours.failed('unreachable');
      throw error;
    }
  });
}

/** Ends a client's query without an answer, unless it has had one. */
export function leaveUnanswered(client: Client): void {
  try {
    client.reply(null);
  } catch {
    // A second reply throws.
  }
}

function holdsForAll({ holdsFor, options }: QueryPlan, outcome: Outcome): boolean {
  if (holdsFor === 'everybody') return true;
  // Options beyond the room of a request are not sent, so no network was named.
  return holdsFor === 'unscoped' && outcome.ok && (options === undefined || isUnscoped(outcome, options));
}

/** An answer made of stale ones is given as stale, and not cached. */
function staleSource(rcode: number, made: MadeSource | null): MadeSource {
  const extendedError = rcode === rcodeNxDomain ? edeStaleNxdomain : edeStale;
  return { extendedError, mayKeep: false, by: made === null ? byForward : made.by };
}

/** Whether the message denies the name or the record; a truncated one does neither. */
function denies({ rcode, relevant, truncated }: Normaliser['out']): boolean {
  return rcode === rcodeNxDomain || (rcode === rcodeNoError && !relevant && !truncated);
}

/**
 * Whether an answer is for every network: the subnet among the options sent comes back without a scope (RFC 7871 7.3).
 * Over TCP an answer without a subnet is, too; over UDP a forged one would fit the requests of all networks, and be
 * cached for all.
 */
export function isUnscoped({ message, isOverTcp }: Answer, options: Uint8Array): boolean {
  const sent = optionIn(options, { from: 0, end: options.length }, optionSubnet)!;
  const subnet = optionOf(message, optionSubnet);
  if (subnet === null) return isOverTcp === true;
  return subnet.length === sent.length && subnet.every((byte, at) => byte === sent[at]);
}
