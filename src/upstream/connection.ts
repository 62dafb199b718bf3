/**
 * One TCP connection to an upstream, with several requests in flight (RFC 7766 6.2.1.1): answers come in any order and
 * are matched by id. Requests of one turn of the event loop leave in one write. The pool chooses the connection and
 * handles what a broken one leaves behind.
 *
 *     connecting ──> open ──> closed        no new requests when retired (too old), suspect (silent) or full
 *          └───────────────────┘
 */
import { FrameReader, frameHeaderBytes } from '../dns/frame.js';
import { setU16, u16 } from '../dns/wire.js';
import {
  assert,
  connectionInflightMax,
  connectionUnsentBytesMax,
  connectTimeoutMs,
  idQuarantineMs,
  lateAnswerMs,
  quarantinedIdsMax,
} from '../limits.js';
import type { Stream, StreamEvents } from '../os/network.js';
import type { Random } from '../os/random.js';
import { toEach } from '../scheduling/each.js';
import type { Flushable } from '../scheduling/flush.js';
import { type Attempt, type Carrier, dialLoss, type Loss, noTime, readLoss, timeoutText } from './attempt.js';
import type { UpstreamAddress } from './endpoint.js';
import { needsOpt, requestBytesMax, writeRequest } from './request.js';

export interface ConnectionOwner {
  /** Called after answers: there may be room for requests. */
  answered(connection: Connection, nowMs: number): void;
  /** Called before the attempts that the connection still held are told. */
  closed(connection: Connection, nowMs: number): void;
  /** The connection carries one more attempt of this client. */
  took(client: string | undefined, isFirst: boolean): void;
  gave(client: string | undefined, wasLast: boolean): void;
}

/** All connections write from here; the network copies what it cannot send at once. */
const requestScratch = new Uint8Array(connectionInflightMax * (frameHeaderBytes + requestBytesMax));

export class Connection implements StreamEvents, Carrier, Flushable {
  readonly #address: UpstreamAddress;
  readonly #owner: ConnectionOwner;
  readonly #stream: Stream;
  readonly #frames = new FrameReader();
  readonly #ids: Ids;
  /** An attempt and its id share an index, the slot; null is a free slot. */
  readonly #attempts: (Attempt | null)[] = new Array(connectionInflightMax).fill(null);
  readonly #idOf = new Uint16Array(connectionInflightMax);
  /** Slots of requests to be written when the turn ends. */
  readonly #unwritten: number[] = [];
  #isFlushDue = false;
  #state: 'connecting' | 'open' | 'closed' = 'connecting';
  #retired = false;
  wasEndedByPeer = false;
  inflight = 0;
  #inflightHedges = 0;
  #inflightProbes = 0;
  /** Requests of clients that have many in flight. */
  #inflightHeavy = 0;
  /** By slot, kept until the slot is free. */
  readonly #clientOf: (string | undefined)[] = new Array(connectionInflightMax).fill(undefined);
  readonly #isHeavy: boolean[] = new Array(connectionInflightMax).fill(false);
  answers = 0;
  #nowMs: number;
  lastHeardMs = Number.NEGATIVE_INFINITY;
  readonly openedAtMs: number;
  readonly #retireAtMs: number;
  #idleSinceMs: number;
  /** Since when it has owed answers and received nothing; `never` when it owes none. */
  silentSinceMs = noTime;

  constructor(address: UpstreamAddress, owner: ConnectionOwner, nowMs: number) {
    const { network, random, counters } = address.deps;
    const { maxAgeMs, sourceAddress } = address.settings;
    this.#address = address;
    this.#owner = owner;
    this.#ids = new Ids(random);
    this.#nowMs = nowMs;
    this.openedAtMs = nowMs;
    this.#idleSinceMs = nowMs;
    // Lifetimes differ, so that connections are not all replaced at once.
    this.#retireAtMs = maxAgeMs === 0 ? noTime : nowMs + (maxAgeMs * (1024 - random.below(342))) / 1024;
    counters.count('upstreamConnects');
    this.#stream = network.connectStream(address.endpoint, this, sourceAddress ?? undefined, address.tls ?? undefined);
  }

  get owesOnlyProbes(): boolean {
    return this.inflight > 0 && this.inflight === this.#inflightProbes;
  }

  get isConnecting(): boolean {
    return this.#state === 'connecting';
  }

  get waitsFor(): Carrier['waitsFor'] {
    return this.#state === 'connecting' ? 'connect' : 'answer';
  }

  /** Nothing was ever sent on it. */
  get isNew(): boolean {
    return this.inflight === 0 && this.answers === 0 && this.#state === 'connecting';
  }

  /** Silent for longer than the upstream's answers take. */
  isSuspect(nowMs: number): boolean {
    return nowMs - this.silentSinceMs >= this.#address.rtt.waitMs;
  }

  /** Delayed: silent for longer than usual, or carries hedges, which probably ask for slow names. */
  isSlow(nowMs: number): boolean {
    return this.#inflightHedges > 0 || nowMs - this.silentSinceMs >= this.#address.rtt.slowMs;
  }

  /** Silent for so long that a slow name must be ahead of the other requests. */
  isHeldUp(nowMs: number): boolean {
    return nowMs - this.silentSinceMs >= this.#address.rtt.heldUpMs;
  }

  get hasUnwritten(): boolean {
    return this.#unwritten.length > 0;
  }

  /** Whether it may get another request; it carries at most `requestsMax` in its life. */
  takes(requestsMax: number, nowMs: number): boolean {
    if (this.#state === 'closed' || this.#retired || this.inflight >= connectionInflightMax) return false;
    if (this.inflight + this.answers >= requestsMax) return false;
    return nowMs < this.#retireAtMs && !this.isSuspect(nowMs) && !this.#ids.isExhausted(nowMs);
  }

  /** Whether it answers, and stays open for so long if unused. */
  lastsFor(durationMs: number, nowMs: number): boolean {
    if (this.#state !== 'open' || this.#retired || this.isSuspect(nowMs)) return false;
    const { expireMs } = this.#address.settings;
    const isIdle = this.inflight === 0;
    return nowMs + durationMs < this.#retireAtMs && (!isIdle || nowMs + durationMs < this.#idleSinceMs + expireMs);
  }

  /** Carries requests of clients with many in flight: others would wait behind them. */
  get carriesHeavy(): boolean {
    return this.#inflightHeavy > 0;
  }

  carriesFor(client: string | undefined): boolean {
    if (this.inflight === 0) return false;
    for (let slot = 0; slot < connectionInflightMax; slot++) {
      if (this.#attempts[slot] !== null && this.#clientOf[slot] === client) return true;
    }
    return false;
  }

  /** Sends the request when the turn ends. Only after `takes`; `isHeavy`: its client has many in flight. */
  send(attempt: Attempt, nowMs: number, isHeavy = false): void {
    const slot = this.#attempts.indexOf(null);
    assert(slot >= 0, 'a connection is given what it has a place for');
    this.#isHeavy[slot] = isHeavy;
    if (isHeavy) this.#inflightHeavy++;
    const { client } = attempt.request;
    this.#owner.took(client, !this.carriesFor(client));
    this.#clientOf[slot] = client;
    this.#attempts[slot] = attempt;
    this.#idOf[slot] = this.#ids.take(this.#isInFlight, nowMs);
    this.inflight++;
    if (attempt.isHedge) this.#inflightHedges++;
    if (attempt.isProbe) this.#inflightProbes++;
    attempt.carrier = this;
    attempt.sentAtMs = nowMs;
    if (this.silentSinceMs === noTime) this.silentSinceMs = nowMs;
    this.#flushSoon();
    this.#unwritten.push(slot);
  }

  #flushSoon(): void {
    if (!this.#isFlushDue) this.#address.deps.flush.add(this);
    this.#isFlushDue = true;
  }

  flush(): void {
    this.#isFlushDue = false;
    if (this.#state === 'closed') return;
    let end = 0;
    try {
      toEach(this.#unwritten.splice(0), (slot) => {
        const attempt = this.#attempts[slot];
        if (attempt === null) return;
        const { request } = attempt;
        const hasOpt = attempt.allowsOpt && needsOpt(request);
        const form = { id: this.#idOf[slot], hasOpt, udpBytes: this.#address.settings.udpBytes };
        const messageEnd = writeRequest(requestScratch, end + frameHeaderBytes, request, form);
        setU16(requestScratch, end, messageEnd - end - frameHeaderBytes);
        end = messageEnd;
      });
    } finally {
      // Written bytes acknowledge what has been read.
      if (end > 0) this.#stream.write(requestScratch.subarray(0, end));
      else if (this.inflight > 0) this.#stream.acknowledge?.();
    }
    if (this.#stream.unsentBytes > connectionUnsentBytesMax)
      this.#break(this.#silence(), this.#address.deps.clock.nowMs());
  }

  abandon(attempt: Attempt, nowMs: number): void {
    const slot = this.#attempts.indexOf(attempt);
    const unwritten = this.#unwritten.indexOf(slot);
    if (unwritten >= 0) this.#unwritten.splice(unwritten, 1);
    else this.#ids.rest(this.#idOf[slot], nowMs);
    this.#free(slot, nowMs);
  }

  /** Takes no more requests; closes when none is in flight. */
  retire(nowMs: number): void {
    this.#retired = true;
    if (this.inflight === 0) this.close(nowMs);
  }

  /** Closes now; its attempts are lost. */
  close(nowMs: number): void {
    this.#break(
      { why: 'unreachable', text: `read tcp ${this.#address.to}: use of closed network connection`, blame: false },
      nowMs,
    );
  }

  sweep(nowMs: number): void {
    const { expireMs, deadlineMs } = this.#address.settings;
    if (this.#state === 'connecting') {
      if (nowMs - this.openedAtMs >= connectTimeoutMs) this.#connectFailed(null, nowMs);
    } else if (this.silentSinceMs !== noTime) {
      // A late answer is still good for the cache.
      const silenceMaxMs = this.inflight > 0 ? lateAnswerMs : deadlineMs;
      if (nowMs - this.silentSinceMs < silenceMaxMs) return;
      this.#address.deps.counters.count('upstreamSuspectsClosed');
      this.#break(this.#silence(), nowMs);
    } else if (nowMs >= this.#retireAtMs || nowMs - this.#idleSinceMs >= expireMs) {
      this.close(nowMs);
    }
  }

  opened(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'open';
    if (this.silentSinceMs !== noTime) this.silentSinceMs = this.#address.deps.clock.nowMs();
  }

  data(bytes: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.#nowMs = this.#address.deps.clock.nowMs();
    this.lastHeardMs = this.#nowMs;
    this.#frames.push(bytes, this.#receive);
    if (this.#isClosed()) return;
    this.silentSinceMs = this.inflight === 0 ? noTime : this.#nowMs;
    if (this.inflight > 0) this.#flushSoon();
    if (this.#retired && this.inflight === 0) this.close(this.#nowMs);
    else this.#owner.answered(this, this.#nowMs);
  }

  ended(): void {
    this.#lost(null);
  }

  closed(error?: NodeJS.ErrnoException): void {
    this.#lost(error ?? null);
  }

  readonly #isInFlight = (id: number): boolean => this.#slotOf(id) >= 0;

  #slotOf(id: number): number {
    for (let slot = 0; slot < connectionInflightMax; slot++) {
      if (this.#idOf[slot] === id && this.#attempts[slot] !== null) return slot;
    }
    return -1;
  }

  /** False when the connection was closed meanwhile. */
  readonly #receive = (message: Uint8Array): boolean => {
    const { counters } = this.#address.deps;
    const slot = message.length < 2 ? -1 : this.#slotOf(u16(message, 0));
    if (slot < 0) {
      counters.count(message.length < 2 ? 'answersRejectedMalformed' : 'answersRejectedId');
      return true;
    }
    const attempt = this.#attempts[slot]!;
    if (!attempt.accepts(message)) return true;
    this.answers++;
    this.#free(slot, this.#nowMs);
    attempt.answered(message, this.#nowMs);
    return !this.#isClosed();
  };

  #free(slot: number, nowMs: number): void {
    const attempt = this.#attempts[slot]!;
    attempt.carrier = null;
    this.#attempts[slot] = null;
    this.inflight--;
    if (attempt.isHedge) this.#inflightHedges--;
    if (attempt.isProbe) this.#inflightProbes--;
    if (this.#isHeavy[slot]) this.#inflightHeavy--;
    this.#owner.gave(this.#clientOf[slot], !this.carriesFor(this.#clientOf[slot]));
    if (this.inflight === 0) this.#idleSinceMs = nowMs;
  }

  /** A callback may change `state`, which the type checker does not see. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #lost(error: NodeJS.ErrnoException | null): void {
    if (this.#state === 'closed') return;
    const nowMs = this.#address.deps.clock.nowMs();
    if (this.#state === 'connecting' && error !== null) return this.#connectFailed(error, nowMs);
    this.wasEndedByPeer = true;
    const blame = this.answers === 0;
    const loss: Loss =
      error === null ? { why: 'unreachable', text: 'EOF', blame } : readLoss('tcp', this.#address.to, error, blame);
    this.#break(loss, nowMs);
  }

  #connectFailed(error: NodeJS.ErrnoException | null, nowMs: number): void {
    this.#address.deps.counters.count('upstreamConnectFailures');
    this.#break(dialLoss(this.#address.to, error), nowMs);
  }

  #silence(): Loss {
    return { why: 'timeout', text: timeoutText('tcp', this.#address.to, this.waitsFor), blame: true };
  }

  #break(loss: Loss, nowMs: number): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stream.destroy();
    const left: Attempt[] = [];
    // The owner reads `inflight`, so the slots are freed afterwards.
    this.#owner.closed(this, nowMs);
    for (let slot = 0; slot < connectionInflightMax; slot++) {
      const attempt = this.#attempts[slot];
      if (attempt === null) continue;
      left.push(attempt);
      this.#free(slot, nowMs);
    }
    toEach(left, (attempt) => attempt.lost(loss, nowMs));
  }
}

const idsCount = 65_536;

/** Random query ids (RFC 5452 9.2), not in flight nor abandoned so recently that a late answer could come. */
export class Ids {
  readonly #random: Random;
  /** Id to the end of its rest, in that order. */
  readonly #resting = new Map<number, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  take(isInUse: (id: number) => boolean, nowMs: number): number {
    this.#wake(nowMs);
    for (;;) {
      const id = this.#random.below(idsCount);
      if (!isInUse(id) && !this.#resting.has(id)) return id;
    }
  }

  /** The request was abandoned after it had been sent. */
  rest(id: number, nowMs: number): void {
    this.#resting.set(id, nowMs + idQuarantineMs);
  }

  /** So many ids rest that the connection should be replaced. */
  isExhausted(nowMs: number): boolean {
    if (this.#resting.size < quarantinedIdsMax) return false;
    this.#wake(nowMs);
    return this.#resting.size >= quarantinedIdsMax;
  }

  #wake(nowMs: number): void {
    for (const [id, untilMs] of this.#resting) {
      if (untilMs > nowMs) return;
      this.#resting.delete(id);
    }
  }
}
