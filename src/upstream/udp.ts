/**
 * UDP to one upstream address. Every request is alone on a connected socket, so an answer has to come from the right
 * address to the right port with the right id (RFC 5452 9.2); a port serves a few requests, one after another, and
 * is given up at once, with the request that is out, when something strange arrives, since the next guess at the id may be
 * right. It is given up as well when an answer does not come. Ports are the kernel's choice, ids
 * ours, and which of the idle sockets is used next is drawn. While the address is in doubt, questions go to ports that
 * have answered, and a new port is asked a question of our own first.
 */
import { u16 } from '../dns/wire.js';
import {
  doubtStockMax,
  doubtStockMs,
  probeTimeoutMs,
  udpBytesDefault,
  udpRequestsPerProvenSocketMax,
  udpRequestsPerSocketMax,
  udpSocketsPerUpstreamMax,
} from '../limits.js';
import type { DatagramEvents, DatagramSocket } from '../os/network.js';
import { doAll, toEach } from '../scheduling/each.js';
import { asksMuch, Shares } from '../scheduling/shares.js';
import {
  type Again,
  type Attempt,
  type Carrier,
  disturbedLoss,
  notSent,
  queueLoss,
  readLoss,
  type Sent,
  Waiting,
} from './attempt.js';
import type { Place } from './endpoint.js';
import { requestBytesMax, writeRequest } from './request.js';
import type { Doubt, Scouting } from './scout.js';

const idsCount = 65_536;
const scratch = new Uint8Array(requestBytesMax);
/** What was in use at one time lately is forgotten by this much with each sweep. */
const peakKept = 0.99;
/** Ports kept at hand beyond what was in use lately. */
const stockSpare = 2;
/** The next one is looked for so long before one would be closed. */
const stockLastsMs = 2_000;

export class UdpSockets {
  readonly #doubt: Doubt;
  readonly #place: Place;
  readonly #scouting: Scouting;
  readonly #sockets = new Set<OneSocket>();
  readonly #idle: OneSocket[] = [];
  readonly #waiting = new Waiting();
  readonly #shares = new Shares();
  /** How many were in use at one time lately. */
  #peak = 0;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #retired = false;

  constructor(place: Place, scouting: Scouting) {
    this.#place = place;
    this.#scouting = scouting;
    this.#doubt = scouting.doubt;
  }

  /** Sockets that are open. */
  get size(): number {
    return this.#sockets.size;
  }

  /** Attempts that found no socket yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Sends it, or lets it wait for a socket. */
  send(attempt: Attempt, nowMs: number, again: Again | null): Sent {
    this.#lastSentMs = nowMs;
    if (this.#waiting.size > 0) this.#serveWaiting(nowMs);
    const hasShare = this.#hasShareFor(attempt.request.client);
    // What is asked again has a place already.
    if (again !== null && !hasShare) return 'full';
    const socket = hasShare ? this.#find(nowMs, again) : null;
    if (socket === null) return this.#waiting.push(attempt, queueLoss(this.#place.to), nowMs) ? 'proven' : 'full';
    socket.send(attempt, nowMs);
    this.#peak = Math.max(this.#peak, this.#sockets.size - this.#idle.length);
    return this.#doubt.verdict(socket.lastHeardMs, again, nowMs);
  }

  /** Whether a socket that may be used has answered since. */
  wasHeardSince(timeMs: number): boolean {
    return this.#idle.some(({ lastHeardMs }) => lastHeardMs >= timeMs);
  }

  /** Opens a socket for a question of our own; it stays for others when that is answered. */
  scout(probe: Attempt, nowMs: number): void {
    const socket = new OneSocket(this.#place, this);
    this.#sockets.add(socket);
    socket.send(probe, nowMs);
  }

  /** Whether sockets that lead somewhere are kept at hand, so that they have to be looked after. */
  keepsStock(nowMs: number): boolean {
    return !this.#retired && this.#doubt.isIn(nowMs) && nowMs - this.#lastSentMs < doubtStockMs;
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
    const deadEnds = [...this.#sockets].filter((socket) => this.#leadsNowhere(socket, nowMs));
    doAll(
      () => toEach(old, (socket) => this.#close(socket)),
      () => toEach(deadEnds, (socket) => socket.giveUpProbe(nowMs)),
      () => this.#serveWaiting(nowMs),
    );
    this.#peak *= peakKept;
    if (this.keepsStock(nowMs)) this.#keepStock(nowMs);
  }

  /** Something came on a socket that waits for nothing. */
  disturbed(socket: OneSocket): void {
    this.#close(socket);
  }

  /** The socket's request is over. */
  released(socket: OneSocket, nowMs: number): void {
    if (this.#retired || socket.isSpent(this.#requestsMax(socket, nowMs))) this.#close(socket);
    else this.#idle.push(socket);
    this.#serveWaiting(nowMs);
  }

  #requestsMax(socket: OneSocket, nowMs: number): number {
    const isProven = this.#doubt.isIn(nowMs) && this.#doubt.trusts(socket.lastHeardMs, nowMs);
    return isProven ? udpRequestsPerProvenSocketMax : udpRequestsPerSocketMax;
  }

  #find(nowMs: number, again: Again | null): OneSocket | null {
    const { stats, deps } = this.#place;
    const usable = this.#usable(nowMs, again);
    if (usable.length > 0) {
      const socket = usable[deps.random.below(usable.length)];
      this.#idle.splice(this.#idle.indexOf(socket), 1);
      stats.reused[0]++;
      return socket;
    }
    if (this.#sockets.size >= udpSocketsPerUpstreamMax) return null;
    stats.opened[0]++;
    const socket = new OneSocket(this.#place, this);
    this.#sockets.add(socket);
    return socket;
  }

  #usable(nowMs: number, again: Again | null): readonly OneSocket[] {
    if (again === null && !this.#doubt.isIn(nowMs)) return this.#idle;
    return this.#idle.filter((socket) => this.#isUsable(socket, again, nowMs));
  }

  #isUsable({ lastHeardMs }: OneSocket, again: Again | null, nowMs: number): boolean {
    return again === null ? this.#doubt.trusts(lastHeardMs, nowMs) : lastHeardMs >= again.sinceMs;
  }

  #serveWaiting(nowMs: number): void {
    while (this.#waiting.size > 0) {
      const attempt = this.#hasFree(nowMs) ? this.#waiting.take((client) => this.#hasShareFor(client)) : null;
      if (attempt === null) return;
      this.#find(nowMs, null)!.send(attempt, nowMs);
    }
  }

  #hasFree(nowMs: number): boolean {
    return this.#usable(nowMs, null).length > 0 || this.#sockets.size < udpSocketsPerUpstreamMax;
  }

  /** Whether this client may use one more: it may have as many as are free for others. */
  #hasShareFor(client: string | undefined): boolean {
    const has = this.#shares.of(client);
    return !asksMuch(has) || has < udpSocketsPerUpstreamMax - (this.#sockets.size - this.#idle.length);
  }

  /** A socket has something of this client, */
  took(client: string | undefined): void {
    this.#shares.took(client);
  }

  /** and nothing any more. */
  gave(client: string | undefined): void {
    this.#shares.gave(client);
  }

  /** A question of our own got no answer there; where another socket has had one since, it is a dead end. */
  #leadsNowhere({ probeSentAtMs }: OneSocket, nowMs: number): boolean {
    const { pace } = this.#place;
    if (probeSentAtMs === notSent || nowMs - probeSentAtMs < pace.probeWaitMs) return false;
    if (!pace.hasAnsweredSince(probeSentAtMs)) return nowMs - probeSentAtMs >= probeTimeoutMs;
    this.#doubt.goesOn(probeSentAtMs, nowMs);
    return true;
  }

  /** Whether as many sockets lead somewhere as were in use at one time lately, and some. */
  hasStock(nowMs: number): boolean {
    return this.#stockMissing(nowMs) <= 0;
  }

  #stockMissing(nowMs: number): number {
    const { expireMs } = this.#place.settings;
    let missing = Math.min(doubtStockMax, Math.ceil(this.#peak) + stockSpare);
    for (const socket of this.#sockets) {
      const isKept = socket.isBusy || nowMs + stockLastsMs < socket.idleSinceMs + expireMs;
      const isNearlySpent = socket.isSpent(udpRequestsPerProvenSocketMax - udpRequestsPerSocketMax);
      if (isKept && !isNearlySpent && this.#doubt.trusts(socket.lastHeardMs, nowMs)) missing--;
    }
    return missing;
  }

  #keepStock(nowMs: number): void {
    let missing = this.#stockMissing(nowMs);
    const { probeWaitMs } = this.#place.pace;
    for (const { probeSentAtMs } of this.#sockets) if (nowMs - probeSentAtMs < probeWaitMs) missing--;
    for (; missing > 0; missing--) {
      const scout = this.#scouting.newScout(nowMs);
      if (scout === null) return;
      this.scout(scout, nowMs);
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
  /** For whom it is. */
  #client: string | undefined = undefined;
  #id = -1;
  #requests = 0;
  /** Of requests that were answered here; their answers may come twice. */
  readonly #earlierIds: number[] = [];
  /** Something arrived that was not asked for, or an answer did not come: the port is known, or not to be trusted. */
  #isSpoiled = false;
  idleSinceMs = 0;
  /** When it was last answered; -Infinity before the first time. */
  lastHeardMs = Number.NEGATIVE_INFINITY;

  constructor(place: Place, owner: UdpSockets) {
    this.#place = place;
    this.#owner = owner;
    this.#socket = place.deps.network.connectDatagrams(place.endpoint, this, place.settings.sourceAddress ?? undefined);
  }

  /** Not to be used again. */
  isSpent(requestsMax: number): boolean {
    return this.#isSpoiled || this.#requests >= requestsMax;
  }

  get isBusy(): boolean {
    return this.#attempt !== null;
  }

  /** When the question of our own was sent that it waits with; `notSent` when it waits with none. */
  get probeSentAtMs(): number {
    return this.#attempt?.isProbe ? this.#attempt.sentAtMs : notSent;
  }

  giveUpProbe(nowMs: number): void {
    const attempt = this.#attempt;
    if (attempt !== null) this.abandon(attempt, nowMs);
  }

  send(attempt: Attempt, nowMs: number): void {
    do this.#id = this.#place.deps.random.below(idsCount);
    while (this.#earlierIds.includes(this.#id));
    this.#attempt = attempt;
    this.#client = attempt.request.client;
    this.#owner.took(this.#client);
    this.#requests++;
    attempt.carrier = this;
    attempt.sentAtMs = nowMs;
    const { udpBytes } = this.#place.settings;
    const form = {
      id: this.#id,
      hasOpt: attempt.allowsOpt,
      // A long answer may have been lost as fragments: a repetition asks for one that fits in a packet.
      udpBytes: attempt.isAgain ? Math.min(udpBytes, udpBytesDefault) : udpBytes,
    };
    const end = writeRequest(scratch, 0, attempt.request, form);
    this.#socket.send(scratch.subarray(0, end), this.#place.endpoint);
  }

  abandon(_attempt: Attempt, nowMs: number): void {
    this.#isSpoiled = true;
    this.#release(nowMs);
  }

  close(): void {
    this.#let();
    this.#socket.close();
  }

  datagram(message: Uint8Array): void {
    const attempt = this.#attempt;
    const { clock, counters } = this.#place.deps;
    const id = message.length < 2 ? -1 : u16(message, 0);
    if (attempt === null || id !== this.#id) {
      counters.count(id === -1 ? 'answersRejectedMalformed' : 'answersRejectedId');
      return this.#earlierIds.includes(id) ? this.#spoil() : this.#disturb();
    }
    if (!attempt.accepts(message)) return this.#disturb();
    const nowMs = clock.nowMs();
    this.lastHeardMs = nowMs;
    this.#earlierIds.push(id);
    this.#release(nowMs);
    attempt.answered(message, nowMs);
  }

  error(error: NodeJS.ErrnoException): void {
    const attempt = this.#attempt;
    this.#spoil();
    if (attempt === null) return;
    const nowMs = this.#place.deps.clock.nowMs();
    this.#release(nowMs);
    attempt.lost(readLoss('udp', this.#place.to, error, true), nowMs);
  }

  /** Somebody may be guessing: nothing is taken here any more, except what a probe wants, which is any sign of life. */
  #disturb(): void {
    const attempt = this.#attempt;
    this.#spoil();
    if (attempt === null || attempt.isProbe) return;
    const { deps, to } = this.#place;
    const nowMs = deps.clock.nowMs();
    this.#release(nowMs);
    attempt.lost(disturbedLoss(to), nowMs);
  }

  #spoil(): void {
    this.#isSpoiled = true;
    if (this.#attempt === null) this.#owner.disturbed(this);
  }

  /** Holds its attempt no more. */
  #let(): void {
    const attempt = this.#attempt;
    if (attempt === null) return;
    attempt.carrier = null;
    this.#attempt = null;
    this.#owner.gave(this.#client);
  }

  #release(nowMs: number): void {
    this.#let();
    this.idleSinceMs = nowMs;
    this.#owner.released(this, nowMs);
  }
}
