/**
 * The spine's waiting half, in the control lane: what could not be answered at once is made here, joins an
 * identical question, or is asked upstream. Every waiter gets exactly one answer; `respond.ts` says which.
 */
import { type BlockRef, keyCheckingDisabled, keyDnssecOk } from '../cache/blocks.js';
import { overTcp, type Transport, zonePlaces } from '../counters.js';
import { keptQuery, questionForType, questionOf } from '../dns/query.js';
import { flagRd, messageRcode, rcodeNoError, rcodeNxDomain, typeA, typeAaaa, u16 } from '../dns/wire.js';
import type { Client } from '../listen/client.js';
import { toEach } from '../scheduling/each.js';
import type { Answer, Outcome, Request } from '../upstream/ask.js';
import { type Chase, type Done, finishMade, followUp } from './chase.js';
import { keyOf } from './fast-path.js';
import { type LoopWatch, typeHinfo } from './loop.js';
import { hashOf, type Pending, PendingTable, type Waiter } from './pending.js';
import { leaveUnanswered, type MadeFacts, type SettleDeps, Settler } from './respond.js';
import type { CourseQuery, Made, PlanCourse } from './route.js';
import { Sharing } from './sharing.js';
import { StaleTimer } from './stale-timer.js';
import { judged, lookUpFor, mayWaitFor, type Origin, type Subquestion } from './subquestion.js';
import { aaaaForward, type ServedZone } from './zones.js';

interface MissesDeps extends SettleDeps {
  readonly loops: Pick<LoopWatch, 'seen'>;
  /** An upstream has answered: readiness waits for the first. */
  upstreamAnswered(): void;
}

type PlannedCourse = NonNullable<ReturnType<PlanCourse>>;
type Answered = Exclude<Made, { kind: 'next' }>;

export class Misses {
  readonly #deps: MissesDeps;
  readonly #settler: Settler;
  readonly #table = new PendingTable();
  readonly #sharing: Sharing;
  /** Of clients that have a stale answer at hand. */
  readonly #patience: StaleTimer;

  constructor(deps: MissesDeps) {
    this.#deps = deps;
    this.#settler = new Settler(deps);
    this.#sharing = new Sharing(deps.lane.counters);
    this.#patience = new StaleTimer(deps.clock, (pending) => this.#settleImpatient(pending));
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
  wait(packet: Uint8Array, asker: Client, nowMs: number): void {
    const { lane } = this.#deps;
    const zone = lane.zone!;
    const waiter = this.#waiter(zone, packet, asker, nowMs);
    const pending = this.#question(zone, packet, nowMs, waiter.wants);
    this.#countMiss(zone);
    if (lane.query.type === typeHinfo) this.#deps.loops.seen(packet, lane.query.questionEnd, zone.block);
    this.#getFor(pending, packet, asker, waiter);
  }

  /** The same for a question of ours (within.ts), which the lane has read, in its zone. */
  waitWithin(packet: Uint8Array, asker: Client, { askedAtMs, depth, ours }: Subquestion): void {
    const zone = this.#deps.lane.zone!;
    const waiter: Waiter = { ...this.#waiter(zone, packet, asker, askedAtMs), ours };
    this.#getFor(this.#question(zone, packet, askedAtMs, waiter.wants, depth), packet, asker, waiter);
  }

  /** Answers the packet that the lane has read at once, by what is known: there is no room for it to wait. */
  refuse(packet: Uint8Array, asker: Client, nowMs: number): void {
    const { lane } = this.#deps;
    const zone = lane.zone!;
    lane.counters.count('overloadedHandOver');
    const waiter = this.#waiter(zone, packet, asker, nowMs);
    this.#turnAway(this.#question(zone, packet, nowMs, waiter.wants), waiter);
  }

  /** Gets anew what the lane's `answerNow` has just answered, so that the next client finds it fresh. */
  refresh(packet: Uint8Array, asker: Client, nowMs: number): void {
    const { lane } = this.#deps;
    const zone = lane.zone!;
    // This is asked for the cache, which keeps nothing that was asked without RD.
    lane.query.flags |= flagRd;
    const pending = this.#question(zone, packet, nowMs, 'answer');
    if (this.#table.find(pending) !== null || !this.#table.hasRoom) return;
    lane.counters.zones[lane.counters.zoneBase(zone.ordinal) + zonePlaces.prefetches]++;
    this.#getFor(pending, packet, asker, null);
  }

  /** Makes or asks what the question takes; `waiter` is null for a refresh. */
  #getFor(pending: Pending, packet: Uint8Array, asker: Client, waiter: Waiter | null): void {
    const { route, zone, question } = pending;
    // Over TCP, as CoreDNS refreshes: what is kept for all must not be cut for one.
    const transport = waiter === null ? overTcp : asker.transport;
    if (route.plan !== null || route.make !== null) {
      const query = this.#queryOf(pending, packet, asker);
      const course = route.plan === null ? null : route.plan(query);
      if (course !== null) return this.#setOut(pending, course, query, transport, waiter);
      const made = route.make === null ? null : route.make(query, zone, asker);
      if (made !== null && made.kind !== 'next') {
        return this.#settleMade(pending, made, { asker, transport }, waiter);
      }
    }
    if (!this.#enter(pending, waiter)) return;
    this.#ask(pending, question, { asker, transport }, (outcome) => this.#finish(pending, outcome, null));
  }

  #queryOf({ question, zone: { ordinal } }: Pending, packet: Uint8Array, asker: Client): CourseQuery {
    const { flags } = this.#deps.lane.query;
    return { id: u16(packet, 0), flags, question, remote: asker.remote.address, packet, asker, ordinal };
  }

  /** Makes and asks what the course says, in the place of the question. */
  #setOut(
    asked: Pending,
    course: PlannedCourse,
    query: CourseQuery,
    transport: Transport,
    waiter: Waiter | null,
  ): void {
    if ('failure' in course) {
      const outcome: Outcome = { ok: false, why: 'nobody', text: course.failure };
      return this.#settler.settle(asked, waiter === null ? [] : [waiter], outcome, null);
    }
    const pending: Pending = { ...asked, course, isJoinable: course.holdsFor === 'everybody' };
    if (!this.#enter(pending, waiter)) return;
    const { route, zone } = pending;
    const { id, flags, remote, asker } = query;
    const chase: Chase = {
      judge: (question) => judged(pending, question, remote),
      make: (question) => (route.make === null ? null : route.make({ id, flags, remote, question }, zone, asker)),
      ask: (question, done) => this.#ask(pending, question, { asker, transport }, done),
      lookUp: (question, done) => lookUpFor(pending, question, { asker, transport }, done),
      next: course.next,
    };
    followUp(chase, course.question, (outcome, made) => this.#finish(pending, outcome, made));
  }

  #settleMade(pending: Pending, made: Answered, from: Origin, waiter: Waiter | null): void {
    if (made.kind === 'servfail' || made.follow === null) {
      const waiters = waiter === null ? [] : [waiter];
      const done: Done = (outcome, facts) => this.#settler.settle(pending, waiters, outcome, facts);
      return finishMade(made, () => {}, done);
    }
    const following: Pending = { ...pending, isJoinable: false };
    if (!this.#enter(following, waiter)) return;
    const lookUp: Chase['lookUp'] = (question, done) => lookUpFor(following, question, from, done);
    finishMade(made, lookUp, (outcome, facts) => this.#finish(following, outcome, facts));
  }

  #waiter(zone: ServedZone, packet: Uint8Array, asker: Client, receivedAtMs: number): Waiter {
    const { query } = this.#deps.lane;
    const { type } = query;
    const wants = type === typeAaaa && zone.aaaa !== aaaaForward ? 'aaaa' : 'answer';
    const queryBytes = packet.length;
    return { asker, packet: keptQuery(packet, query), queryBytes, receivedAtMs, zone, wants, ours: null };
  }

  #question(zone: ServedZone, packet: Uint8Array, nowMs: number, wants: Waiter['wants'], depth = 0): Pending {
    const { query } = this.#deps.lane;
    const question = wants === 'aaaa' ? questionForType(packet, query, typeA) : questionOf(packet, query);
    const key = keyOf(query);
    const recursionDesired = (query.flags & flagRd) !== 0;
    const { zoneId } = zone;
    const route = this.#deps.routes.get(zone)!;
    return {
      question,
      zoneId,
      key,
      recursionDesired,
      hash: hashOf(question, zoneId, key, this.#deps.lane.blocks.hashKey),
      isJoinable: true,
      course: null,
      zone,
      route,
      startedAtMs: nowMs,
      hasStale: this.#settler.findForImpatient(zone, question, key) !== 0,
      depth,
      asksOurselves: route.asksOurselves,
      waiters: [],
      next: null,
    };
  }

  #forImpatient({ zone, question, key }: Pending): BlockRef {
    return this.#settler.findForImpatient(zone, question, key);
  }

  #countMiss(zone: ServedZone): void {
    if (zone.cache === null) return;
    const { counters } = this.#deps.lane;
    const base = counters.zoneBase(zone.ordinal);
    counters.zones[base + zonePlaces.cacheRequests]++;
    counters.zones[base + zonePlaces.misses]++;
  }

  #join(running: Pending, waiter: Waiter, nowMs: number): void {
    const { counters } = this.#deps.lane;
    const patienceMs = running.route.keep?.patienceMs ?? Number.POSITIVE_INFINITY;
    if (running.hasStale && nowMs >= running.startedAtMs + patienceMs) {
      const stale = this.#forImpatient(running);
      if (stale !== 0) return this.#settler.sendUsable(running.zone, [waiter], stale, 'stalePatience');
    }
    const joined = this.#table.join(running, waiter);
    if (joined === 'joined') {
      counters.count('coalesced');
      if (running.hasStale) this.#patience.watch(running);
      return;
    }
    counters.count(joined);
    this.#turnAway(running, waiter);
  }

  /** Nobody more may wait: what is known, though it be stale, is better than a failure. */
  #turnAway(pending: Pending, waiter: Waiter): void {
    const usable = this.#settler.findUsable(pending.zone, pending.question, pending.key);
    if (usable === 0) this.#settler.sendFailure(waiter, 'no-room');
    else this.#settler.sendUsable(pending.zone, [waiter], usable, 'staleOnFailure');
  }

  /** Whether it falls to us to get this: it is not under way, and there is room for it and for its waiter. */
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
    if (pending.hasStale && waiter !== null) this.#patience.watch(pending);
    return true;
  }

  /** Puts a question with its waiter into the table; without room the waiter is told so. */
  #take(pending: Pending): boolean {
    const { counters } = this.#deps.lane;
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
    // Where one question leads to another, an answer to the first alone is none.
    const isWhole = pending.isJoinable && (pending.course === null || pending.course.next === null);
    const late = isWhole ? (answer: Answer) => this.#answeredLate(pending, answer) : undefined;
    const request = this.#requestFor(pending, question, from);
    const { ask, asksOurselves } = pending.route;
    // What asks by questions of ours is not asked upstream itself.
    if (asksOurselves) return ask(request, done, late);
    const hash = hashOf(question, 0, pending.key, this.#deps.lane.blocks.hashKey);
    this.#sharing.ask({ ask, request, askedAtMs: pending.startedAtMs, hash }, done, late);
  }

  #requestFor(pending: Pending, question: Uint8Array, from: Origin): Request {
    const { recursionDesired, key, course, startedAtMs, depth } = pending;
    return {
      question,
      recursionDesired: course?.recursionDesired ?? recursionDesired,
      checkingDisabled: (key & keyCheckingDisabled) !== 0,
      dnssecOk: (key & keyDnssecOk) !== 0,
      clientTransport: from.transport === overTcp ? 'tcp' : 'udp',
      // A refresh is nobody's, but what rules say of a question of ours is for the client whose answer it was.
      client: clientOf(pending) ?? (pending.asksOurselves ? from.asker.remote.address : undefined),
      options: course === null ? undefined : course.options,
      askedAtMs: startedAtMs,
      depth,
    };
  }

  /** An answer that came after its question had failed: kept, and given to those who ask the same again by now. */
  #answeredLate(pending: Pending, answer: Answer): void {
    const rcode = messageRcode(answer.message);
    if ((rcode !== rcodeNoError && rcode !== rcodeNxDomain) || this.#settler.hasNewer(pending)) return;
    const running = this.#table.find(pending);
    this.#settler.settle(pending, running === null ? [] : this.#table.takeWaiters(running), answer, null);
  }

  #finish(pending: Pending, outcome: Outcome, made: MadeFacts | null): void {
    this.#patience.end(pending);
    const waiters = this.#table.remove(pending);
    try {
      if (outcome.ok && made === null) this.#deps.upstreamAnswered();
      this.#settler.settle(pending, waiters, outcome, made);
    } catch (error) {
      // Nobody else remembers them.
      for (const { asker } of waiters) leaveUnanswered(asker);
      throw error;
    }
  }

  /** The upstream is slower than clients wait: they get the stale answer, and the question stays under way. */
  #settleImpatient(pending: Pending): void {
    const stale = this.#forImpatient(pending);
    if (stale === 0) return;
    this.#settler.sendUsable(pending.zone, this.#table.takeWaiters(pending), stale, 'stalePatience');
  }
}

/** Who asked first; undefined where we ask for ourselves. */
function clientOf({ waiters }: Pending): string | undefined {
  return waiters[0]?.asker.remote.address;
}
