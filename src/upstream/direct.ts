/**
 * A worker's own way upstream: TCP connections by system calls, polled with its sockets, for queries that go well. What
 * does not (silence, a broken connection, more than fits) is given up, and the main thread asks, which knows what to do
 * about each kind of trouble. Queries are rows, numbered by the caller; nothing is allocated for one.
 *
 *     ask ──> sent ──> answered
 *                └───> given up: silent too long, behind a slow name, the connection broke
 */
import type { DirectUpstream } from '../config/direct.js';
import type { Counters } from '../counters.js';
import { frameHeaderBytes } from '../dns/frame.js';
import { Prefixes } from '../dns/prefixes.js';
import { u16 } from '../dns/wire.js';
import {
  askAgainAfterMsMin,
  connectionInflightMax,
  connectionInflightTarget,
  connectTimeoutMs,
  directConnectionsMax,
  directIdleSweepMs,
  directReadBytes,
  directSweepMs,
  directUpstreamsMax,
  fastMsMax,
} from '../limits.js';
import { isIpv6 } from '../os/addresses.js';
import type { Random } from '../os/random.js';
import { errors, linux, type SystemCalls } from '../os/system-calls.js';
import {
  DirectConnection,
  noRow,
  noTrial,
  type PlainForm,
  RowsUnderWay,
  requestsBytes,
  UpstreamConnections,
} from './direct-connection.js';

/** Whom a question is for. */
export interface DirectTarget {
  readonly upstream: DirectUpstream;
  /** Shared memory: 1 while the main thread finds the upstream well. */
  readonly mayAsk: Int32Array;
}

export interface DirectDeps {
  /** Node.js ignores SIGPIPE, so sockets may be written to. */
  readonly calls: Pick<
    SystemCalls,
    'streamSocket' | 'setOption' | 'connect' | 'read' | 'write' | 'close' | 'addressOf'
  >;
  readonly random: Random;
  readonly counters: Pick<Counters, 'count'>;
}

/** Each row ends with one of these. */
export interface DirectOutcomes {
  /** Borrows the message, whose id is right, until it returns; false: it shows that the upstream is in trouble. */
  answered(row: number, message: Uint8Array, durationMs: number): boolean;
  givenUp(row: number): void;
}

/** A poll entry: descriptor, then events and results. */
const pollEntryWords = 2;
const enabled = new Int32Array([1]);
const watchesForAll = 16;
const idsOfMessages = 65_536;
const connectionsMaxOfAll = directUpstreamsMax * directConnectionsMax;

export class DirectConnections {
  readonly #deps: DirectDeps;
  readonly #outcomes: DirectOutcomes;
  /** What one read brings, then room for the requests of each connection; touched as it is used. */
  readonly #memory = new Uint8Array(directReadBytes + connectionsMaxOfAll * requestsBytes);
  readonly #memoryAt: number;
  readonly #freePlaces = Array.from({ length: connectionsMaxOfAll }, (_, place) => connectionsMaxOfAll - 1 - place);
  readonly #chunk: Prefixes;
  readonly #message: Prefixes;
  /** By address and settings; those of one address that several server blocks use are shared. */
  readonly #upstreams = new Map<string, UpstreamConnections>();
  #targets: readonly { readonly target: DirectTarget; readonly upstream: UpstreamConnections }[] = [];
  readonly #connections: DirectConnection[] = [];
  /** By poll entry, as `watch` wrote them last. */
  readonly #watched: DirectConnection[] = [];
  #watchedCount = 0;
  #watches = 0;
  #unwritten = 0;
  #trials = 0;
  readonly #rows = new RowsUnderWay();
  #sweepAtMs = Number.POSITIVE_INFINITY;

  constructor(deps: DirectDeps, outcomes: DirectOutcomes) {
    this.#deps = deps;
    this.#outcomes = outcomes;
    this.#memoryAt = deps.calls.addressOf(this.#memory.buffer);
    this.#chunk = new Prefixes(this.#memory);
    this.#message = new Prefixes(this.#memory.subarray(frameHeaderBytes));
  }

  /** Queries under way. */
  get inflight(): number {
    return this.#rows.count;
  }

  /** Answers that are waited for, those of trials among them: as long as there are any, descriptors are to be polled. */
  get owed(): number {
    return this.#rows.count + this.#trials;
  }

  /** When `sweep` has something to do. */
  get sweepAtMs(): number {
    return this.#sweepAtMs;
  }

  /** From now on these are asked. Queries to others are given up. */
  follow(targets: Iterable<DirectTarget>): void {
    this.giveUpAll();
    const followed: { target: DirectTarget; upstream: UpstreamConnections }[] = [];
    const left = new Set(this.#upstreams.keys());
    for (const target of targets) {
      const key = JSON.stringify(target.upstream);
      const isFollowed = this.#upstreams.has(key) && !left.has(key);
      if (!isFollowed && this.#upstreams.size - left.size >= directUpstreamsMax) continue;
      left.delete(key);
      const upstream = this.#upstreams.get(key) ?? new UpstreamConnections(target.upstream);
      this.#upstreams.set(key, upstream);
      followed.push({ target, upstream });
    }
    this.#targets = followed;
    for (const key of left) {
      for (const connection of this.#upstreams.get(key)!.connections.slice()) this.#close(connection);
      this.#upstreams.delete(key);
    }
  }

  /**
   * Asks about the packet's question, which ends at `questionEnd`, when `flush` is called; false where the main thread
   * has to. Borrows the packet until it returns.
   */
  ask(row: number, target: DirectTarget, packet: Uint8Array, questionEnd: number, nowMs: number): boolean {
    const upstream = this.#upstreamOf(target);
    if (upstream === null || Atomics.load(target.mayAsk, 0) === 0 || !upstream.takes(nowMs)) return false;
    const connection = this.#choose(upstream, nowMs);
    if (connection === null) return false;
    if (!connection.isProven) {
      this.#try(connection, nowMs);
      return false;
    }
    const id = this.#newId(connection);
    this.#rows.add(row, connection, id, nowMs);
    this.#write(connection, packet, { id, questionEnd }, nowMs);
    return true;
  }

  /** Sends a probe, as nobody is to wait on a connection that has answered nothing yet. */
  #try(connection: DirectConnection, nowMs: number): void {
    const { probe } = connection.upstream;
    connection.trialId = this.#newId(connection);
    this.#trials++;
    this.#write(connection, probe, { id: connection.trialId, questionEnd: probe.length }, nowMs);
  }

  #endTrial(connection: DirectConnection): void {
    if (connection.trialId !== noTrial) this.#trials--;
    connection.trialId = noTrial;
  }

  #write(connection: DirectConnection, packet: Uint8Array, form: PlainForm, nowMs: number): void {
    if (connection.unwrittenBytes === 0) this.#unwritten++;
    connection.write(packet, form);
    if (connection.owed === 1) connection.silentSinceMs = nowMs;
    this.#sweepAtMs = Math.min(this.#sweepAtMs, nowMs + directSweepMs);
  }

  #upstreamOf(target: DirectTarget): UpstreamConnections | null {
    for (let index = 0; index < this.#targets.length; index++) {
      if (this.#targets[index].target === target) return this.#targets[index].upstream;
    }
    return null;
  }

  /** Sends what was asked. */
  flush(nowMs: number): void {
    if (this.#unwritten === 0) return;
    this.#unwritten = 0;
    const { calls } = this.#deps;
    // From the end, because one that is lost leaves the list.
    for (let index = this.#connections.length - 1; index >= 0; index--) {
      const connection = this.#connections[index];
      const bytes = connection.unwrittenBytes;
      if (bytes === 0) continue;
      connection.unwrittenBytes = 0;
      // The kernel's buffer takes more than may be in flight: an upstream that does not read is in trouble.
      if (calls.write(connection.fd, this.#memoryAt + connection.requestsFrom, bytes) !== bytes) {
        this.#lose(connection, nowMs);
      }
    }
  }

  /**
   * Writes the descriptors of those that owe answers from entry `at` on, each to be polled for reading; their number. The
   * kernel's part of poll grows with each, so only now and then come those that owe none, which may have been closed.
   */
  watch(entries: Int32Array, at: number): number {
    const isForAll = ++this.#watches % watchesForAll === 0;
    let count = 0;
    for (let index = 0; index < this.#connections.length; index++) {
      const connection = this.#connections[index];
      if (!connection.isOpen || !(isForAll || connection.owed > 0)) continue;
      entries[(at + count) * pollEntryWords] = connection.fd;
      entries[(at + count) * pollEntryWords + 1] = linux.pollIn;
      this.#watched[count++] = connection;
    }
    this.#watchedCount = count;
    return count;
  }

  /** Reads from those that poll found ready. */
  read(entries: Int32Array, at: number, nowMs: number): void {
    for (let index = 0; index < this.#watchedCount; index++) {
      if (entries[(at + index) * pollEntryWords + 1] >> 16 !== 0) this.#receive(this.#watched[index], nowMs);
    }
  }

  #receive(connection: DirectConnection, nowMs: number): void {
    const { calls } = this.#deps;
    if (connection.isClosed) return;
    const received = calls.read(connection.fd, this.#memoryAt, directReadBytes);
    if (received === errors.tryAgain || received === errors.interrupted) return;
    if (received <= 0) return this.#lose(connection, nowMs);
    connection.nowMs = nowMs;
    connection.silentSinceMs = nowMs;
    const { frames, receive } = connection;
    // Mostly one whole message.
    const isWhole = !frames.unfinished && received >= 2 && u16(this.#memory, 0) === received - frameHeaderBytes;
    if (isWhole) receive(this.#message.of(received - frameHeaderBytes));
    else frames.push(this.#chunk.of(received), receive);
  }

  /** False when the connection was closed meanwhile. */
  #take(connection: DirectConnection, message: Uint8Array): boolean {
    const { counters } = this.#deps;
    const id = message.length < 2 ? noTrial : u16(message, 0);
    if (id !== noTrial && id === connection.trialId) {
      this.#endTrial(connection);
      connection.isProven = true;
      connection.idleSinceMs = connection.nowMs;
      return true;
    }
    const row = id === noTrial ? noRow : this.#rows.find(connection, id);
    if (row === noRow) {
      counters.count(message.length < 2 ? 'answersRejectedMalformed' : 'answersRejectedId');
      return true;
    }
    const { nowMs, upstream } = connection;
    const durationMs = nowMs - this.#rows.sentAtMs[row];
    upstream.answered(durationMs, nowMs);
    this.#rows.remove(row, connection);
    connection.idleSinceMs = nowMs;
    if (!this.#outcomes.answered(row, message, durationMs)) upstream.lost(nowMs);
    return !connection.isClosed;
  }

  /** Gives up what has waited too long; closes connections that are silent, unused or old. */
  sweep(nowMs: number): void {
    if (nowMs < this.#sweepAtMs) return;
    // From the end, because one that is lost leaves the list.
    for (let index = this.#connections.length - 1; index >= 0; index--) {
      const connection = this.#connections[index];
      if (!connection.isOpen) this.#sweepConnecting(connection, nowMs);
      else if (connection.owed > 0) this.#sweepBusy(connection, nowMs);
      else if (connection.isExpired(nowMs)) this.#close(connection);
    }
    const isAny = this.#connections.length > 0;
    this.#sweepAtMs = nowMs + (this.owed > 0 ? directSweepMs : isAny ? directIdleSweepMs : Number.POSITIVE_INFINITY);
  }

  #sweepConnecting(connection: DirectConnection, nowMs: number): void {
    // Nobody may have asked since the handshake ended.
    if (nowMs - connection.openedAtMs < connectTimeoutMs || this.#hasConnected(connection, nowMs)) return;
    if (connection.isClosed) return;
    this.#deps.counters.count('upstreamConnectFailures');
    this.#lose(connection, nowMs);
  }

  #sweepBusy(connection: DirectConnection, nowMs: number): void {
    // It may have answered while nobody polled: a worker that waits for no answer waits for packets alone.
    if (nowMs - connection.silentSinceMs >= askAgainAfterMsMin) this.#receive(connection, nowMs);
    if (connection.isClosed) return;
    const { rtt } = connection.upstream;
    const silentMs = nowMs - connection.silentSinceMs;
    // A dead flow, or a slow name in front of all others: some servers answer one connection's queries in order.
    if (silentMs >= askAgainAfterMsMin) return this.#lose(connection, nowMs);
    this.#acknowledge(connection);
    const first = silentMs >= rtt.heldUpMs ? this.#rows.oldest(connection) : noRow;
    for (const row of connection.rows) {
      if (row === noRow) continue;
      const isSlow = nowMs - this.#rows.sentAtMs[row] >= askAgainAfterMsMin;
      if (isSlow) connection.upstream.lost(nowMs);
      if (isSlow || (first !== noRow && row !== first)) this.#giveUp(row, connection);
    }
  }

  /** A server may wait for an acknowledgement before it sends more; mostly the next request brings one in time. */
  #acknowledge(connection: DirectConnection): void {
    if (connection.acknowledgedMs === connection.silentSinceMs) return;
    connection.acknowledgedMs = connection.silentSinceMs;
    this.#deps.calls.setOption(connection.fd, linux.tcpLevel, linux.tcpQuickAcknowledge, enabled);
  }

  /** Also what is not sent yet, which then is not sent. */
  giveUpAll(): void {
    for (const connection of this.#connections) {
      if (connection.unwrittenBytes > 0) this.#endTrial(connection);
      connection.unwrittenBytes = 0;
      for (const row of connection.rows) if (row !== noRow) this.#giveUp(row, connection);
    }
  }

  close(): void {
    this.giveUpAll();
    for (const connection of this.#connections.slice()) this.#close(connection);
  }

  /** The connection is closed, and its queries are the main thread's. */
  #lose(connection: DirectConnection, nowMs: number): void {
    if (connection.isClosed) return;
    // One that ended without owing anything is no trouble: many servers close what is idle.
    if (connection.owed > 0 || !connection.isOpen) connection.upstream.lost(nowMs);
    this.#close(connection);
  }

  #close(connection: DirectConnection): void {
    const { upstream } = connection;
    connection.isClosed = true;
    this.#deps.calls.close(connection.fd);
    this.#freePlaces.push(connection.place);
    remove(this.#connections, connection);
    remove(upstream.connections, connection);
    for (const row of connection.rows) if (row !== noRow) this.#giveUp(row, connection);
    this.#endTrial(connection);
    connection.unwrittenBytes = 0;
  }

  #giveUp(row: number, connection: DirectConnection): void {
    this.#rows.remove(row, connection);
    this.#deps.counters.count('directGivenUp');
    this.#outcomes.givenUp(row);
  }

  /** The connection for the next query; one that is unproven is for a trial. Null: none is ready, one may be coming. */
  #choose(upstream: UpstreamConnections, nowMs: number): DirectConnection | null {
    const isFast = upstream.rtt.p95Ms < fastMsMax;
    const filledTo = isFast ? connectionInflightMax : connectionInflightTarget;
    let best: DirectConnection | null = null;
    let unproven: DirectConnection | null = null;
    let coming = 0;
    let isTrying = false;
    for (let index = upstream.connections.length - 1; index >= 0; index--) {
      const connection = upstream.connections[index];
      if (!connection.isOpen && !this.#hasConnected(connection, nowMs)) {
        coming++;
        continue;
      }
      if (connection.trialId !== noTrial) {
        coming++;
        isTrying = true;
        continue;
      }
      if (!connection.takes(nowMs) || !this.#isAlive(connection, nowMs)) continue;
      if (!connection.isProven) {
        coming++;
        unproven = connection;
        continue;
      }
      // As few connections as will do: their queries share writes and reads.
      if (connection.inflight < filledTo) return connection;
      if (best === null || connection.inflight < best.inflight) best = connection;
    }
    if (coming === 0 && upstream.connections.length < directConnectionsMax) this.#open(upstream, nowMs);
    // A connection that failed just now may have been one too many.
    if (!upstream.takes(nowMs)) return null;
    // All proven ones are filled: for another one this question is the main thread's.
    return isTrying ? best : (unproven ?? best);
  }

  /** Whether the upstream has not closed the connection while it was unused and not polled. */
  #isAlive(connection: DirectConnection, nowMs: number): boolean {
    if (connection.inflight > 0 || nowMs - connection.idleSinceMs < directIdleSweepMs) return true;
    this.#receive(connection, nowMs);
    return !connection.isClosed;
  }

  #open(upstream: UpstreamConnections, nowMs: number): void {
    const { calls, counters } = this.#deps;
    const { address } = upstream.to;
    counters.count('upstreamConnects');
    const fd = calls.streamSocket(isIpv6(address) ? linux.familyIpv6 : linux.familyIpv4);
    if (fd < 0) return upstream.lost(nowMs);
    calls.setOption(fd, linux.tcpLevel, linux.tcpNoDelay, enabled);
    const place = this.#freePlaces.pop()!;
    const connection: DirectConnection = new DirectConnection(
      upstream,
      { fd, place, memory: this.#memory },
      nowMs,
      (message) => this.#take(connection, message),
    );
    this.#connections.push(connection);
    upstream.connections.push(connection);
    this.#sweepAtMs = Math.min(this.#sweepAtMs, nowMs + directIdleSweepMs);
    this.#hasConnected(connection, nowMs);
  }

  /** Connecting once more tells how far it is. Closes a connection that failed. */
  #hasConnected(connection: DirectConnection, nowMs: number): boolean {
    if (connection.isClosed) return false;
    const result = this.#deps.calls.connect(connection.fd, connection.upstream.socketAddress);
    if (result === 0 || result === errors.isConnected) {
      connection.isOpen = true;
      return true;
    }
    if (result !== errors.inProgress && result !== errors.already) {
      this.#deps.counters.count('upstreamConnectFailures');
      this.#lose(connection, nowMs);
    }
    return false;
  }

  /** Random (RFC 5452 9.2). A late answer to an abandoned query with the same id would have another question. */
  #newId(connection: DirectConnection): number {
    for (;;) {
      const id = this.#deps.random.below(idsOfMessages);
      if (id !== connection.trialId && this.#rows.find(connection, id) === noRow) return id;
    }
  }
}

function remove<T>(from: T[], one: T): void {
  const index = from.indexOf(one);
  if (index >= 0) from.splice(index, 1);
}
