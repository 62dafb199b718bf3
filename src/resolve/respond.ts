/**
 * What becomes of an outcome: the upstream's message is normalised, kept once if it may be, and sent to all who
 * wait; a failure becomes a stale answer where there is one, else SERVFAIL. `settle` holds the decisions.
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
import type { Client } from '../listen/client.js';
import type { Clock } from '../os/clock.js';
import { toEach } from '../scheduling/each.js';
import type { Answer, Failure, Outcome } from '../upstream/ask.js';
import { type Kept, keeping, keepOf } from './cacheability.js';
import { denyAaaa } from './fast-path.js';
import {
  edeBlocked,
  edeCircular,
  edeFiltered,
  edeNetworkError,
  edeNoReachableAuthority,
  edeStale,
  edeStaleNxdomain,
  type Lane,
} from './lane.js';
import type { Pending, Waiter } from './pending.js';
import { queryLogRecordOf } from './query-log-record.js';
import type { Course, Route } from './route.js';
import type { ServedZone } from './zones.js';

export interface SettleDeps {
  readonly clock: Clock;
  readonly lane: Lane;
  readonly cache: Cache;
  readonly routes: Pick<WeakMap<ServedZone, Route>, 'get'>;
  /** Where answers of this zone are kept now; null when a reload has taken the zone or its cache away. */
  store(zone: ServedZone): Store | null;
}

/** What is said of an answer made here; an upstream's has null. */
export interface MadeFacts {
  /** An answer that comes with one is not kept. */
  readonly extendedError: ExtendedError | null;
  /** False: it is for its asker alone, or what its alias leads to could not be had: better than nothing, now. */
  readonly mayKeep: boolean;
  readonly by: Answerer;
}

/** Whose answer it is, and what goes with it. */
interface Source {
  /** That was asked for it; null for what is ours, or was known before. */
  readonly upstream: string | null;
  readonly by: Answerer;
  readonly extendedError: ExtendedError | null;
  /** Whether others could be given it, if its TTLs allowed that. */
  readonly mayKeep: boolean;
}

const known: Source = { upstream: null, by: byForward, extendedError: null, mayKeep: true };

/** Why stale answers are given, as the counters tell them apart. */
type StaleReason = 'staleOnFailure' | 'stalePatience';

/** Failures that are not of a moment and no upstream's fault: they reach the client as they are, whatever is kept. */
const finals: ReadonlySet<Failure> = new Set<Failure>(['circular', 'block', 'filter', 'drop']);

export function isFinal(why: Failure): boolean {
  return finals.has(why);
}

export class Settler {
  readonly #deps: SettleDeps;
  readonly #normaliser: Normaliser;
  /** A packet that is nothing but a question, to look it up. */
  readonly #lookup = new Uint8Array(headerBytes + nameBytesMax + 4);

  constructor(deps: SettleDeps) {
    this.#deps = deps;
    this.#normaliser = new Normaliser(deps.cache.blocks.hashKey);
  }

  /** Gives every waiter of a question its answer, and keeps what may be kept. */
  settle(pending: Pending, waiters: readonly Waiter[], outcome: Outcome, made: MadeFacts | null): void {
    const { route, course } = pending;
    if (!outcome.ok && isFinal(outcome.why)) return this.#settleFinal(pending, waiters, outcome.why, outcome.text);
    const changes = course === null ? null : course.changes;
    const isRead = outcome.ok && this.#normaliser.read(outcome.message, route.order, changes);
    const message = isRead ? this.#normaliser.out : null;
    if (outcome.ok && message === null) this.#deps.lane.counters.count('answersRejectedMalformed');
    const rcode = message === null ? rcodeServFail : message.rcode;
    const isStale = outcome.ok && outcome.isStale === true;
    const good = (rcode === rcodeNoError || rcode === rcodeNxDomain) && !isStale;
    if (!good || (route.keep?.preferPositive && denies(this.#normaliser.out))) {
      const usable = this.findUsable(pending.zone, pending.question, pending.key);
      const better = usable !== 0 && (!good || this.#deps.lane.blocks.kind(usable) === kindSuccess);
      if (better) return this.#settleUsable(pending, waiters, usable);
    }
    if (message === null || rcode > 0x0f) {
      const why = outcome.ok ? 'malformed' : outcome.why;
      route.failed(pending.question, rcodeOf(why), outcome.ok ? unreadable(outcome.from, message) : outcome.text);
      return answerEach(waiters, (waiter) => this.sendFailure(waiter, why));
    }
    if (route.sections === 'answer') leaveOnlyAnswers(message);
    const kept = route.keep === null ? null : keeping(message, route.keep.policy, this.#deps.clock.wallMs());
    const isForAll = course === null || holdsForAll(course, outcome);
    const isForNow = outcome.ok && outcome.mayKeep === false;
    const facts = isStale ? staleFacts(rcode, made) : made;
    const extendedError = facts === null ? null : facts.extendedError;
    const mayKeep = isForAll && !isForNow && (facts === null || (facts.mayKeep && extendedError === null));
    const upstream = made === null && outcome.ok && outcome.from !== '' ? outcome.from : null;
    const source = { upstream, by: facts === null ? byForward : facts.by, extendedError, mayKeep };
    const isCutToNothing = message.truncated && message.records === 0;
    const left = isCutToNothing ? this.#failOverTcp(pending, waiters) : waiters;
    const isKept = this.#sendKept(pending, left, mayKeep ? kept : null, source);
    if (!isKept && good && !isForNow && made?.mayKeep !== false) this.#supersede(pending, isForAll);
  }

  /** What was cut to nothing says that TCP has more: to those who ask over TCP it is a failure. Gives the others. */
  #failOverTcp(pending: Pending, waiters: readonly Waiter[]): readonly Waiter[] {
    const failed = waiters.filter(({ asker }) => asker.transport === overTcp);
    if (failed.length === 0) return waiters;
    const usable = this.findUsable(pending.zone, pending.question, pending.key);
    if (usable !== 0) this.#settleUsable(pending, failed, usable);
    else {
      pending.route.failed(pending.question, rcodeServFail, 'the answer was truncated over UDP, and TCP got no answer');
      answerEach(failed, (waiter) => this.sendFailure(waiter, 'unreachable'));
    }
    return waiters.filter(({ asker }) => asker.transport !== overTcp);
  }

  /** The answer that may be used for this question where its upstream has none: fresh, or stale and that allowed; or 0. */
  findUsable(zone: ServedZone, question: Uint8Array, key: number): BlockRef {
    if (zone.cache === null) return 0;
    const { blocks } = this.#deps.lane;
    const ref = this.#find(zone, question, key);
    if (ref === 0 || blocks.kind(ref) === kindServfail) return 0;
    return this.#deps.clock.nowMs() < blocks.expiresAtMs(ref) + zone.cache.staleMaxMs ? ref : 0;
  }

  /** The same for an upstream that is only slow: a denial past its expiry is given on failure alone. */
  findForImpatient(zone: ServedZone, question: Uint8Array, key: number): BlockRef {
    const { blocks } = this.#deps.lane;
    const ref = this.findUsable(zone, question, key);
    if (ref === 0 || this.#deps.clock.nowMs() < blocks.expiresAtMs(ref)) return ref;
    return blocks.kind(ref) === kindSuccess && blocks.recheckAtMs(ref) !== onFailureOnly ? ref : 0;
  }

  /** Whether an answer to this question has been kept after the question was asked. */
  hasNewer({ zone, question, key, startedAtMs }: Pending): boolean {
    const ref = this.#find(zone, question, key);
    return ref !== 0 && this.#deps.lane.blocks.storedAtMs(ref) > startedAtMs;
  }

  #find({ zoneId }: ServedZone, question: Uint8Array, key: number): BlockRef {
    this.#lookup.set(question, headerBytes);
    return this.#deps.lane.blocks.find(this.#lookup, headerBytes + question.length, zoneId, key);
  }

  /** Gives waiters the answer, fresh or stale, that was found this very turn. */
  sendUsable(zone: ServedZone, waiters: readonly Waiter[], usable: BlockRef, reason: StaleReason): void {
    const { lane, clock } = this.#deps;
    const { blocks, counters } = lane;
    const nowMs = clock.nowMs();
    const isStale = nowMs >= blocks.expiresAtMs(usable);
    const { keepTtl, staleTtlSeconds } = zone.cache!;
    const ageSeconds = keepTtl ? 0 : Math.floor((nowMs - blocks.storedAtMs(usable)) / 1000);
    blocks.touch(usable, nowMs, 0);
    answerEach(waiters, (waiter) => {
      if (isStale) {
        counters.count(reason);
        counters.zones[counters.zoneBase(waiter.zone.ordinal) + zonePlaces.servedStale]++;
      }
      const write = () =>
        isStale
          ? lane.answerStale(waiter.packet, usable, staleTtlSeconds)
          : lane.answerStored(waiter.packet, usable, ageSeconds, null);
      this.#send(waiter, blocks.rcode(usable), write, { ...known, mayKeep: !isStale });
    });
  }

  /**
   * SERVFAIL, or REFUSED beyond max_concurrent as CoreDNS has it, or what a rule says; the extended error tells the rest
   * (RFC 8914).
   */
  sendFailure(waiter: Waiter, why: Failure | 'no-room'): void {
    const { lane } = this.#deps;
    if (waiter.ours !== null) return waiter.ours.failed(why === 'no-room' ? 'overloaded' : why);
    if (why === 'drop') return waiter.asker.reply(null);
    const { extendedError = null, by = byForward } = failures[why] ?? {};
    const write = () => lane.answerEmpty(waiter.packet, rcodeOf(why), extendedError);
    this.#send(waiter, rcodeServFail, write, { ...known, by });
  }

  /** Said once, for the name that a client has asked for. */
  #settleFinal({ route, question, depth }: Pending, waiters: readonly Waiter[], why: Failure, text: string): void {
    if (why === 'circular' && depth === 0) route.failed(question, rcodeServFail, text);
    answerEach(waiters, (waiter) => this.sendFailure(waiter, why));
  }

  #settleUsable(pending: Pending, waiters: readonly Waiter[], usable: BlockRef): void {
    this.#deps.cache.refreshFailed(usable, this.#deps.clock.nowMs() + (pending.route.keep?.recheckMs ?? 0));
    this.sendUsable(pending.zone, waiters, usable, 'staleOnFailure');
  }

  /** Gives waiters the answer; returns whether the answer is kept. */
  #sendKept(pending: Pending, waiters: readonly Waiter[], kept: Kept | null, source: Source): boolean {
    const { lane, cache, clock } = this.#deps;
    const { extendedError } = source;
    const { out } = this.#normaliser;
    const nowMs = clock.nowMs();
    const store = this.#storeFor(pending, kept);
    let lent: BlockRef = 0;
    if (store !== null && kept!.records < out.records) {
      // The waiters also get the records that do not last.
      lent = cache.borrow(keepOf(out, kept, pending), nowMs);
      leaveFirst(out, kept!.records);
    }
    const keep = keepOf(out, kept, pending);
    const ref = store === null ? 0 : cache.keep(store, keep, nowMs);
    if (store !== null && ref === 0) lane.counters.count('storeFailed');
    if (ref === 0 && lent === 0) lent = cache.borrow(keep, nowMs);
    const block = lent === 0 ? ref : lent;
    const send = (waiter: Waiter): void => {
      if (block === 0) return this.sendFailure(waiter, 'no-room');
      const write = () =>
        // What was kept is about the name's A.
        waiter.wants === 'aaaa'
          ? lane.answerEmpty(waiter.packet, out.rcode, extendedError)
          : lane.answerStored(waiter.packet, block, 0, extendedError);
      this.#send(waiter, out.rcode, write, source);
    };
    try {
      answerEach(waiters, send);
    } finally {
      if (lent !== 0) cache.release(lent);
    }
    return ref !== 0;
  }

  /**
   * A successful answer ends the one that was kept before, though it is not kept itself (RFC 8767 4). An answer that was
   * cut, or is not for everybody, does not replace the older one, which is left for failures.
   */
  #supersede({ zone, question, key, recursionDesired, startedAtMs }: Pending, isForAll: boolean): void {
    const { cache, lane } = this.#deps;
    const old = this.#find(zone, question, key);
    // Without RD the answer is one upstream's own view. What was kept after the question was asked may be newer.
    if (old === 0 || !recursionDesired || lane.blocks.storedAtMs(old) > startedAtMs) return;
    const { truncated, rcode } = this.#normaliser.out;
    const isContrary = rcode === rcodeNxDomain || lane.blocks.kind(old) !== kindSuccess;
    if (isForAll && (!truncated || isContrary)) cache.end(old);
    else cache.leaveForFailure(old);
  }

  /**
   * Where this answer is kept, or null. What was asked without RD is an upstream's own view, not for others. That
   * SERVFAIL never takes the place of an answer that may still be used has been seen to by `settle`.
   */
  #storeFor(pending: Pending, kept: Kept | null): Store | null {
    const { keep } = pending.route;
    if (kept === null || keep === null || !pending.recursionDesired) return null;
    if (!keep.keeps(kept.kind, pending.question)) return null;
    return this.#deps.store(pending.zone);
  }

  /** Writes one waiter's answer and sends it. For an AAAA that waited for the name's A, `rcode` is the A's. */
  #send(waiter: Waiter, rcode: number, write: () => number, { upstream, by, mayKeep }: Source = known): void {
    const { lane, clock } = this.#deps;
    const { packet, queryBytes, asker, zone } = waiter;
    lane.zone = zone;
    const { ours } = waiter;
    // We ourselves take answers of any length.
    lane.transport = ours === null ? asker.transport : overTcp;
    lane.family = asker.remote.address.includes(':') ? 1 : 0;
    readQuery(packet, packet.length, lane.query);
    const isDenied = waiter.wants === 'aaaa' && (rcode === rcodeNoError || rcode === rcodeNxDomain);
    if (ours !== null) {
      const bytes = isDenied ? lane.answerDenial(packet, zone, rcode) : write();
      return ours.answered(lane.slot.bytes.subarray(0, bytes), mayKeep);
    }
    if (isDenied) {
      const bytes = denyAaaa(lane, packet, queryBytes, zone, rcode);
      asker.reply(lane.slot.bytes.subarray(0, bytes));
      return this.#log(waiter, bytes, upstream);
    }
    const bytes = write();
    const seconds = (clock.nowMs() - waiter.receivedAtMs) / 1000;
    // Rules stand before the cache.
    const answerer = zone.cache === null || by === byAcl ? by : byCache;
    lane.count(lane.counters.zoneBase(zone.ordinal), answerer, queryBytes, bytes, seconds);
    asker.reply(lane.slot.bytes.subarray(0, bytes));
    this.#log(waiter, bytes, upstream);
  }

  #log({ packet, queryBytes, asker, receivedAtMs }: Waiter, bytes: number, upstream: string | null): void {
    const { lane, clock, routes } = this.#deps;
    const log = lane.zone === null ? null : routes.get(lane.zone)?.logQuery;
    if (!log) return;
    const came = { durationMs: clock.nowMs() - receivedAtMs, upstream };
    log({ ...queryLogRecordOf(lane, packet, asker, bytes, came), queryBytes });
  }
}

/** What clients get for a failure: SERVFAIL unless it says otherwise. */
interface FailureAnswer {
  readonly rcode?: number;
  readonly extendedError?: ExtendedError;
  readonly by?: Answerer;
}

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

/** Why clients do not get what an upstream has said. */
function unreadable(from: string, message: Normaliser['out'] | null): string {
  return message === null ? `${from}: dns: bad message` : `${from}: rcode ${message.rcode} needs EDNS`;
}

/** Answers each of them; one for whom that fails gets no answer. */
function answerEach(waiters: readonly Waiter[], answer: (waiter: Waiter) => void): void {
  toEach(waiters, (waiter) => {
    try {
      answer(waiter);
    } catch (error) {
      if (waiter.ours === null) leaveUnanswered(waiter.asker);
      else waiter.ours.failed('unreachable');
      throw error;
    }
  });
}

/** Settles a client's question without an answer, unless it has had one. */
export function leaveUnanswered(asker: Client): void {
  try {
    asker.reply(null);
  } catch {
    // An asker takes no second reply.
  }
}

function holdsForAll({ holdsFor, options }: Course, outcome: Outcome): boolean {
  if (holdsFor === 'everybody') return true;
  // Options that have no room in a request are not sent, and then no network has been told.
  return holdsFor === 'unscoped' && outcome.ok && (options === undefined || isUnscoped(outcome, options));
}

/** An answer that is made of stale ones is given as stale, and not kept. */
function staleFacts(rcode: number, made: MadeFacts | null): MadeFacts {
  const extendedError = rcode === rcodeNxDomain ? edeStaleNxdomain : edeStale;
  return { extendedError, mayKeep: false, by: made === null ? byForward : made.by };
}

/** Whether the message says that there is no such name or no such record; one that was cut says neither. */
function denies({ rcode, relevant, truncated }: Normaliser['out']): boolean {
  return rcode === rcodeNxDomain || (rcode === rcodeNoError && !relevant && !truncated);
}

/**
 * Whether an answer is for every network: the subnet that was sent among these options comes back, and has no scope (RFC 7871
 * 7.3). Over TCP one without a subnet is as well; over UDP a forged one would fit the requests of all networks, and be kept
 * for all.
 */
export function isUnscoped({ message, isOverTcp }: Answer, options: Uint8Array): boolean {
  const sent = optionIn(options, { from: 0, end: options.length }, optionSubnet)!;
  const subnet = optionOf(message, optionSubnet);
  if (subnet === null) return isOverTcp === true;
  return subnet.length === sent.length && subnet.every((byte, at) => byte === sent[at]);
}
