/**
 * What becomes of an outcome: the upstream's message is normalised, kept once if it may be, and sent to all who
 * wait; a failure becomes a stale answer where there is one, else SERVFAIL. `settle` holds the decisions.
 */
import { type BlockRef, kindServfail, kindSuccess } from '../cache/blocks.js';
import type { Cache, Store } from '../cache/cache.js';
import type { ExtendedError } from '../dns/answer.js';
import { leaveOnlyAnswers, Normaliser } from '../dns/normalise.js';
import { readQuery } from '../dns/query.js';
import { rcodeNoError, rcodeNxDomain, rcodeRefused, rcodeServFail } from '../dns/wire.js';
import { headerBytes, nameBytesMax } from '../limits.js';
import type { Asker } from '../listen/asker.js';
import { type Answerer, byCache, byForward, overTcp, zonePlaces } from '../ops/counters.js';
import type { Clock } from '../outside/clock.js';
import { toEach } from '../outside/each.js';
import type { Failure, Outcome } from '../upstream/ask.js';
import { denyAaaa } from './answer-now.js';
import type { Course } from './course.js';
import { factsOf } from './facts.js';
import { type Kept, keeping, keepOf } from './keeping.js';
import { edeNetworkError, edeNoReachableAuthority, type Lane } from './lane.js';
import { isUnscoped } from './option-rules.js';
import type { Pending, Waiter } from './pending.js';
import type { Route } from './route.js';
import type { ServedZone } from './zones.js';

export interface SettleWorld {
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

/** Why stale answers are given, as the counters tell them apart. */
export type StaleReason = 'staleOnFailure' | 'stalePatience';

export class Settler {
  readonly #world: SettleWorld;
  readonly #normaliser = new Normaliser();
  /** A packet that is nothing but a question, to look it up. */
  readonly #lookup = new Uint8Array(headerBytes + nameBytesMax + 4);

  constructor(world: SettleWorld) {
    this.#world = world;
  }

  /** Gives every waiter of a question its answer, and keeps what may be kept. */
  settle(pending: Pending, waiters: readonly Waiter[], outcome: Outcome, made: MadeFacts | null): void {
    const { route, course } = pending;
    const changes = course === null ? null : course.changes;
    const isRead = outcome.ok && this.#normaliser.read(outcome.message, route.order, changes);
    const message = isRead ? this.#normaliser.out : null;
    if (outcome.ok && message === null) this.#world.lane.counters.count('answersRejectedMalformed');
    const rcode = message === null ? rcodeServFail : message.rcode;
    const good = rcode === rcodeNoError || rcode === rcodeNxDomain;
    if (!good || (route.keep?.preferPositive && denies(this.#normaliser.out))) {
      const usable = this.findUsable(pending.zone, pending.question, pending.key);
      const better = usable !== 0 && (!good || this.#world.lane.blocks.kind(usable) === kindSuccess);
      if (better) return this.#settleUsable(pending, waiters, usable);
    }
    if (!good)
      route.failed(pending.question, rcode, outcome.ok ? `upstream answered with rcode ${rcode}` : outcome.text);
    if (message === null || rcode > 0x0f) {
      const why = outcome.ok ? 'malformed' : outcome.why;
      return answerEach(waiters, (waiter) => this.sendFailure(waiter, why));
    }
    if (route.sections === 'answer') leaveOnlyAnswers(message);
    const kept = route.keep === null ? null : keeping(message, route.keep.policy);
    const isForAll = course === null || holdsForAll(course, outcome);
    const mayKeep = isForAll && (made === null || (made.mayKeep && made.extendedError === null));
    this.#sendKept(pending, waiters, mayKeep ? kept : null, made);
  }

  /** The answer that may be used for this question where its upstream has none: fresh, or stale and that allowed; or 0. */
  findUsable(zone: ServedZone, question: Uint8Array, key: number): BlockRef {
    if (zone.cache === null) return 0;
    const { blocks } = this.#world.lane;
    this.#lookup.set(question, headerBytes);
    const ref = blocks.find(this.#lookup, headerBytes + question.length, zone.zoneId, key);
    if (ref === 0 || blocks.kind(ref) === kindServfail) return 0;
    return this.#world.clock.nowMs() < blocks.expiresAtMs(ref) + zone.cache.staleMaxMs ? ref : 0;
  }

  /** Gives waiters the answer, fresh or stale, that was found this very turn. */
  sendUsable(zone: ServedZone, waiters: readonly Waiter[], usable: BlockRef, reason: StaleReason): void {
    const { lane, clock } = this.#world;
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
      this.#send(waiter, blocks.rcode(usable), () =>
        isStale
          ? lane.answerStale(waiter.packet, usable, staleTtlSeconds)
          : lane.answerStored(waiter.packet, usable, ageSeconds, null),
      );
    });
  }

  /** SERVFAIL, or REFUSED beyond max_concurrent as CoreDNS has it; EDE 22 and 23 tell the rest (RFC 8914). */
  sendFailure(waiter: Waiter, why: Failure | 'no-room'): void {
    const { lane } = this.#world;
    const rcode = why === 'overloaded' ? rcodeRefused : rcodeServFail;
    const unreachable = why === 'unreachable' || why === 'malformed' ? edeNetworkError : edeNoReachableAuthority;
    const extendedError = why === 'overloaded' || why === 'nobody' || why === 'no-room' ? null : unreachable;
    this.#send(waiter, rcodeServFail, () => lane.answerEmpty(waiter.packet, rcode, extendedError));
  }

  #settleUsable(pending: Pending, waiters: readonly Waiter[], usable: BlockRef): void {
    this.#world.cache.refreshFailed(usable, this.#world.clock.nowMs() + (pending.route.keep?.recheckMs ?? 0));
    this.sendUsable(pending.zone, waiters, usable, 'staleOnFailure');
  }

  #sendKept(pending: Pending, waiters: readonly Waiter[], kept: Kept | null, made: MadeFacts | null): void {
    const { lane, cache, clock } = this.#world;
    const extendedError = made === null ? null : made.extendedError;
    const by = made === null ? byForward : made.by;
    const { out } = this.#normaliser;
    const nowMs = clock.nowMs();
    const { zone, key } = pending;
    const { zoneId } = zone;
    const keep = keepOf(out, kept?.kind ?? kindSuccess, kept?.lifetimeMs ?? 0, { zoneId, key });
    const store = this.#storeFor(pending, kept);
    const ref = store === null ? 0 : cache.keep(store, keep, nowMs);
    const borrowed = ref === 0 ? cache.borrow(keep, nowMs) : 0;
    if (store !== null && ref === 0) lane.counters.count('storeFailed');
    const block = ref + borrowed;
    const send = (waiter: Waiter): void => {
      if (block === 0) return this.sendFailure(waiter, 'no-room');
      const write = () =>
        // What was kept is about the name's A.
        waiter.wants === 'aaaa'
          ? lane.answerEmpty(waiter.packet, out.rcode, extendedError)
          : lane.answerStored(waiter.packet, block, 0, extendedError);
      this.#send(waiter, out.rcode, write, by);
    };
    try {
      answerEach(waiters, send);
    } finally {
      if (borrowed !== 0) cache.release(borrowed);
    }
  }

  /**
   * Where this answer is kept, or null. What was asked without RD is an upstream's own view, not for others. That
   * SERVFAIL never takes the place of an answer that may still be used has been seen to by `settle`.
   */
  #storeFor(pending: Pending, kept: Kept | null): Store | null {
    const { keep } = pending.route;
    if (kept === null || keep === null || !pending.recursionDesired) return null;
    if (!keep.keeps(kept.kind, pending.question)) return null;
    return this.#world.store(pending.zone);
  }

  /** Writes one waiter's answer and sends it. For an AAAA that waited for the name's A, `rcode` is the A's. */
  #send(waiter: Waiter, rcode: number, write: () => number, by: Answerer = byForward): void {
    const { lane, clock } = this.#world;
    const { packet, asker, zone } = waiter;
    lane.zone = zone;
    // We ourselves take answers of any length.
    lane.transport = waiter.wants === 'within' ? overTcp : asker.transport;
    lane.family = asker.remote.address.includes(':') ? 1 : 0;
    readQuery(packet, packet.length, lane.query);
    if (waiter.wants === 'aaaa' && (rcode === rcodeNoError || rcode === rcodeNxDomain)) {
      const bytes = denyAaaa(lane, packet, packet.length, zone, rcode);
      asker.reply(lane.slot.bytes.subarray(0, bytes));
      return this.#log(waiter, bytes);
    }
    const bytes = write();
    if (waiter.wants === 'within') return asker.reply(lane.slot.bytes.subarray(0, bytes));
    const seconds = (clock.nowMs() - waiter.receivedAtMs) / 1000;
    const answerer = zone.cache === null ? by : byCache;
    lane.count(lane.counters.zoneBase(zone.ordinal), answerer, packet.length, bytes, seconds);
    asker.reply(lane.slot.bytes.subarray(0, bytes));
    this.#log(waiter, bytes);
  }

  #log(waiter: Waiter, bytes: number): void {
    const { lane, clock, routes } = this.#world;
    const log = lane.zone === null ? null : routes.get(lane.zone)?.logQuery;
    if (log) log(factsOf(lane, waiter.packet, waiter.asker, bytes, clock.nowMs() - waiter.receivedAtMs));
  }
}

/** Answers each of them; one for whom that fails gets no answer. */
function answerEach(waiters: readonly Waiter[], answer: (waiter: Waiter) => void): void {
  toEach(waiters, (waiter) => {
    try {
      answer(waiter);
    } catch (error) {
      leaveUnanswered(waiter.asker);
      throw error;
    }
  });
}

/** Settles a client's question without an answer, unless it has had one. */
export function leaveUnanswered(asker: Asker): void {
  try {
    asker.reply(null);
  } catch {
    // An asker takes no second reply.
  }
}

function holdsForAll({ holdsFor }: Course, outcome: Outcome): boolean {
  return holdsFor === 'everybody' || (holdsFor === 'unscoped' && outcome.ok && isUnscoped(outcome.message));
}

/** Whether the message says that there is no such name or no such record; one that was cut says neither. */
function denies({ rcode, relevant, truncated }: Normaliser['out']): boolean {
  return rcode === rcodeNxDomain || (rcode === rcodeNoError && !relevant && !truncated);
}
