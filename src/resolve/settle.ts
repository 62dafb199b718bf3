/**
 * What becomes of an outcome: the upstream's message is normalised, kept once if it may be, and sent to all who
 * wait; a failure becomes a stale answer where there is one, else SERVFAIL. `settle` holds the decisions.
 */
import { type BlockRef, kindServfail, kindSuccess } from '../cache/blocks.js';
import type { Cache, Keep, Store } from '../cache/cache.js';
import type { ExtendedError } from '../dns/answer.js';
import { Normaliser } from '../dns/normalise.js';
import { readQuery } from '../dns/query.js';
import { rcodeNoError, rcodeNxDomain, rcodeRefused, rcodeServFail } from '../dns/wire.js';
import { headerBytes, nameBytesMax } from '../limits.js';
import { byCache, byForward, zonePlaces } from '../ops/counters.js';
import type { Clock } from '../outside/clock.js';
import type { Failure, Outcome } from '../upstream/ask.js';
import { denyAaaa } from './answer-now.js';
import { factsOf } from './facts.js';
import { type Kept, keeping } from './keeping.js';
import { edeNetworkError, edeNoReachableAuthority, type Lane } from './lane.js';
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

  /** Gives every waiter of a question its answer, and keeps what may be kept; not what comes with an extended error. */
  settle(pending: Pending, waiters: readonly Waiter[], outcome: Outcome, extendedError: ExtendedError | null): void {
    const { route } = pending;
    const message = outcome.ok && this.#normaliser.read(outcome.message) ? this.#normaliser.out : null;
    if (outcome.ok && message === null) this.#world.lane.counters.count('answersRejectedMalformed');
    const rcode = message === null ? rcodeServFail : message.rcode;
    const good = rcode === rcodeNoError || rcode === rcodeNxDomain;
    if (!good || (rcode === rcodeNxDomain && route.keep?.preferPositive)) {
      const stale = this.findStale(pending);
      const better = good ? stale !== 0 && this.#world.lane.blocks.kind(stale) === kindSuccess : stale !== 0;
      if (better) return this.#settleStale(pending, waiters, stale);
    }
    if (!good)
      route.failed(pending.question, rcode, outcome.ok ? `upstream answered with rcode ${rcode}` : outcome.text);
    if (message === null || rcode > 0x0f) {
      const why = outcome.ok ? 'malformed' : outcome.why;
      for (const waiter of waiters) this.sendFailure(waiter, pending.zone, why);
      return;
    }
    const kept = route.keep === null ? null : keeping(message, route.keep.policy);
    this.#sendKept(pending, waiters, extendedError === null ? kept : null, extendedError);
  }

  /** The answer past its expiry that may still be used for this question, or 0. */
  findStale(pending: Pick<Pending, 'question' | 'zone' | 'key'>): BlockRef {
    const { zone, question, key } = pending;
    if (zone.cache === null || zone.cache.staleMaxMs === 0) return 0;
    const { blocks } = this.#world.lane;
    this.#lookup.set(question, headerBytes);
    const ref = blocks.find(this.#lookup, headerBytes + question.length, zone.zoneId, key);
    if (ref === 0 || blocks.kind(ref) === kindServfail) return 0;
    return this.#world.clock.nowMs() < blocks.expiresAtMs(ref) + zone.cache.staleMaxMs ? ref : 0;
  }

  /** Gives waiters the stale answer, which was found this very turn. */
  sendStale(zone: ServedZone, waiters: readonly Waiter[], stale: BlockRef, reason: StaleReason): void {
    const { lane } = this.#world;
    const numbers = lane.counters.zones;
    lane.blocks.touch(stale, this.#world.clock.nowMs(), 0);
    for (const waiter of waiters) {
      lane.counters.count(reason);
      numbers[lane.counters.zoneBase(zone.ordinal) + zonePlaces.servedStale]++;
      const aaaaRcode = lane.blocks.rcode(stale);
      this.#send(waiter, zone, aaaaRcode, () => lane.answerStale(waiter.packet, stale, zone.cache!.staleTtlSeconds));
    }
  }

  /** SERVFAIL, or REFUSED beyond max_concurrent as CoreDNS has it; EDE 22 and 23 tell the rest (RFC 8914). */
  sendFailure(waiter: Waiter, zone: ServedZone, why: Failure | 'no-room'): void {
    const { lane } = this.#world;
    const rcode = why === 'overloaded' ? rcodeRefused : rcodeServFail;
    const unreachable = why === 'unreachable' || why === 'malformed' ? edeNetworkError : edeNoReachableAuthority;
    const extendedError = why === 'overloaded' || why === 'nobody' || why === 'no-room' ? null : unreachable;
    this.#send(waiter, zone, rcodeServFail, () => lane.answerEmpty(waiter.packet, rcode, extendedError));
  }

  #settleStale(pending: Pending, waiters: readonly Waiter[], stale: BlockRef): void {
    this.#world.cache.refreshFailed(stale, this.#world.clock.nowMs() + (pending.route.keep?.recheckMs ?? 0));
    this.sendStale(pending.zone, waiters, stale, 'staleOnFailure');
  }

  #sendKept(
    pending: Pending,
    waiters: readonly Waiter[],
    kept: Kept | null,
    extendedError: ExtendedError | null,
  ): void {
    const { lane, cache, clock } = this.#world;
    const { out } = this.#normaliser;
    const nowMs = clock.nowMs();
    const { zone, key } = pending;
    const keep: Keep = { ...(kept ?? { kind: kindSuccess, lifetimeMs: 0 }), ...facts(out), zoneId: zone.zoneId, key };
    const store = this.#storeFor(pending, kept);
    const ref = store === null ? 0 : cache.keep(store, keep, nowMs);
    const borrowed = ref === 0 ? cache.borrow(keep, nowMs) : 0;
    if (store !== null && ref === 0) lane.counters.count('storeFailed');
    const block = ref + borrowed;
    for (const waiter of waiters) {
      if (block === 0) this.sendFailure(waiter, zone, 'no-room');
      else this.#send(waiter, zone, out.rcode, () => lane.answerStored(waiter.packet, block, 0, extendedError));
    }
    if (borrowed !== 0) cache.release(borrowed);
  }

  /**
   * Where this answer is kept, or null. What was asked without RD is an upstream's own view, not for others; SERVFAIL
   * never takes the place of an answer that may still be used.
   */
  #storeFor(pending: Pending, kept: Kept | null): Store | null {
    const { keep } = pending.route;
    if (kept === null || keep === null || !pending.recursionDesired) return null;
    if (!keep.keeps(kept.kind, pending.question)) return null;
    if (kept.kind === kindServfail && this.findStale(pending) !== 0) return null;
    return this.#world.store(pending.zone);
  }

  /** Writes one waiter's answer and sends it. For an AAAA that waited for the name's A, `rcode` is the A's. */
  #send(waiter: Waiter, zone: ServedZone, rcode: number, write: () => number): void {
    const { lane, clock } = this.#world;
    const { packet, asker } = waiter;
    lane.zone = zone;
    lane.transport = asker.transport;
    lane.family = asker.remote.address.includes(':') ? 1 : 0;
    readQuery(packet, packet.length, lane.query);
    if (waiter.wants === 'aaaa' && (rcode === rcodeNoError || rcode === rcodeNxDomain)) {
      const bytes = denyAaaa(lane, packet, packet.length, zone, rcode);
      asker.reply(lane.slot.bytes.subarray(0, bytes));
      return this.#log(waiter, bytes);
    }
    const bytes = write();
    const seconds = (clock.nowMs() - waiter.receivedAtMs) / 1000;
    const answerer = zone.cache === null ? byForward : byCache;
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

function facts(out: Normaliser['out']) {
  const { message, messageBytes, questionEnd, ttlOffsets, records } = out;
  return { message, messageBytes, questionEnd, ttlOffsets, records };
}
