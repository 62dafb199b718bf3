/**
 * The spine's waiting half, in the control lane: what could not be answered at once is made here, joins an
 * identical question, or is asked upstream. Every waiter gets exactly one answer; `settle.ts` says which.
 */
import type { BlockRef } from '../cache/blocks.js';
import { withAliasAnswer } from '../dns/alias.js';
import type { ExtendedError } from '../dns/answer.js';
import { questionForType, questionOf } from '../dns/query.js';
import { copyOf, flagRd, messageRcode, rcodeNoError, rcodeNxDomain, typeA, typeAaaa } from '../dns/wire.js';
import { sweepPeriodMs } from '../limits.js';
import type { Asker } from '../listen/asker.js';
import { type Answerer, answerers, overTcp, type Transport, zonePlaces } from '../ops/counters.js';
import type { Timer } from '../outside/clock.js';
import type { Outcome, Request } from '../upstream/ask.js';
import { keyOf } from './answer-now.js';
import { extendedErrorOf } from './lane.js';
import { type LoopWatch, typeHinfo } from './loop.js';
import { hashOf, type Pending, PendingTable, type Waiter } from './pending.js';
import type { Made } from './route.js';
import { Settler, type SettleWorld } from './settle.js';
import { aaaaForward, type ServedZone } from './zones.js';

export interface ForwarderWorld extends SettleWorld {
  readonly loops: Pick<LoopWatch, 'seen'>;
  /** An upstream has answered: readiness waits for the first. */
  upstreamAnswered(): void;
}

/** An answer made here that ends in an alias, and the question that this leads to. */
interface Alias {
  readonly message: Uint8Array;
  readonly follow: Uint8Array;
  readonly error: ExtendedError | null;
  readonly by: Answerer;
}

export class Forwarder {
  readonly #world: ForwarderWorld;
  readonly #settler: Settler;
  readonly #table = new PendingTable();
  /** Those with a stale answer at hand whose clients still wait. */
  readonly #impatient = new Set<Pending>();
  #sweeper: Timer | null = null;

  constructor(world: ForwarderWorld) {
    this.#world = world;
    this.#settler = new Settler(world);
  }

  /** Questions under way. */
  get size(): number {
    return this.#table.size;
  }

  /** Clients that wait. */
  get waiters(): number {
    return this.#table.waiters;
  }

  /** Takes the packet that the lane's `answerNow` has just handed over. Borrows it until it returns. */
  wait(packet: Uint8Array, asker: Asker, nowMs: number): void {
    const { lane } = this.#world;
    const zone = lane.zone!;
    const waiter = this.#waiter(zone, packet, asker, nowMs);
    const { wants } = waiter;
    const pending = this.#question(zone, packet, nowMs, wants);
    this.#countMiss(zone);
    if (lane.query.type === typeHinfo) this.#world.loops.seen(packet, lane.query.questionEnd);
    const made = this.#make(pending, packet, asker, wants);
    if (made !== null && made.kind !== 'next') {
      pending.waiters.push(waiter);
      return this.#settleMade(pending, made, asker.transport);
    }
    const running = this.#table.find(pending);
    if (running !== null) return this.#join(running, waiter, nowMs);
    pending.waiters.push(waiter);
    this.#ask(pending, asker.transport);
  }

  /** Answers the packet that the lane has read at once, by what is known: there is no room for it to wait. */
  refuse(packet: Uint8Array, asker: Asker, nowMs: number): void {
    const { lane } = this.#world;
    const zone = lane.zone!;
    lane.counters.count('overloadedHandOver');
    const waiter = this.#waiter(zone, packet, asker, nowMs);
    this.#turnAway(this.#question(zone, packet, nowMs, waiter.wants), waiter);
  }

  /** Gets anew what the lane's `answerNow` has just answered, so that the next client finds it fresh. */
  refresh(packet: Uint8Array, asker: Asker, nowMs: number): void {
    const { lane } = this.#world;
    const zone = lane.zone!;
    const pending = this.#question(zone, packet, nowMs, 'answer');
    if (this.#table.find(pending) !== null || !this.#table.hasRoom) return;
    lane.counters.zones[lane.counters.zoneBase(zone.ordinal) + zonePlaces.prefetches]++;
    const made = pending.route.make === null ? null : pending.route.make(packet, lane, asker);
    // Over TCP, as CoreDNS does it: what is kept for all must not be cut for one.
    if (made === null || made.kind === 'next') this.#ask(pending, overTcp);
    else this.#settleMade(pending, made, overTcp);
  }

  /** What is made here for the packet, or to the question for A that an AAAA is answered by. */
  #make({ route }: Pending, packet: Uint8Array, asker: Asker, wants: Waiter['wants']): Made | null {
    const { lane } = this.#world;
    if (route.make === null) return null;
    const typeAt = lane.query.nameEnd + 1;
    if (wants === 'aaaa') packet[typeAt] = typeA;
    const made = route.make(packet, lane, asker);
    if (wants === 'aaaa') packet[typeAt] = typeAaaa;
    return made;
  }

  #settleMade(pending: Pending, made: Exclude<Made, { kind: 'next' }>, transport: Transport): void {
    const { waiters } = pending;
    if (made.kind === 'servfail') {
      return this.#settler.settle(pending, waiters, { ok: false, why: 'nobody', text: made.text }, null);
    }
    const error =
      made.extendedError === null ? null : extendedErrorOf(made.extendedError.code, made.extendedError.text);
    if (made.follow !== null) return this.#follow(pending, { ...made, follow: made.follow, error }, transport);
    const { message, by } = made;
    const outcome: Outcome = { ok: true, message, from: answerers[by] };
    this.#settler.settle(pending, waiters, outcome, { extendedError: error, mayKeep: !made.isForAskerAlone, by });
  }

  /** A stub resolver follows no alias; it gets what the alias leads to along with it, if that can be had. */
  #follow(pending: Pending, alias: Alias, transport: Transport): void {
    const following: Pending = { ...pending, isJoinable: false };
    if (!this.#take(following)) return;
    const { message, error: extendedError, by } = alias;
    pending.route.ask(this.#request(pending, alias.follow, transport), (target) => {
      const isWhole = target.ok && isAnswered(target.message);
      const whole = isWhole ? withAliasAnswer(message, target.message) : message;
      const outcome: Outcome = { ok: true, message: whole, from: answerers[by] };
      this.#settler.settle(following, this.#table.remove(following), outcome, { extendedError, mayKeep: isWhole, by });
    });
  }

  #waiter(zone: ServedZone, packet: Uint8Array, asker: Asker, receivedAtMs: number): Waiter {
    const { type } = this.#world.lane.query;
    const wants = type === typeAaaa && zone.aaaa !== aaaaForward ? 'aaaa' : 'answer';
    return { asker, packet: copyOf(packet, 0, packet.length), receivedAtMs, zone, wants };
  }

  #question(zone: ServedZone, packet: Uint8Array, nowMs: number, wants: Waiter['wants']): Pending {
    const { query } = this.#world.lane;
    const question = wants === 'aaaa' ? questionForType(packet, query, typeA) : questionOf(packet, query);
    const key = keyOf(query);
    const recursionDesired = (query.flags & flagRd) !== 0;
    const { zoneId } = zone;
    return {
      question,
      zoneId,
      key,
      recursionDesired,
      hash: hashOf(question, zoneId, key, this.#world.lane.blocks.seed),
      isJoinable: true,
      zone,
      route: this.#world.routes.get(zone)!,
      startedAtMs: nowMs,
      hasStale: this.#settler.findUsable(zone, question, key) !== 0,
      waiters: [],
      next: null,
    };
  }

  #usableFor({ zone, question, key }: Pending): BlockRef {
    return this.#settler.findUsable(zone, question, key);
  }

  #countMiss(zone: ServedZone): void {
    if (zone.cache === null) return;
    const { counters } = this.#world.lane;
    const base = counters.zoneBase(zone.ordinal);
    counters.zones[base + zonePlaces.cacheRequests]++;
    counters.zones[base + zonePlaces.misses]++;
  }

  #join(running: Pending, waiter: Waiter, nowMs: number): void {
    const { counters } = this.#world.lane;
    const patienceMs = running.route.keep?.patienceMs ?? Number.POSITIVE_INFINITY;
    if (running.hasStale && nowMs >= running.startedAtMs + patienceMs) {
      const stale = this.#usableFor(running);
      if (stale !== 0) return this.#settler.sendUsable(running.zone, [waiter], stale, 'stalePatience');
    }
    const joined = this.#table.join(running, waiter);
    if (joined === 'joined') {
      counters.count('coalesced');
      if (running.hasStale) this.#watchPatience(running);
      return;
    }
    counters.count(joined);
    this.#turnAway(running, waiter);
  }

  /** Nobody more may wait: what is known, though it be stale, is better than a failure. */
  #turnAway(pending: Pending, waiter: Waiter): void {
    const usable = this.#usableFor(pending);
    if (usable === 0) this.#settler.sendFailure(waiter, 'no-room');
    else this.#settler.sendUsable(pending.zone, [waiter], usable, 'staleOnFailure');
  }

  /** A request on behalf of the query that the lane has in hand. */
  #request(pending: Pending, question: Uint8Array, transport: Transport): Request {
    const { checkingDisabled, dnssecOk } = this.#world.lane.query;
    const clientTransport = transport === overTcp ? 'tcp' : 'udp';
    const { recursionDesired } = pending;
    return { question, recursionDesired, checkingDisabled, dnssecOk, clientTransport, client: clientOf(pending) };
  }

  /** Puts a question with its waiter into the table; without room the waiter is told so. */
  #take(pending: Pending): boolean {
    const { counters } = this.#world.lane;
    const client = clientOf(pending);
    const hasShare = client === undefined || this.#table.hasShareFor(client);
    if (this.#table.hasRoom && hasShare) {
      this.#table.add(pending);
      return true;
    }
    counters.count(hasShare ? 'overloadedPending' : 'overloadedClient');
    for (const waiter of pending.waiters) this.#turnAway(pending, waiter);
    return false;
  }

  #ask(pending: Pending, transport: Transport): void {
    if (!this.#take(pending)) return;
    const request = this.#request(pending, pending.question, transport);
    if (pending.hasStale && pending.waiters.length > 0) this.#watchPatience(pending);
    pending.route.ask(request, (outcome) => this.#finish(pending, outcome));
  }

  #finish(pending: Pending, outcome: Outcome): void {
    this.#impatient.delete(pending);
    if (outcome.ok) this.#world.upstreamAnswered();
    this.#settler.settle(pending, this.#table.remove(pending), outcome, null);
  }

  #watchPatience(pending: Pending): void {
    if (pending.route.keep === null || pending.route.keep.patienceMs === Number.POSITIVE_INFINITY) return;
    this.#impatient.add(pending);
    this.#sweeper ??= this.#world.clock.every(sweepPeriodMs, () => this.#sweep());
  }

  /** Gives a stale answer to those whose upstream is slower than they wait; the question stays under way. */
  #sweep(): void {
    const nowMs = this.#world.clock.nowMs();
    for (const pending of this.#impatient) {
      if (nowMs < pending.startedAtMs + pending.route.keep!.patienceMs) continue;
      this.#impatient.delete(pending);
      const stale = this.#usableFor(pending);
      if (stale === 0) continue;
      this.#settler.sendUsable(pending.zone, this.#table.takeWaiters(pending), stale, 'stalePatience');
    }
    if (this.#impatient.size > 0) return;
    this.#sweeper?.stop();
    this.#sweeper = null;
  }
}

/** Whether the upstream knows the name or knows that it does not exist; any other rcode is a failure of this moment. */
function isAnswered(message: Uint8Array): boolean {
  const rcode = messageRcode(message);
  return rcode === rcodeNoError || rcode === rcodeNxDomain;
}

/** Who asked first; undefined where we ask for ourselves. */
function clientOf({ waiters }: Pending): string | undefined {
  return waiters[0]?.asker.remote.address;
}
