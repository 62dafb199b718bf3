/**
 * The TCP connections to one upstream address. CoreDNS serves the requests of one connection one after another, so
 * there are several, with few requests on each: the least loaded is asked first, another is opened when all carry a
 * few, and what finds no place waits in a bounded queue. Connections are found, opened and let go here; when they
 * expire they know themselves. A client that asks much is kept to its share of them, so that names for which nobody
 * answers hold up nobody else. While the address is in doubt, questions go to connections that have answered, and a new
 * one is asked a question of our own first.
 */
import {
  busyConnections,
  connectionInflightMax,
  connectionInflightTarget,
  connectionsPerUpstreamMax,
  connectsAtOnceMax,
  doubtStockMs,
  fastMsMax,
  heldUpMs,
  probeTimeoutMs,
  queryDeadlineMs,
  shortConnectionsMs,
} from '../limits.js';
import { doAll, toEach } from '../scheduling/each.js';
import { asksMuch, Shares } from '../scheduling/shares.js';
import { type Again, type Attempt, type Loss, queueLoss, type Sent, Waiting } from './attempt.js';
import { Connection, type ConnectionOwner } from './connection.js';
import type { Place } from './endpoint.js';
import type { Doubt, Scouting } from './scout.js';

/** One that is not open yet, or may lead nowhere, counts as this much busier: its answer comes a round trip later. */
const connectingLoad = 2 * connectionInflightTarget;
/** One that is held up counts as this much busier: rather wait for a handshake than behind a slow answer. */
const slowLoad = 3 * connectionInflightTarget;
/** At any time. */
const earliest = Number.MIN_SAFE_INTEGER;
/** Sent at once where no connection is left that leads somewhere: with a balancer that alternates one of two does. */
const stockScouts = 2;
/** The next one is looked for so long before the last one would be closed. */
const stockLastsMs = 2_000;

export class Pool implements ConnectionOwner {
  readonly #doubt: Doubt;
  readonly #place: Place;
  readonly #scouting: Scouting;
  /** The oldest first, so that those opened for a burst are idle again first. */
  readonly #connections: Connection[] = [];
  readonly #waiting = new Waiting();
  /** What clients have under way, and on how many connections. */
  readonly #underWay = new Shares();
  readonly #used = new Shares();
  readonly #full: Loss;
  readonly #habit = new ClosingHabit();
  /** The connection that was given the last question: what it is given within one turn leaves in one write. */
  #filling: Connection | null = null;
  /** How many questions each connection is to carry before another is used. */
  #target = connectionInflightTarget;
  #fewUntilMs = 0;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #retired = false;

  constructor(place: Place, scouting: Scouting) {
    this.#place = place;
    this.#scouting = scouting;
    this.#doubt = scouting.doubt;
    this.#full = queueLoss(place.to);
  }

  /** Connections that are open or being opened. */
  get size(): number {
    return this.#connections.length;
  }

  /** Connections that owe answers and have been silent for longer than is usual. */
  suspects(nowMs: number): number {
    return this.#connections.reduce((sum, connection) => sum + (connection.isSuspect(nowMs) ? 1 : 0), 0);
  }

  /** Attempts that found no place yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Sends it, or lets it wait for a place. */
  send(attempt: Attempt, nowMs: number, again: Again | null): Sent {
    this.#lastSentMs = nowMs;
    if (again === null && this.#waiting.size > 0) this.#serveWaiting(nowMs);
    const connection =
      again !== null ? this.#findOther(attempt, nowMs, again) : this.#findFor(attempt.request.client, nowMs);
    if (connection === null) return this.#mayWait(attempt, nowMs, again) ? 'proven' : 'full';
    this.#give(attempt, connection, nowMs);
    return this.#doubt.verdict(connection.lastHeardMs, again, nowMs);
  }

  /** Whether a connection that may be used has answered since. */
  wasHeardSince(timeMs: number, nowMs: number): boolean {
    return this.#lastHeard(timeMs, nowMs, () => true) !== null;
  }

  /** Opens a connection for a question of our own; it stays for others when that is answered. */
  scout(probe: Attempt, nowMs: number): void {
    this.#open(nowMs).send(probe, nowMs);
  }

  /** Whether a connection that leads somewhere is there, and will be for a while. */
  hasStock(nowMs: number): boolean {
    return this.#connections.some(
      (one) => this.#doubt.trusts(one.lastHeardMs, nowMs) && one.lastsFor(stockLastsMs, nowMs),
    );
  }

  /** Whether a connection that leads somewhere is kept at hand, so that it has to be looked after. */
  keepsStock(nowMs: number): boolean {
    return !this.#retired && this.#doubt.isIn(nowMs) && nowMs - this.#lastSentMs < doubtStockMs;
  }

  /**
   * The upstream has just been heard after it was down. Connections that owe answers from that time are given nothing
   * new: where a SYN or data was lost, TCP sends it again only after a second or more.
   */
  retireSilent(nowMs: number): void {
    for (const connection of this.#connections) {
      if (connection.inflight > 0 && connection.lastHeardMs < nowMs) connection.retire(nowMs);
    }
  }

  /** Nothing new will be asked: connections close as they become idle. */
  retire(nowMs: number): void {
    this.#retired = true;
    const idle = this.#connections.filter(({ inflight }) => inflight === 0);
    toEach(idle, (connection) => connection.close(nowMs));
  }

  /** Closes everything; what is in flight is lost. */
  close(nowMs: number): void {
    this.#retired = true;
    toEach([...this.#connections], (connection) => connection.close(nowMs));
  }

  sweep(nowMs: number): void {
    const sweep = (connection: Connection): void => {
      connection.sweep(nowMs);
      if (this.#isSpent(connection, nowMs) || this.#leadsNowhere(connection, nowMs)) connection.close(nowMs);
    };
    doAll(
      () => toEach([...this.#connections], sweep),
      () => this.#serveWaiting(nowMs),
    );
    if (this.keepsStock(nowMs)) this.#keepStock(nowMs);
  }

  answered(connection: Connection, nowMs: number): void {
    this.#serveWaiting(nowMs);
    if (this.#isSpent(connection, nowMs)) return connection.close(nowMs);
    if (connection.inflight === 0 && (this.#retired || this.#hasTooManyIdle())) connection.close(nowMs);
  }

  closed(connection: Connection, nowMs: number): void {
    const index = this.#connections.indexOf(connection);
    if (index >= 0) this.#connections.splice(index, 1);
    if (this.#filling === connection) this.#filling = null;
    if (connection.inflight > 0 && connection.wasEndedByPeer) this.#habit.closedOwing(connection.answers, nowMs);
  }

  took(client: string | undefined, isFirst: boolean): void {
    this.#underWay.took(client);
    if (isFirst) this.#used.took(client);
  }

  gave(client: string | undefined, wasLast: boolean): void {
    this.#underWay.gave(client);
    if (wasLast) this.#used.gave(client);
  }

  #give(attempt: Attempt, connection: Connection, nowMs: number): void {
    const { reused, opened } = this.#place.stats;
    if (connection.isNew) opened[1]++;
    else reused[1]++;
    connection.send(attempt, nowMs, asksMuch(this.#underWay.of(attempt.request.client)));
    this.#filling = connection;
  }

  /** The connection to use for what this client asks; null when there is no place for it. */
  #findFor(client: string | undefined, nowMs: number): Connection | null {
    if (!asksMuch(this.#underWay.of(client))) return this.#find(nowMs, 'little');
    return this.#isWithinShare(client) ? this.#find(nowMs, 'much') : this.#findOwn(client, nowMs);
  }

  /** What is asked again has a place already, behind which it may wait. */
  #mayWait(attempt: Attempt, nowMs: number, again: Again | null): boolean {
    const { client } = attempt.request;
    if (again !== null && !this.#isWithinShare(client)) return false;
    return this.#waiting.push(attempt, this.#full, nowMs);
  }

  /** Whether it may use a connection that it does not use yet: it may have as many as are free for others. */
  #isWithinShare(client: string | undefined): boolean {
    const has = this.#used.of(client);
    if (!asksMuch(has)) return true;
    let free = connectionsPerUpstreamMax;
    for (const { inflight } of this.#connections) if (inflight > 0) free--;
    return has < free;
  }

  /** The connection to use, opened if need be; null when there is no place. */
  #find(nowMs: number, asks: 'much' | 'little'): Connection | null {
    const filling = this.#filling;
    if (filling?.hasUnwritten && this.#load(filling, nowMs) < this.#target) {
      const isApart = asks === 'much' || !filling.carriesHeavy;
      if (isApart && filling.takes(this.#habit.requestsMax(nowMs), nowMs)) return filling;
    }
    this.#target = this.#targetAt(nowMs);
    const load = (connection: Connection): number =>
      this.#load(connection, nowMs) + (asks === 'little' && connection.carriesHeavy ? slowLoad : 0);
    const best = this.#best(nowMs, load);
    if (best !== null && load(best) < this.#target) return best;
    if (this.#makesRoom(nowMs)) return this.#find(nowMs, asks);
    if (!this.#mayOpen(best)) return best;
    const opened = this.#openInDoubt(nowMs);
    return best !== null && load(best) <= load(opened) ? best : opened;
  }

  /** Among those that carry something of this client already: there it waits for itself alone. */
  #findOwn(client: string | undefined, nowMs: number): Connection | null {
    const filling = this.#filling;
    const isOwn = (connection: Connection): boolean => connection.carriesFor(client);
    if (filling?.hasUnwritten && this.#load(filling, nowMs) < this.#target && isOwn(filling)) {
      if (filling.takes(this.#habit.requestsMax(nowMs), nowMs)) return filling;
    }
    this.#target = this.#targetAt(nowMs);
    return this.#best(nowMs, (connection) => this.#load(connection, nowMs), isOwn);
  }

  /**
   * The connection for what was asked before without an answer: one that has answered since; else one that answered
   * earlier, which may lead to the endpoint that is silent now; else a new one.
   */
  #findOther(attempt: Attempt, nowMs: number, again: Again): Connection | null {
    const { client } = attempt.request;
    const isWithinShare = this.#isWithinShare(client);
    const isMeant = (connection: Connection): boolean =>
      !again.tried.includes(connection) && (isWithinShare || connection.carriesFor(client));
    const heard = this.#lastHeard(again.sinceMs, nowMs, isMeant) ?? this.#lastHeard(earliest, nowMs, isMeant);
    if (heard !== null) return heard;
    const best = this.#best(nowMs, (connection) => this.#load(connection, nowMs), isMeant);
    if (!isWithinShare) return best;
    if (this.#makesRoom(nowMs)) return this.#findOther(attempt, nowMs, again);
    return this.#mayOpen(best) ? this.#open(nowMs) : best;
  }

  /** Many on each saves system calls, but only where nobody waits long for it. */
  #targetAt(nowMs: number): number {
    let inflight = 0;
    for (const connection of this.#connections) {
      inflight += connection.inflight;
      if (connection.isHeldUp(nowMs)) this.#fewUntilMs = nowMs + heldUpMs;
    }
    const { p95Ms, averageMs } = this.#place.pace;
    // Four slow answers one after the other take four times as long as each on a connection of its own.
    if (p95Ms > fastMsMax && averageMs > fastMsMax / 2) return 1;
    if (nowMs < this.#fewUntilMs || p95Ms > fastMsMax) return connectionInflightTarget;
    return Math.min(connectionInflightMax, Math.max(connectionInflightTarget, Math.ceil(inflight / busyConnections)));
  }

  /** Of those that have answered since, and are not held up, the one that was heard last. */
  #lastHeard(sinceMs: number, nowMs: number, isMeant: (connection: Connection) => boolean): Connection | null {
    const requestsMax = this.#habit.requestsMax(nowMs);
    let best: Connection | null = null;
    for (const connection of this.#connections) {
      if (connection.lastHeardMs < sinceMs || connection.isSlow(nowMs)) continue;
      if (!connection.takes(requestsMax, nowMs) || !isMeant(connection)) continue;
      if (best === null || connection.lastHeardMs > best.lastHeardMs) best = connection;
      else if (connection.lastHeardMs === best.lastHeardMs && connection.inflight < best.inflight) best = connection;
    }
    return best;
  }

  /** The one with the least load, among those that may be used. */
  #best(
    nowMs: number,
    load: (connection: Connection) => number,
    isMeant: (connection: Connection) => boolean = () => true,
  ): Connection | null {
    const requestsMax = this.#habit.requestsMax(nowMs);
    let best: Connection | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const connection of this.#connections) {
      if (!connection.takes(requestsMax, nowMs) || !isMeant(connection)) continue;
      const has = load(connection);
      if (has < least) [best, least] = [connection, has];
      if (least === 0) break;
    }
    return best;
  }

  #load(connection: Connection, nowMs: number): number {
    if (connection.isConnecting || !this.#doubt.trusts(connection.lastHeardMs, nowMs)) {
      return connection.inflight + connectingLoad;
    }
    return connection.inflight + (connection.isSlow(nowMs) ? slowLoad : 0);
  }

  /** While `best` has places, one that is being opened and has nothing to carry yet is enough. */
  #mayOpen(best: Connection | null): boolean {
    if (this.#connections.length >= connectionsPerUpstreamMax) return false;
    let connecting = 0;
    for (const connection of this.#connections) {
      if (!connection.isConnecting) continue;
      if (best !== null && connection.inflight === 0) return false;
      connecting++;
    }
    return connecting < connectsAtOnceMax;
  }

  #open(nowMs: number): Connection {
    const connection = new Connection(this.#place, this, nowMs);
    this.#connections.push(connection);
    return connection;
  }

  /** Where a new connection may lead nowhere, it is asked a question of our own as well. */
  #openInDoubt(nowMs: number): Connection {
    const connection = this.#open(nowMs);
    const scout = this.#doubt.isIn(nowMs) ? this.#scouting.newScout(nowMs) : null;
    if (scout !== null) connection.send(scout, nowMs);
    return connection;
  }

  /**
   * Where there are as many as may be, closes one that has been silent for longer than clients wait. What was asked on it
   * may be asked anew at once, so that nothing found before is true after it.
   */
  #makesRoom(nowMs: number): boolean {
    if (this.#connections.length < connectionsPerUpstreamMax) return false;
    const silent = this.#connections.find(({ silentSinceMs }) => nowMs - silentSinceMs >= queryDeadlineMs);
    silent?.close(nowMs);
    return silent !== undefined;
  }

  /** It owes answers to questions of our own alone; where another connection has answered since, it is a dead end. */
  #leadsNowhere(connection: Connection, nowMs: number): boolean {
    const { silentSinceMs, openedAtMs } = connection;
    const { pace } = this.#place;
    if (!connection.owesOnlyProbes || nowMs - silentSinceMs < pace.probeWaitMs) return false;
    if (!pace.hasAnsweredSince(openedAtMs)) return nowMs - silentSinceMs >= probeTimeoutMs;
    this.#doubt.goesOn(silentSinceMs, nowMs);
    return true;
  }

  /** Sees to it that a connection is there that leads somewhere, for the next question. */
  #keepStock(nowMs: number): void {
    if (this.hasStock(nowMs)) return;
    const { probeWaitMs } = this.#place.pace;
    if (this.#connections.some((one) => one.owesOnlyProbes && nowMs - one.silentSinceMs < probeWaitMs)) return;
    for (let opened = 0; opened < stockScouts; opened++) {
      const scout = this.#scouting.newScout(nowMs);
      if (scout !== null) this.scout(scout, nowMs);
    }
  }

  /** It has carried all that it may, and would only take the place of one that may carry more. */
  #isSpent(connection: Connection, nowMs: number): boolean {
    return connection.inflight === 0 && connection.answers >= this.#habit.requestsMax(nowMs);
  }

  #hasTooManyIdle(): boolean {
    const { idleConnectionsMax } = this.#place.settings;
    if (idleConnectionsMax === 0) return false;
    let idle = 0;
    for (const connection of this.#connections) if (connection.inflight === 0) idle++;
    return idle > idleConnectionsMax;
  }

  #serveWaiting(nowMs: number): void {
    while (this.#waiting.size > 0) {
      const anybodys = this.#find(nowMs, 'little');
      if (anybodys === null) return;
      let found: Connection | null = null;
      const attempt = this.#waiting.take((client) => {
        found = this.#isWithinShare(client) ? anybodys : this.#findOwn(client, nowMs);
        return found !== null;
      });
      if (attempt === null || found === null) return;
      this.#give(attempt, found, nowMs);
    }
  }
}

/**
 * Some servers close after one answer, or after a few, whatever else was asked. Two connections closed after the same
 * few answers are taken for such a habit: for a while no connection is asked for more.
 */
class ClosingHabit {
  #lastAnswers = 0;
  #requestsMax = Number.POSITIVE_INFINITY;
  #untilMs = 0;

  /** A connection was closed that still owed something. */
  closedOwing(answers: number, nowMs: number): void {
    if (answers === 0 || answers >= connectionInflightMax) return;
    if (answers === this.#lastAnswers) {
      this.#requestsMax = answers;
      this.#untilMs = nowMs + shortConnectionsMs;
    }
    this.#lastAnswers = answers;
  }

  /** How many requests a connection may carry in its life. */
  requestsMax(nowMs: number): number {
    return nowMs < this.#untilMs ? this.#requestsMax : Number.POSITIVE_INFINITY;
  }
}
