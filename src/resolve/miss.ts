/**
 * The main thread's half of the spine: a query that could not be answered at once gets an answer made here, joins an
 * identical question, or is asked upstream. Every waiter gets exactly one answer; `respond.ts` decides which.
 */
import { keyCheckingDisabled, keyDnssecOk } from '../cache/blocks.js';
import { overTcp, type Transport, zonePlaces } from '../counters.js';
import { ownQuery } from '../dns/own-queries.js';
import { keptQuery, questionForType, questionOf, readQuery } from '../dns/query.js';
import { flagRd, messageRcode, rcodeNoError, rcodeNxDomain, typeA, typeAaaa, u16 } from '../dns/wire.js';
import { sweepPeriodMs } from '../limits.js';
import type { Client } from '../listen/client.js';
import type { Clock, Timer } from '../os/clock.js';
import { toEach } from '../scheduling/each.js';
import type { Answer, Outcome, Request } from '../upstream/ask.js';
import type { Denials } from './denials.js';
import { keyOf } from './fast-path.js';
import { type LoopWatch, typeHinfo } from './loop.js';
import { hashOf, type Pending, PendingTable, Sharing, type Waiter } from './pending.js';
import { type PendingQuestion, Questions } from './question.js';
import { leaveUnanswered, type MadeSource, type RespondDeps, Responder } from './respond.js';
import type { Made, PlanQuery, QueryToPlan } from './route.js';
import {
  type Chase,
  type Done,
  finishMade,
  followUp,
  judged,
  lookUpFor,
  mayWaitFor,
  type Origin,
  type Subquery,
} from './subquery.js';
import { aaaaForward, type ServedZone } from './zones.js';

interface MissesDeps extends RespondDeps {
  readonly loops: Pick<LoopWatch, 'seen'>;
  readonly denials: Pick<Denials, 'missed' | 'answered'>;
  /** An upstream has answered: readiness waits for the first. */
  upstreamAnswered(): void;
}

type PlanOrFailure = NonNullable<ReturnType<PlanQuery>>;
type Answered = Exclude<Made, { kind: 'next' }>;

export class Misses {
  readonly #deps: MissesDeps;
  readonly #responder: Responder;
  readonly #table = new PendingTable();
  readonly #sharing: Sharing;
  readonly #questions: Questions;
  readonly #staleTimer: StaleTimer;

  constructor(deps: MissesDeps) {
    this.#deps = deps;
    this.#responder = new Responder(deps);
    this.#sharing = new Sharing(deps.context.counters);
    this.#questions = new Questions({
      answered: (question, outcome) => this.#answered(question, outcome),
      answeredLate: (question, answer) => this.#answeredLate(question, answer),
    });
    this.#staleTimer = new StaleTimer(deps.clock, (pending) => this.#staleTimerFired(pending));
  }

  /** Questions under way. */
  get size(): number {
    return this.#table.size;
  }

  get waiters(): number {
    return this.#table.waiters;
  }

  /** Takes the packet that the context's `answerNow` has just deferred. Borrows it until it returns. */
  wait(packet: Uint8Array, client: Client, nowMs: number): void {
    const { context } = this.#deps;
    const zone = context.zone!;
    const waiter = this.#waiter(zone, packet, client, nowMs);
    const pending = this.#question(zone, packet, nowMs, waiter.wants);
    this.#countMiss(zone);
    if (context.query.type === typeHinfo) this.#deps.loops.seen(packet, context.query.questionEnd, zone.block);
    this.#getFor(pending, packet, client, waiter);
  }

  /** The same for a subquery, which the context has read, in its zone. */
  waitForSubquery(packet: Uint8Array, client: Client, { askedAtMs, depth, ours }: Subquery): void {
    const zone = this.#deps.context.zone!;
    const waiter: Waiter = { ...this.#waiter(zone, packet, client, askedAtMs), ours };
    this.#getFor(this.#question(zone, packet, askedAtMs, waiter.wants, depth), packet, client, waiter);
  }

  /**
   * The client waits for the answer to another question than its own, which is asked unless it is under way. `over` is
   * called once there is one, or none will come. The context reads the question.
   */
  waitForOther(zone: ServedZone, question: Uint8Array, { remote, local }: Client, over: () => void): void {
    const { context, clock } = this.#deps;
    const packet = ownQuery({ question, recursionDesired: true, checkingDisabled: false, dnssecOk: false });
    if (readQuery(packet, packet.length, context.query) !== 'ok') return over();
    const ended = () => queueMicrotask(over);
    context.zone = zone;
    const asker: Client = { transport: overTcp, remote, local, reply() {} };
    const ours = { answered: ended, failed: ended };
    this.waitForSubquery(packet, asker, { askedAtMs: clock.nowMs(), depth: 0, ours });
  }

  /** Answers the packet that the context has read from what is cached: there is no room for it to wait. */
  refuse(packet: Uint8Array, client: Client, nowMs: number): void {
    const { context } = this.#deps;
    const zone = context.zone!;
    context.counters.count('overloadedHandOver');
    const waiter = this.#waiter(zone, packet, client, nowMs);
    this.#turnAway(this.#question(zone, packet, nowMs, waiter.wants), waiter);
  }

  /** Refreshes what the context's `answerNow` has just answered with. */
  refresh(packet: Uint8Array, client: Client, nowMs: number): void {
    const { context } = this.#deps;
    const zone = context.zone!;
    // The answer is for the cache, which keeps nothing that was asked without RD.
    context.query.flags |= flagRd;
    const pending = this.#question(zone, packet, nowMs, 'answer');
    if (this.#table.find(pending) !== null || !this.#table.hasRoom) return;
    context.counters.zones[context.counters.zoneBase(zone.ordinal) + zonePlaces.prefetches]++;
    this.#getFor(pending, packet, client, null);
  }

  /**
   * Asks for the cache, for nobody, with DO and CD as `key` has them; false: it is being asked, or there is no room. The
   * context reads the question.
   */
  askFor(zone: ServedZone, question: Uint8Array, nowMs: number, key = 0): boolean {
    const { context } = this.#deps;
    const [checkingDisabled, dnssecOk] = [keyCheckingDisabled, keyDnssecOk].map((bit) => (key & bit) !== 0);
    const packet = ownQuery({ question, recursionDesired: true, checkingDisabled, dnssecOk });
    if (readQuery(packet, packet.length, context.query) !== 'ok') return false;
    const pending = this.#question(zone, packet, nowMs, 'answer');
    if (this.#table.find(pending) !== null || !this.#table.hasRoom) return false;
    this.#getFor(pending, packet, nobodysClient, null);
    return true;
  }

  /** `waiter` is null for a refresh. */
  #getFor(pending: PendingQuestion, packet: Uint8Array, client: Client, waiter: Waiter | null): void {
    const { route, zone, question } = pending;
    // A refresh uses TCP, as in CoreDNS: what is cached for all must not be cut for one.
    const transport = waiter === null ? overTcp : client.transport;
    if (route.plan !== null || route.make !== null) {
      const { flags } = this.#deps.context.query;
      const { address: remote } = client.remote;
      const query = { id: u16(packet, 0), flags, question, remote, packet, client, ordinal: zone.ordinal };
      const plan = route.plan === null ? null : route.plan(query);
      if (plan !== null) return this.#followPlan(pending, plan, query, transport, waiter);
      const made = route.make === null ? null : route.make(query, zone, client);
      if (made !== null && made.kind !== 'next') {
        return this.#respondMade(pending, made, { client, transport }, waiter);
      }
    }
    if (this.#enter(pending, waiter)) this.#askAsItIs(pending, client, transport);
  }

  #askAsItIs(question: PendingQuestion, client: Client, transport: Transport): void {
    const request = question.asRequest(transport, clientFor(question, client));
    // This `ask` uses subqueries, which are not shared themselves.
    if (question.asksOurselves) question.ask(request, question.done, question.late);
    else this.#sharing.ask(question, question.done, question.late);
  }

  #answered(question: PendingQuestion, outcome: Outcome): void {
    this.#finish(question, outcome, null);
    // A log may keep what it is given.
    if (outcome.ok && !question.asksOurselves && question.route.logQuery === null) this.#questions.free(question);
  }

  /** Makes and asks what the plan says in place of the question. */
  #followPlan(
    asked: Pending,
    plan: PlanOrFailure,
    query: QueryToPlan,
    transport: Transport,
    waiter: Waiter | null,
  ): void {
    if ('failure' in plan) {
      const outcome: Outcome = { ok: false, why: 'nobody', text: plan.failure };
      return this.#responder.respond(asked, waiter === null ? [] : [waiter], outcome, null);
    }
    const pending: Pending = { ...asked, plan, isJoinable: plan.holdsFor === 'everybody' };
    if (!this.#enter(pending, waiter)) return;
    const { route, zone } = pending;
    const { id, flags, remote, client } = query;
    const chase: Chase = {
      judge: (question) => judged(pending, question, remote),
      make: (question) => (route.make === null ? null : route.make({ id, flags, remote, question }, zone, client)),
      ask: (question, done) => this.#ask(pending, question, { client, transport }, done),
      lookUp: (question, done) => lookUpFor(pending, question, { client, transport }, done),
      next: plan.next,
    };
    followUp(chase, plan.question, (outcome, made) => this.#finish(pending, outcome, made));
  }

  #respondMade(pending: Pending, made: Answered, from: Origin, waiter: Waiter | null): void {
    if (made.kind === 'servfail' || made.follow === null) {
      const waiters = waiter === null ? [] : [waiter];
      const done: Done = (outcome, source) => this.#responder.respond(pending, waiters, outcome, source);
      return finishMade(made, () => {}, done);
    }
    const following: Pending = { ...pending, isJoinable: false };
    if (!this.#enter(following, waiter)) return;
    const lookUp: Chase['lookUp'] = (question, done) => lookUpFor(following, question, from, done);
    finishMade(made, lookUp, (outcome, source) => this.#finish(following, outcome, source));
  }

  #waiter(zone: ServedZone, packet: Uint8Array, client: Client, receivedAtMs: number): Waiter {
    const { query } = this.#deps.context;
    const kept = keptQuery(packet, query, this.#questions.copy);
    const waiter = this.#questions.waiter(client, kept, packet.length, receivedAtMs);
    waiter.zone = zone;
    waiter.wants = query.type === typeAaaa && zone.aaaa !== aaaaForward ? 'aaaa' : 'answer';
    return waiter;
  }

  #question(zone: ServedZone, packet: Uint8Array, nowMs: number, wants: Waiter['wants'], depth = 0): PendingQuestion {
    const { query, blocks } = this.#deps.context;
    const { copy } = this.#questions;
    const question = wants === 'aaaa' ? questionForType(packet, query, typeA, copy) : questionOf(packet, query, copy);
    const key = keyOf(query);
    const begun = this.#questions.question({
      question,
      zoneId: zone.zoneId,
      key,
      recursionDesired: (query.flags & flagRd) !== 0,
      hash: hashOf(question, key, blocks.hashKey),
      zone,
      route: this.#deps.routes.get(zone)!,
      startedAtMs: nowMs,
      depth,
    });
    begun.hasStale = this.#responder.findForStaleTimer(begun) !== 0;
    return begun;
  }

  #countMiss(zone: ServedZone): void {
    this.#deps.denials.missed();
    if (zone.cache === null) return;
    const { counters } = this.#deps.context;
    const base = counters.zoneBase(zone.ordinal);
    counters.zones[base + zonePlaces.cacheRequests]++;
    counters.zones[base + zonePlaces.misses]++;
  }

  #join(running: Pending, waiter: Waiter, nowMs: number): void {
    const { counters } = this.#deps.context;
    const staleTimerMs = running.route.keep?.staleTimerMs ?? Number.POSITIVE_INFINITY;
    if (running.hasStale && nowMs >= running.startedAtMs + staleTimerMs) {
      const stale = this.#responder.findForStaleTimer(running);
      if (stale !== 0) return this.#responder.sendUsable(running.zone, [waiter], stale, 'stalePatience');
    }
    const joined = this.#table.join(running, waiter);
    if (joined === 'joined') {
      counters.count('coalesced');
      if (running.hasStale) this.#staleTimer.watch(running);
      return;
    }
    counters.count(joined);
    this.#turnAway(running, waiter);
  }

  /** For a client that may not wait, a stale answer is better than a failure. */
  #turnAway(pending: Pending, waiter: Waiter): void {
    const usable = this.#responder.findUsable(pending);
    if (usable === 0) this.#responder.sendFailure(waiter, 'no-room');
    else this.#responder.sendUsable(pending.zone, [waiter], usable, 'staleOnFailure');
  }

  /** Whether this question is to be asked: it is not under way, and there is room for it and its waiter. */
  #enter(pending: Pending, waiter: Waiter | null): boolean {
    if (waiter !== null) {
      const running = pending.isJoinable ? this.#table.find(pending) : null;
      if (running !== null && (waiter.ours === null || mayWaitFor(running, pending))) {
        this.#join(running, waiter, pending.startedAtMs);
        return false;
      }
      pending.waiters.push(waiter);
    }
    if (!this.#take(pending)) return false;
    if (pending.hasStale && waiter !== null) this.#staleTimer.watch(pending);
    return true;
  }

  /** Adds a question with its waiter to the table; without room it turns the waiter away. */
  #take(pending: Pending): boolean {
    const { counters } = this.#deps.context;
    const client = clientOf(pending);
    const hasShare = client === undefined || this.#table.hasShareFor(client);
    if (this.#table.hasRoom && hasShare) {
      this.#table.add(pending);
      return true;
    }
    counters.count(hasShare ? 'overloadedPending' : 'overloadedClient');
    toEach(pending.waiters, (waiter) => this.#turnAway(pending, waiter));
    return false;
  }

  #ask(pending: Pending, question: Uint8Array, from: Origin, done: (outcome: Outcome) => void): void {
    const { recursionDesired, key, plan, startedAtMs, depth } = pending;
    // Where one question leads to another, the answer to the first is not the whole answer.
    const isWhole = pending.isJoinable && plan?.next === null;
    const late = isWhole ? (answer: Answer) => this.#answeredLate(pending, answer) : undefined;
    const request: Request = {
      question,
      recursionDesired: plan?.recursionDesired ?? recursionDesired,
      checkingDisabled: (key & keyCheckingDisabled) !== 0,
      dnssecOk: (key & keyDnssecOk) !== 0,
      clientTransport: from.transport === overTcp ? 'tcp' : 'udp',
      client: clientFor(pending, from.client),
      options: plan?.options,
      askedAtMs: startedAtMs,
      depth,
    };
    const { ask, asksOurselves } = pending.route;
    // This `ask` uses subqueries, which are not shared themselves.
    if (asksOurselves) return ask(request, done, late);
    const hash = hashOf(question, key, this.#deps.context.blocks.hashKey);
    this.#sharing.ask({ ask, request, askedAtMs: startedAtMs, hash }, done, late);
  }

  /** A late answer, after the question had failed, is cached and given to clients that ask the same again by now. */
  #answeredLate(pending: Pending, answer: Answer): void {
    const rcode = messageRcode(answer.message);
    if ((rcode !== rcodeNoError && rcode !== rcodeNxDomain) || this.#responder.hasNewer(pending)) return;
    const running = this.#table.find(pending);
    this.#responder.respond(pending, running === null ? [] : this.#table.takeWaiters(running), answer, null);
  }

  #finish(pending: Pending, outcome: Outcome, made: MadeSource | null): void {
    this.#staleTimer.end(pending);
    const waiters = this.#table.remove(pending);
    try {
      if (outcome.ok && made === null) this.#deps.upstreamAnswered();
      this.#responder.respond(pending, waiters, outcome, made);
      if (made === null) this.#deps.denials.answered(pending, waiters, outcome);
    } catch (error) {
      // They are in no table any more.
      for (const { client } of waiters) leaveUnanswered(client);
      throw error;
    }
  }

  /** The clients get the stale answer; the question stays under way. */
  #staleTimerFired(pending: Pending): void {
    const stale = this.#responder.findForStaleTimer(pending);
    if (stale === 0) return;
    this.#responder.sendUsable(pending.zone, this.#table.takeWaiters(pending), stale, 'stalePatience');
  }
}

const nobody = { address: '', port: 0 };
const nobodysClient: Client = { transport: overTcp, remote: nobody, local: nobody, reply() {} };

/** The first client; undefined for a refresh. */
function clientOf({ waiters }: Pending): string | undefined {
  return waiters[0]?.client.remote.address;
}

/** For the request. A refresh has none, but access rules of a subquery are for the client whose query led to it. */
function clientFor(pending: Pending, { remote }: Client): string | undefined {
  return clientOf(pending) ?? (pending.asksOurselves ? remote.address : undefined);
}

/** RFC 8767's client response timer: one sweep for all questions whose clients are to get a stale answer in time. */
export class StaleTimer {
  readonly #clock: Clock;
  readonly #lost: (pending: Pending) => void;
  /** Bounded by the questions under way. */
  readonly #watched = new Set<Pending>();
  #sweeper: Timer | null = null;

  /** `lost` is called once for a watched question, when its clients have waited long enough. */
  constructor(clock: Clock, lost: (pending: Pending) => void) {
    this.#clock = clock;
    this.#lost = lost;
  }

  /** Does nothing where clients wait until the upstream fails. */
  watch(pending: Pending): void {
    const { keep } = pending.route;
    if (keep === null || keep.staleTimerMs === Number.POSITIVE_INFINITY) return;
    this.#watched.add(pending);
    this.#sweeper ??= this.#clock.every(sweepPeriodMs, () => this.#sweep());
  }

  end(pending: Pending): void {
    this.#watched.delete(pending);
  }

  #sweep(): void {
    const nowMs = this.#clock.nowMs();
    try {
      toEach(this.#watched, (pending) => {
        if (nowMs < pending.startedAtMs + pending.route.keep!.staleTimerMs) return;
        this.#watched.delete(pending);
        this.#lost(pending);
      });
    } finally {
      if (this.#watched.size === 0) this.#sweeper?.stop();
      if (this.#watched.size === 0) this.#sweeper = null;
    }
  }
}
