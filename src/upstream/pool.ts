/**
 * The TCP connections to one upstream address. CoreDNS serves the requests of one connection one after another, so
 * there are several, with few requests on each: the least loaded is asked first, another is opened when all carry a
 * few, and what finds no place waits in a bounded queue. Connections are found, opened and let go here; when they
 * expire they know themselves.
 */
import {
  askAgainAfterMsMin,
  busyConnections,
  connectionInflightMax,
  connectionInflightTarget,
  connectionsPerUpstreamMax,
  connectsAtOnceMax,
  fastMsMax,
  heldUpMs,
  shortConnectionsMs,
} from '../limits.js';
import { doAll, toEach } from '../outside/each.js';
import { type Attempt, type Carrier, type Loss, queueLoss } from './attempt.js';
import { Connection, type ConnectionOwner } from './connection.js';
import type { Place } from './place.js';
import { Waiting } from './waiting.js';

/** One that is not open yet counts as this much busier: its answer comes a round trip later. */
const connectingLoad = 2 * connectionInflightTarget;
/** One that is held up counts as this much busier: rather wait for a handshake than behind a slow answer. */
const slowLoad = 3 * connectionInflightTarget;

export class Pool implements ConnectionOwner {
  readonly #place: Place;
  /** The oldest first, so that those opened for a burst are idle again first. */
  readonly #connections: Connection[] = [];
  readonly #waiting = new Waiting();
  readonly #full: Loss;
  readonly #habit = new ClosingHabit();
  /** The connection that was given the last question: what it is given within one turn leaves in one write. */
  #filling: Connection | null = null;
  /** How many questions each connection is to carry before another is used. */
  #target = connectionInflightTarget;
  #fewUntilMs = 0;
  #retired = false;

  constructor(place: Place) {
    this.#place = place;
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

  /** Sends it, or lets it wait for a place; false when too many wait. It does not go to `except`. */
  send(attempt: Attempt, nowMs: number, except: Carrier | null): boolean {
    const connection = this.#waiting.size > 0 ? null : this.#find(nowMs, except);
    if (connection === null) return this.#waiting.push(attempt, this.#full, nowMs);
    this.#give(attempt, connection, nowMs);
    return true;
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
      if (this.#isSpent(connection, nowMs)) connection.close(nowMs);
    };
    doAll(
      () => toEach([...this.#connections], sweep),
      () => this.#serveWaiting(nowMs),
    );
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
    if (connection.inflight > 0) this.#habit.closedOwing(connection.answers, nowMs);
  }

  #give(attempt: Attempt, connection: Connection, nowMs: number): void {
    const { reused, opened } = this.#place.stats;
    if (connection.isNew) opened[1]++;
    else reused[1]++;
    connection.send(attempt, nowMs);
    this.#filling = connection;
  }

  /** The connection to use, opened if need be; null when there is no place. */
  #find(nowMs: number, except: Carrier | null): Connection | null {
    const proven = except === null ? null : this.#lastHeard(nowMs, except);
    if (proven !== null) return proven;
    const filling = except === null ? this.#filling : null;
    if (filling?.hasUnwritten && load(filling, nowMs) < this.#target) {
      if (filling.takes(this.#habit.requestsMax(nowMs), nowMs)) return filling;
    }
    this.#target = this.#targetAt(nowMs);
    const best = this.#leastLoaded(nowMs, except);
    if (best !== null && load(best, nowMs) < this.#target) return best;
    const opened = this.#mayOpen(best) ? this.#open(nowMs) : null;
    return opened === null || (best !== null && load(best, nowMs) <= load(opened, nowMs)) ? best : opened;
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

  /**
   * For what was asked before without an answer: the connection that was heard last, and since then. An idle one, or a new one, may lead
   * to the very endpoint that is dead.
   */
  #lastHeard(nowMs: number, except: Carrier): Connection | null {
    const requestsMax = this.#habit.requestsMax(nowMs);
    let best: Connection | null = null;
    for (const connection of this.#connections) {
      if (connection === except || connection.isSlow(nowMs) || !connection.takes(requestsMax, nowMs)) continue;
      if (nowMs - connection.lastHeardMs > askAgainAfterMsMin) continue;
      if (best === null || connection.lastHeardMs > best.lastHeardMs) best = connection;
    }
    return best;
  }

  #leastLoaded(nowMs: number, except: Carrier | null): Connection | null {
    const requestsMax = this.#habit.requestsMax(nowMs);
    let best: Connection | null = null;
    for (const connection of this.#connections) {
      if (connection === except || !connection.takes(requestsMax, nowMs)) continue;
      if (best === null || load(connection, nowMs) < load(best, nowMs)) best = connection;
      if (load(best, nowMs) === 0) break;
    }
    return best;
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
      const connection = this.#find(nowMs, null);
      const attempt = connection === null ? null : this.#waiting.take();
      if (connection === null || attempt === null) return;
      this.#give(attempt, connection, nowMs);
    }
  }
}

function load(connection: Connection, nowMs: number): number {
  if (connection.isConnecting) return connection.inflight + connectingLoad;
  return connection.inflight + (connection.isSlow(nowMs) ? slowLoad : 0);
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
