/**
 * UDP to one upstream address. Every request is alone on a connected socket, so an answer has to come from the right
 * address to the right port with the right id (RFC 5452 9.2); a port serves a few requests, one after another, and
 * is given up at once when something strange arrives or an answer does not come. Ports are the kernel's choice, ids
 * ours, and which of the idle sockets is used next is drawn.
 */
import { u16 } from '../dns/wire.js';
import { udpRequestsPerSocketMax, udpSocketsPerUpstreamMax } from '../limits.js';
import { doAll, toEach } from '../outside/each.js';
import type { DatagramEvents, DatagramSocket } from '../outside/network.js';
import { type Attempt, type Carrier, queueLoss, readLoss } from './attempt.js';
import type { Place } from './place.js';
import { requestBytesMax, writeRequest } from './request.js';
import { Waiting } from './waiting.js';

const idsCount = 65_536;
const scratch = new Uint8Array(requestBytesMax);

export class UdpSockets {
  readonly #place: Place;
  readonly #sockets = new Set<OneSocket>();
  readonly #idle: OneSocket[] = [];
  readonly #waiting = new Waiting();
  #retired = false;

  constructor(place: Place) {
    this.#place = place;
  }

  /** Sockets that are open. */
  get size(): number {
    return this.#sockets.size;
  }

  /** Attempts that found no socket yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Sends it, or lets it wait for a socket; false when too many wait. */
  send(attempt: Attempt, nowMs: number): boolean {
    const socket = this.#waiting.size > 0 ? null : this.#find();
    if (socket === null) return this.#waiting.push(attempt, queueLoss(this.#place.to), nowMs);
    socket.send(attempt, nowMs);
    return true;
  }

  /** Nothing new will be asked: sockets close as they become idle. */
  retire(): void {
    this.#retired = true;
    toEach([...this.#idle], (socket) => this.#close(socket));
  }

  /** Closes everything; whoever waits for an answer has been told otherwise. */
  close(): void {
    this.#retired = true;
    toEach([...this.#sockets], (socket) => this.#close(socket));
  }

  sweep(nowMs: number): void {
    const { expireMs } = this.#place.settings;
    const old = this.#idle.filter(({ idleSinceMs }) => nowMs - idleSinceMs >= expireMs);
    doAll(
      () => toEach(old, (socket) => this.#close(socket)),
      () => this.#serveWaiting(nowMs),
    );
  }

  /** Something came on a socket that waits for nothing. */
  disturbed(socket: OneSocket): void {
    this.#close(socket);
  }

  /** The socket's request is over. */
  released(socket: OneSocket, nowMs: number): void {
    if (this.#retired || socket.isSpent) this.#close(socket);
    else this.#idle.push(socket);
    this.#serveWaiting(nowMs);
  }

  #find(): OneSocket | null {
    const { stats, world } = this.#place;
    if (this.#idle.length > 0) {
      const index = world.random.below(this.#idle.length);
      const socket = this.#idle[index];
      const last = this.#idle.pop()!;
      if (last !== socket) this.#idle[index] = last;
      stats.reused[0]++;
      return socket;
    }
    if (this.#sockets.size >= udpSocketsPerUpstreamMax) return null;
    stats.opened[0]++;
    const socket = new OneSocket(this.#place, this);
    this.#sockets.add(socket);
    return socket;
  }

  #serveWaiting(nowMs: number): void {
    while (this.#waiting.size > 0) {
      const socket = this.#find();
      const attempt = socket === null ? null : this.#waiting.take();
      if (socket === null || attempt === null) return;
      socket.send(attempt, nowMs);
    }
  }

  #close(socket: OneSocket): void {
    this.#sockets.delete(socket);
    const index = this.#idle.indexOf(socket);
    if (index >= 0) this.#idle.splice(index, 1);
    socket.close();
  }
}

/** One connected socket with at most one request. */
class OneSocket implements DatagramEvents, Carrier {
  readonly waitsFor = 'answer';
  readonly #place: Place;
  readonly #owner: UdpSockets;
  readonly #socket: DatagramSocket;
  #attempt: Attempt | null = null;
  #id = -1;
  #requests = 0;
  /** Something arrived that was not asked for, or an answer did not come: the port is known, or not to be trusted. */
  #isSpoiled = false;
  idleSinceMs = 0;

  constructor(place: Place, owner: UdpSockets) {
    this.#place = place;
    this.#owner = owner;
    this.#socket = place.world.network.connectDatagrams(
      place.endpoint,
      this,
      place.settings.sourceAddress ?? undefined,
    );
  }

  /** Not to be used again. */
  get isSpent(): boolean {
    return this.#isSpoiled || this.#requests >= udpRequestsPerSocketMax;
  }

  send(attempt: Attempt, nowMs: number): void {
    const before = this.#id;
    do this.#id = this.#place.world.random.below(idsCount);
    while (this.#id === before);
    this.#attempt = attempt;
    this.#requests++;
    attempt.carrier = this;
    attempt.sentAtMs = nowMs;
    const end = writeRequest(scratch, 0, attempt.request, { id: this.#id, hasOpt: attempt.allowsOpt });
    this.#socket.send(scratch.subarray(0, end), this.#place.endpoint);
  }

  abandon(_attempt: Attempt, nowMs: number): void {
    this.#isSpoiled = true;
    this.#release(nowMs);
  }

  close(): void {
    if (this.#attempt !== null) this.#attempt.carrier = null;
    this.#attempt = null;
    this.#socket.close();
  }

  datagram(message: Uint8Array): void {
    const attempt = this.#attempt;
    const { clock, counters } = this.#place.world;
    if (attempt === null || message.length < 2 || u16(message, 0) !== this.#id) {
      counters.count(message.length < 2 ? 'answersRejectedMalformed' : 'answersRejectedId');
      return this.#spoil();
    }
    if (!attempt.accepts(message)) return this.#spoil();
    const nowMs = clock.nowMs();
    this.#release(nowMs);
    attempt.answered(message, nowMs);
  }

  error(error: NodeJS.ErrnoException): void {
    const attempt = this.#attempt;
    this.#spoil();
    if (attempt === null) return;
    const nowMs = this.#place.world.clock.nowMs();
    this.#release(nowMs);
    attempt.lost(readLoss('udp', this.#place.to, error, true), nowMs);
  }

  #spoil(): void {
    this.#isSpoiled = true;
    if (this.#attempt === null) this.#owner.disturbed(this);
  }

  #release(nowMs: number): void {
    if (this.#attempt !== null) this.#attempt.carrier = null;
    this.#attempt = null;
    this.idleSinceMs = nowMs;
    this.#owner.released(this, nowMs);
  }
}
