/**
 * UDP to one upstream address. Each request is alone on a connected socket, so an answer must come from the right
 * address, to the right port, with the right id (RFC 5452 9.2). The kernel chooses ports; ids and the next idle socket
 * are random. A port serves a few requests in turn; it is closed when an answer does not come, and at once, with its
 * request, when something unsolicited arrives, because the next guess at the id may be right. While the address is in
 * doubt, queries go to ports that have answered, and a probe is sent from a new one first.
 */
import { u16 } from '../dns/wire.js';
import {
  doubtStockMax,
  doubtStockMs,
  udpBytesDefault,
  udpRequestsPerProvenSocketMax,
  udpRequestsPerSocketMax,
  udpSocketsPerUpstreamMax,
} from '../limits.js';
import type { DatagramEvents, DatagramSocket } from '../os/network.js';
import { doAll, toEach } from '../scheduling/each.js';
import { asksMuch, Shares } from '../scheduling/shares.js';
import {
  type Attempt,
  AttemptQueue,
  type Carrier,
  disturbedLoss,
  type Hedge,
  type Loss,
  notSent,
  readLoss,
  type Sent,
} from './attempt.js';
import type { UpstreamAddress } from './endpoint.js';
import { requestBytesMax, writeRequest } from './request.js';
import type { Doubt } from './scout.js';

const portIdsCount = 65_536;
const datagramScratch = new Uint8Array(requestBytesMax);
/** The peak of sockets in use decays by this with each sweep. */
const peakKept = 0.99;
/** Kept beyond that peak. */
const stockSpare = 2;
/** A replacement is opened so long before a socket would close. */
const socketStockLastsMs = 2_000;

export class UdpSockets {
  readonly #doubt: Doubt;
  readonly #address: UpstreamAddress;
  readonly #sockets = new Set<UdpSocket>();
  readonly #idle: UdpSocket[] = [];
  readonly #queue: AttemptQueue;
  /** Requests in flight by client; written by the sockets. */
  readonly shares = new Shares();
  #peak = 0;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #retired = false;

  constructor(address: UpstreamAddress, doubt: Doubt) {
    this.#address = address;
    this.#doubt = doubt;
    this.#queue = new AttemptQueue(address.to);
  }

  get size(): number {
    return this.#sockets.size;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Sends the attempt, or queues it. */
  send(attempt: Attempt, nowMs: number, hedge: Hedge | null): Sent {
    this.#lastSentMs = nowMs;
    if (this.#queue.size > 0) this.#serveWaiting(nowMs);
    const hasShare = this.#hasShareFor(attempt.request.client);
    // A hedge has another attempt pending.
    if (hedge !== null && !hasShare) return 'full';
    const socket = hasShare ? this.#find(nowMs, hedge) : null;
    if (socket === null) return this.#queue.push(attempt, nowMs) ? 'proven' : 'full';
    socket.send(attempt, nowMs);
    this.#peak = Math.max(this.#peak, this.#sockets.size - this.#idle.length);
    return this.#doubt.verdict(socket.lastHeardMs, hedge, nowMs);
  }

  /** Whether a socket that this client's hedge may use has been answered since. */
  wasHeardFor(client: string | undefined, { sinceMs }: Hedge): boolean {
    return this.#hasShareFor(client) && this.#idle.some(({ lastHeardMs }) => lastHeardMs >= sinceMs);
  }

  /** Opens a socket with a probe; it stays for queries once that is answered. */
  scout(probe: Attempt, nowMs: number): void {
    const socket = new UdpSocket(this.#address, this);
    this.#sockets.add(socket);
    socket.send(probe, nowMs);
  }

  /** Whether trusted sockets are kept open, so that sweeps are needed. */
  keepsStock(nowMs: number): boolean {
    return !this.#retired && this.#doubt.isIn(nowMs) && nowMs - this.#lastSentMs < doubtStockMs;
  }

  /** Takes no more requests: sockets close as they become idle. */
  retire(): void {
    this.#retired = true;
    toEach([...this.#idle], (socket) => this.drop(socket));
  }

  /** Closes everything, without a call to attempts in flight. */
  close(): void {
    this.#retired = true;
    toEach([...this.#sockets], (socket) => this.drop(socket));
  }

  sweep(nowMs: number): void {
    const { expireMs } = this.#address.settings;
    const old = this.#idle.filter(({ idleSinceMs }) => nowMs - idleSinceMs >= expireMs);
    const deadEnds = [...this.#sockets].filter((socket) => this.#leadsNowhere(socket, nowMs));
    doAll(
      () => toEach(old, (socket) => this.drop(socket)),
      () => toEach(deadEnds, (socket) => socket.abandon(null, nowMs)),
      () => this.#serveWaiting(nowMs),
    );
    this.#peak *= peakKept;
    if (this.keepsStock(nowMs)) this.#keepStock(nowMs);
  }

  released(socket: UdpSocket, nowMs: number): void {
    if (this.#retired || socket.isSpent(this.#requestsMax(socket, nowMs))) this.drop(socket);
    else this.#idle.push(socket);
    this.#serveWaiting(nowMs);
  }

  #requestsMax(socket: UdpSocket, nowMs: number): number {
    const isProven = this.#doubt.isIn(nowMs) && this.#doubt.trusts(socket.lastHeardMs, nowMs);
    return isProven ? udpRequestsPerProvenSocketMax : udpRequestsPerSocketMax;
  }

  #find(nowMs: number, hedge: Hedge | null): UdpSocket | null {
    const { stats, deps } = this.#address;
    const usable = this.#usable(nowMs, hedge);
    if (usable.length > 0) {
      const socket = usable[deps.random.below(usable.length)];
      this.#idle.splice(this.#idle.indexOf(socket), 1);
      stats.reused[0]++;
      return socket;
    }
    if (this.#sockets.size >= udpSocketsPerUpstreamMax) return null;
    stats.opened[0]++;
    const socket = new UdpSocket(this.#address, this);
    this.#sockets.add(socket);
    return socket;
  }

  #usable(nowMs: number, hedge: Hedge | null): readonly UdpSocket[] {
    if (hedge === null && !this.#doubt.isIn(nowMs)) return this.#idle;
    return this.#idle.filter(({ lastHeardMs }) =>
      hedge === null ? this.#doubt.trusts(lastHeardMs, nowMs) : lastHeardMs >= hedge.sinceMs,
    );
  }

  #serveWaiting(nowMs: number): void {
    while (this.#queue.size > 0) {
      const attempt = this.#hasFree(nowMs) ? this.#queue.take((client) => this.#hasShareFor(client)) : null;
      if (attempt === null) return;
      this.#find(nowMs, null)!.send(attempt, nowMs);
    }
  }

  #hasFree(nowMs: number): boolean {
    return this.#usable(nowMs, null).length > 0 || this.#sockets.size < udpSocketsPerUpstreamMax;
  }

  /** A client may use as many sockets as are free for others. */
  #hasShareFor(client: string | undefined): boolean {
    const has = this.shares.of(client);
    return !asksMuch(has) || has < udpSocketsPerUpstreamMax - (this.#sockets.size - this.#idle.length);
  }

  #leadsNowhere({ probeSentAtMs }: UdpSocket, nowMs: number): boolean {
    const probed = { silentSinceMs: probeSentAtMs, openedAtMs: probeSentAtMs };
    return probeSentAtMs !== notSent && this.#doubt.isDeadEnd(probed, this.#address.rtt, nowMs);
  }

  /** Whether as many trusted sockets are open as were in use at the recent peak, and some more. */
  hasStock(nowMs: number): boolean {
    return this.#stockMissing(nowMs) <= 0;
  }

  #stockMissing(nowMs: number): number {
    const { expireMs } = this.#address.settings;
    let missing = Math.min(doubtStockMax, Math.ceil(this.#peak) + stockSpare);
    for (const socket of this.#sockets) {
      const isKept = socket.isBusy || nowMs + socketStockLastsMs < socket.idleSinceMs + expireMs;
      const isNearlySpent = socket.isSpent(udpRequestsPerProvenSocketMax - udpRequestsPerSocketMax);
      if (isKept && !isNearlySpent && this.#doubt.trusts(socket.lastHeardMs, nowMs)) missing--;
    }
    return missing;
  }

  #keepStock(nowMs: number): void {
    let missing = this.#stockMissing(nowMs);
    const { probeWaitMs } = this.#address.rtt;
    for (const { probeSentAtMs } of this.#sockets) if (nowMs - probeSentAtMs < probeWaitMs) missing--;
    for (; missing > 0; missing--) {
      const scout = this.#doubt.newScout(nowMs);
      if (scout === null) return;
      this.scout(scout, nowMs);
    }
  }

  drop(socket: UdpSocket): void {
    this.#sockets.delete(socket);
    const index = this.#idle.indexOf(socket);
    if (index >= 0) this.#idle.splice(index, 1);
    socket.close();
  }
}

/** One connected socket with at most one request. */
class UdpSocket implements DatagramEvents, Carrier {
  readonly waitsFor = 'answer';
  readonly #address: UpstreamAddress;
  readonly #owner: UdpSockets;
  readonly #socket: DatagramSocket;
  #attempt: Attempt | null = null;
  #client: string | undefined = undefined;
  #id = -1;
  #requests = 0;
  /** Ids answered on this port, whose answers may come twice. */
  readonly #earlierIds: number[] = [];
  /** Something unsolicited came, or an answer did not: the port is known, or cannot be trusted. */
  #isSpoiled = false;
  idleSinceMs = 0;
  /** -Infinity before the first answer. */
  lastHeardMs = Number.NEGATIVE_INFINITY;

  constructor(address: UpstreamAddress, owner: UdpSockets) {
    this.#address = address;
    this.#owner = owner;
    this.#socket = address.deps.network.connectDatagrams(
      address.endpoint,
      this,
      address.settings.sourceAddress ?? undefined,
    );
  }

  isSpent(requestsMax: number): boolean {
    return this.#isSpoiled || this.#requests >= requestsMax;
  }

  get isBusy(): boolean {
    return this.#attempt !== null;
  }

  /** `notSent` without a probe in flight. */
  get probeSentAtMs(): number {
    return this.#attempt?.isProbe ? this.#attempt.sentAtMs : notSent;
  }

  send(attempt: Attempt, nowMs: number): void {
    do this.#id = this.#address.deps.random.below(portIdsCount);
    while (this.#earlierIds.includes(this.#id));
    this.#attempt = attempt;
    this.#client = attempt.request.client;
    this.#owner.shares.took(this.#client);
    this.#requests++;
    attempt.carrier = this;
    attempt.sentAtMs = nowMs;
    const { udpBytes } = this.#address.settings;
    const form = {
      id: this.#id,
      hasOpt: attempt.allowsOpt,
      // A long answer may have been lost as fragments: a hedge asks for one that fits into a packet.
      udpBytes: attempt.isHedge ? Math.min(udpBytes, udpBytesDefault) : udpBytes,
    };
    const end = writeRequest(datagramScratch, 0, attempt.request, form);
    this.#socket.send(datagramScratch.subarray(0, end), this.#address.endpoint);
  }

  abandon(_attempt: Attempt | null, nowMs: number): void {
    this.#isSpoiled = true;
    this.#release(nowMs);
  }

  close(): void {
    this.#drop();
    this.#socket.close();
  }

  datagram(message: Uint8Array): void {
    const attempt = this.#attempt;
    const { clock, counters } = this.#address.deps;
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
    if (attempt !== null) this.#lose(attempt, readLoss('udp', this.#address.to, error, true));
  }

  /** Someone may be guessing ids. A probe takes any sign of life, so it stays. */
  #disturb(): void {
    const attempt = this.#attempt;
    this.#spoil();
    if (attempt !== null && !attempt.isProbe) this.#lose(attempt, disturbedLoss(this.#address.to));
  }

  #lose(attempt: Attempt, loss: Loss): void {
    const nowMs = this.#address.deps.clock.nowMs();
    this.#release(nowMs);
    attempt.lost(loss, nowMs);
  }

  #spoil(): void {
    this.#isSpoiled = true;
    if (this.#attempt === null) this.#owner.drop(this);
  }

  #drop(): void {
    const attempt = this.#attempt;
    if (attempt === null) return;
    attempt.carrier = null;
    this.#attempt = null;
    this.#owner.shares.gave(this.#client);
  }

  #release(nowMs: number): void {
    this.#drop();
    this.idleSinceMs = nowMs;
    this.#owner.released(this, nowMs);
  }
}
