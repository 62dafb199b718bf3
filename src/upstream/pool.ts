/**
 * The TCP connections to one upstream address. CoreDNS serves the requests of a connection one after another, so there
 * are several with few requests each: a request goes to the least loaded; another is opened when all carry a few;
 * without room it waits in a bounded queue. A client with many requests keeps to its share of the connections, so that
 * names without an answer delay no other client. While the address is in doubt, queries go to connections that have
 * answered, and a probe is sent on a new one first.
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
  queryDeadlineMs,
  shortConnectionsMs,
} from '../limits.js';
import { doAll, toEach } from '../scheduling/each.js';
import { asksMuch, Shares } from '../scheduling/shares.js';
import { type Attempt, AttemptQueue, anyTime, type Hedge, type Sent } from './attempt.js';
import { Connection, type ConnectionOwner } from './connection.js';
import type { UpstreamAddress } from './endpoint.js';
import type { Doubt } from './scout.js';

/** Added for one that is connecting or in doubt: its answer comes a round trip later. */
const connectingLoad = 2 * connectionInflightTarget;
/** Added for a delayed one: waiting for a handshake beats waiting behind a slow answer. */
const slowLoad = 3 * connectionInflightTarget;
/** A balancer that alternates gives one of two to a live endpoint. */
const stockScouts = 2;
/** A replacement is opened so long before the last one would close. */
const stockLastsMs = 2_000;

/** How much the client of a request has in flight; `own`: so much that only connections with its own are left to it. */
type Asks = 'little' | 'much' | 'own';

export class Pool implements ConnectionOwner {
  readonly #doubt: Doubt;
  readonly #address: UpstreamAddress;
  /** The oldest first, so that those opened for a burst are the first to become idle. */
  readonly #connections: Connection[] = [];
  readonly #queue: AttemptQueue;
  /** Requests in flight, and connections in use, by client. */
  readonly #underWay = new Shares();
  readonly #used = new Shares();
  readonly #habit = new ClosingHabit();
  /**
   * All connections of a client may lead to a dead endpoint, and be its share. Its hedges may use one more, which all such
   * clients have in common, so that names without an answer hold no others up.
   */
  #rescue: Connection | null = null;
  /** Got the latest request: requests of one turn leave in one write. */
  #filling: Connection | null = null;
  /** Requests per connection before another is used. */
  #target = connectionInflightTarget;
  #fewUntilMs = 0;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #retired = false;

  constructor(address: UpstreamAddress, doubt: Doubt) {
    this.#address = address;
    this.#doubt = doubt;
    this.#queue = new AttemptQueue(address.to);
  }

  get size(): number {
    return this.#connections.length;
  }

  suspects(nowMs: number): number {
    return this.#connections.reduce((sum, connection) => sum + (connection.isSuspect(nowMs) ? 1 : 0), 0);
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Sends the attempt, or queues it. */
  send(attempt: Attempt, nowMs: number, hedge: Hedge | null): Sent {
    this.#lastSentMs = nowMs;
    if (hedge === null && this.#queue.size > 0) this.#serveWaiting(nowMs);
    const connection =
      hedge !== null ? this.#findOther(attempt, nowMs, hedge) : this.#findFor(attempt.request.client, nowMs);
    if (connection === null) {
      // A hedge has another attempt pending.
      if (hedge !== null && !this.#isWithinShare(attempt.request.client)) return 'full';
      return this.#queue.push(attempt, nowMs) ? 'proven' : 'full';
    }
    this.#give(attempt, connection, nowMs);
    return this.#doubt.verdict(connection.lastHeardMs, hedge, nowMs);
  }

  /** Whether a connection that this client's hedge may use has answered since. */
  wasHeardFor(client: string | undefined, hedge: Hedge, nowMs: number): boolean {
    return this.#heardFor(client, hedge, nowMs) !== null;
  }

  /** Opens a connection with a probe; it stays for queries once that is answered. */
  scout(probe: Attempt, nowMs: number): void {
    this.#open(nowMs).send(probe, nowMs);
  }

  /** Whether a trusted connection is open and will be for a while. */
  hasStock(nowMs: number): boolean {
    return this.#connections.some(
      (one) => this.#doubt.trusts(one.lastHeardMs, nowMs) && one.lastsFor(stockLastsMs, nowMs),
    );
  }

  /** Whether a trusted connection is kept open, so that sweeps are needed. */
  keepsStock(nowMs: number): boolean {
    return !this.#retired && this.#doubt.isIn(nowMs) && nowMs - this.#lastSentMs < doubtStockMs;
  }

  /** Up again: connections still silent take nothing new, as TCP resends lost segments after a second or more. */
  retireSilent(nowMs: number): void {
    for (const connection of this.#connections) {
      if (connection.inflight > 0 && connection.lastHeardMs < nowMs) connection.retire(nowMs);
    }
  }

  /** Takes no more requests: connections close as they become idle. */
  retire(nowMs: number): void {
    this.#retired = true;
    const idle = this.#connections.filter(({ inflight }) => inflight === 0);
    toEach(idle, (connection) => connection.close(nowMs));
  }

  /** Closes everything; requests in flight are lost. */
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
    if (this.#rescue === connection) this.#rescue = null;
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
    const { reused, opened } = this.#address.stats;
    if (connection.isNew) opened[1]++;
    else reused[1]++;
    connection.send(attempt, nowMs, asksMuch(this.#underWay.of(attempt.request.client)));
    this.#filling = connection;
  }

  /** Null when there is no room for this client. */
  #findFor(client: string | undefined, nowMs: number): Connection | null {
    if (!asksMuch(this.#underWay.of(client))) return this.#find(client, 'little', nowMs);
    return this.#find(client, this.#isWithinShare(client) ? 'much' : 'own', nowMs);
  }

  /** A client may use as many connections as are free for others. */
  #isWithinShare(client: string | undefined): boolean {
    const has = this.#used.of(client);
    if (!asksMuch(has)) return true;
    let free = connectionsPerUpstreamMax;
    for (const { inflight } of this.#connections) if (inflight > 0) free--;
    return has < free;
  }

  /**
   * The connection to use, opened if need be; null without room. `own`: only one with a request of this client, where it
   * waits for itself alone. `little`: rather one without a client that asks much.
   */
  #find(client: string | undefined, asks: Asks, nowMs: number): Connection | null {
    const filling = this.#filling;
    if (filling?.hasUnwritten && this.#load(filling, nowMs) < this.#target) {
      const isMeant = asks === 'own' ? filling.carriesFor(client) : asks === 'much' || !filling.carriesHeavy;
      if (isMeant && filling.takes(this.#habit.requestsMax(nowMs), nowMs)) return filling;
    }
    this.#target = this.#targetAt(nowMs);
    if (asks === 'own') return this.#best(asks, nowMs, (connection) => connection.carriesFor(client));
    const best = this.#best(asks, nowMs);
    const load = best === null ? Number.POSITIVE_INFINITY : this.#loadFor(asks, best, nowMs);
    if (best !== null && load < this.#target) return best;
    if (this.#makesRoom(nowMs)) return this.#find(client, asks, nowMs);
    if (!this.#mayOpen(best)) return best;
    const opened = this.#open(nowMs);
    const scout = this.#doubt.isIn(nowMs) ? this.#doubt.newScout(nowMs) : null;
    if (scout !== null) opened.send(scout, nowMs);
    return best !== null && load <= this.#loadFor(asks, opened, nowMs) ? best : opened;
  }

  /**
   * For a hedge: one that has answered since, else one that answered earlier and may reach the silent endpoint, else a
   * new one.
   */
  #findOther(attempt: Attempt, nowMs: number, hedge: Hedge): Connection | null {
    const { client } = attempt.request;
    const isWithinShare = this.#isWithinShare(client);
    const isMeant = this.#meantFor(client, hedge);
    const heard = this.#heardFor(client, hedge, nowMs) ?? this.#lastHeard(anyTime, nowMs, isMeant);
    if (heard !== null) return heard;
    const best = this.#best('much', nowMs, isMeant);
    if (!isWithinShare) return best;
    if (this.#makesRoom(nowMs)) return this.#findOther(attempt, nowMs, hedge);
    return this.#mayOpen(best) ? this.#open(nowMs) : best;
  }

  /** One that has answered since, for a hedge; beyond the client's share one of its own, or the shared one. */
  #heardFor(client: string | undefined, hedge: Hedge, nowMs: number): Connection | null {
    const { tried, sinceMs } = hedge;
    const heard = this.#lastHeard(sinceMs, nowMs, this.#meantFor(client, hedge));
    if (heard !== null || this.#isWithinShare(client)) return heard;
    this.#rescue ??= this.#lastHeard(sinceMs, nowMs, (connection) => !tried.includes(connection));
    const rescue = this.#rescue;
    if (rescue === null || tried.includes(rescue) || rescue.lastHeardMs < sinceMs) return null;
    return rescue.takes(this.#habit.requestsMax(nowMs), nowMs) ? rescue : null;
  }

  /** What a hedge of this client may use: not tried, and beyond the client's share one that carries for it. */
  #meantFor(client: string | undefined, { tried }: Hedge): (connection: Connection) => boolean {
    const isWithinShare = this.#isWithinShare(client);
    return (connection) => !tried.includes(connection) && (isWithinShare || connection.carriesFor(client));
  }

  /** Many requests per connection save system calls where answers are fast. */
  #targetAt(nowMs: number): number {
    let inflight = 0;
    for (const connection of this.#connections) {
      inflight += connection.inflight;
      if (connection.isHeldUp(nowMs)) this.#fewUntilMs = nowMs + heldUpMs;
    }
    const { p95Ms, averageMs } = this.#address.rtt;
    // Four slow answers one after another take four times as long as on four connections.
    if (p95Ms > fastMsMax && averageMs > fastMsMax / 2) return 1;
    if (nowMs < this.#fewUntilMs || p95Ms > fastMsMax) return connectionInflightTarget;
    return Math.min(connectionInflightMax, Math.max(connectionInflightTarget, Math.ceil(inflight / busyConnections)));
  }

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

  #best(asks: Asks, nowMs: number, isMeant: ((connection: Connection) => boolean) | null = null): Connection | null {
    const requestsMax = this.#habit.requestsMax(nowMs);
    let best: Connection | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const connection of this.#connections) {
      if (!connection.takes(requestsMax, nowMs) || (isMeant !== null && !isMeant(connection))) continue;
      const load = this.#loadFor(asks, connection, nowMs);
      if (load >= least) continue;
      best = connection;
      least = load;
      if (least === 0) break;
    }
    return best;
  }

  #loadFor(asks: Asks, connection: Connection, nowMs: number): number {
    return this.#load(connection, nowMs) + (asks === 'little' && connection.carriesHeavy ? slowLoad : 0);
  }

  #load(connection: Connection, nowMs: number): number {
    if (connection.isConnecting || !this.#doubt.trusts(connection.lastHeardMs, nowMs)) {
      return connection.inflight + connectingLoad;
    }
    return connection.inflight + (connection.isSlow(nowMs) ? slowLoad : 0);
  }

  /** While `best` has room, one unused connecting connection is enough. */
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
    const connection = new Connection(this.#address, this, nowMs);
    this.#connections.push(connection);
    return connection;
  }

  /** At the limit, closes one silent for longer than clients wait. Its queries may be sent again: look again. */
  #makesRoom(nowMs: number): boolean {
    if (this.#connections.length < connectionsPerUpstreamMax) return false;
    const silent = this.#connections.find(({ silentSinceMs }) => nowMs - silentSinceMs >= queryDeadlineMs);
    silent?.close(nowMs);
    return silent !== undefined;
  }

  #leadsNowhere(connection: Connection, nowMs: number): boolean {
    return connection.owesOnlyProbes && this.#doubt.isDeadEnd(connection, this.#address.rtt, nowMs);
  }

  #keepStock(nowMs: number): void {
    if (this.hasStock(nowMs)) return;
    const { probeWaitMs } = this.#address.rtt;
    if (this.#connections.some((one) => one.owesOnlyProbes && nowMs - one.silentSinceMs < probeWaitMs)) return;
    for (let opened = 0; opened < stockScouts; opened++) {
      const scout = this.#doubt.newScout(nowMs);
      if (scout !== null) this.scout(scout, nowMs);
    }
  }

  /** Has carried all that it may, and takes the place of another. */
  #isSpent(connection: Connection, nowMs: number): boolean {
    return connection.inflight === 0 && connection.answers >= this.#habit.requestsMax(nowMs);
  }

  #hasTooManyIdle(): boolean {
    const { idleConnectionsMax } = this.#address.settings;
    if (idleConnectionsMax === 0) return false;
    let idle = 0;
    for (const connection of this.#connections) if (connection.inflight === 0) idle++;
    return idle > idleConnectionsMax;
  }

  #serveWaiting(nowMs: number): void {
    while (this.#queue.size > 0) {
      const anybodys = this.#find(undefined, 'little', nowMs);
      if (anybodys === null) return;
      let found: Connection | null = null;
      const attempt = this.#queue.take((client) => {
        found = this.#isWithinShare(client) ? anybodys : this.#find(client, 'own', nowMs);
        return found !== null;
      });
      if (attempt === null || found === null) return;
      this.#give(attempt, found, nowMs);
    }
  }
}

/**
 * Some servers close a connection after a few answers, whatever else was asked. Two that close after the same number
 * are taken as a habit: for a while no connection gets more requests than that.
 */
class ClosingHabit {
  #lastAnswers = 0;
  #requestsMax = Number.POSITIVE_INFINITY;
  #untilMs = 0;

  /** The peer closed a connection that owed answers. */
  closedOwing(answers: number, nowMs: number): void {
    if (answers === 0 || answers >= connectionInflightMax) return;
    if (answers === this.#lastAnswers) {
      this.#requestsMax = answers;
      this.#untilMs = nowMs + shortConnectionsMs;
    }
    this.#lastAnswers = answers;
  }

  /** Requests that a connection may carry in its life. */
  requestsMax(nowMs: number): number {
    return nowMs < this.#untilMs ? this.#requestsMax : Number.POSITIVE_INFINITY;
  }
}
