/**
 * One TCP connection to an upstream, with several requests under way at once (RFC 7766 6.2.1.1): answers come in any
 * order and are told apart by their ids. What one turn of the event loop asks leaves in one write. It asks and
 * listens; which connection is asked, and what becomes of requests that a broken one leaves behind, is decided by
 * others.
 *
 *     connecting ──> open ──> closed        and, beside that, does it take new requests?
 *          └───────────────────┘            not when retired (too old), suspect (silent) or full
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
import type { AtTurnEnd } from '../scheduling/flush.js';
import { type Attempt, type Carrier, dialLoss, type Loss, readLoss, timeoutText } from './attempt.js';
import type { Place } from './endpoint.js';
import { needsOpt, requestBytesMax, writeRequest } from './request.js';

/** Who opened the connection. */
export interface ConnectionOwner {
  /** Answers have come: there may be room for more requests. */
  answered(connection: Connection, nowMs: number): void;
  /** It is gone; attempts that it still held are told after this. */
  closed(connection: Connection, nowMs: number): void;
  /** It carries one more attempt of this client, the first or not, */
  took(client: string | undefined, isFirst: boolean): void;
  /** and one less, the last or not. */
  gave(client: string | undefined, wasLast: boolean): void;
}

/** Nothing is owed. */
const notSilent = -1;

/** All connections write from here: a network copies what it cannot pass on at once. */
const scratch = new Uint8Array(connectionInflightMax * (frameHeaderBytes + requestBytesMax));

export class Connection implements StreamEvents, Carrier, AtTurnEnd {
  readonly #place: Place;
  readonly #owner: ConnectionOwner;
  readonly #stream: Stream;
  readonly #frames = new FrameReader();
  readonly #ids: Ids;
  /** Attempt and id share an index; null is a free place. */
  readonly #attempts: (Attempt | null)[] = new Array(connectionInflightMax).fill(null);
  readonly #idOf = new Uint16Array(connectionInflightMax);
  /** Places taken in this turn and not written yet. */
  readonly #unwritten: number[] = [];
  #state: 'connecting' | 'open' | 'closed' = 'connecting';
  #retired = false;
  #wasEndedByPeer = false;
  #inflight = 0;
  /** Of these, those whose question was asked before. */
  #inflightAgain = 0;
  /** And those that are questions of our own. */
  #inflightProbes = 0;
  /** And those of clients that ask for much. */
  #inflightHeavy = 0;
  /** By index, as attempts are: whose it is, and whether that one asks for much. */
  readonly #clientOf: (string | undefined)[] = new Array(connectionInflightMax).fill(undefined);
  readonly #isHeavy: boolean[] = new Array(connectionInflightMax).fill(false);
  #answers = 0;
  #nowMs: number;
  #lastHeardMs = Number.NEGATIVE_INFINITY;
  /** When it was begun to be opened, and given what it was opened for. */
  readonly openedAtMs: number;
  readonly #retireAtMs: number;
  #idleSinceMs: number;
  /** Since when something is owed and nothing has been heard. */
  #silentSinceMs = notSilent;

  constructor(place: Place, owner: ConnectionOwner, nowMs: number) {
    const { network, random, counters } = place.deps;
    const { maxAgeMs, sourceAddress } = place.settings;
    this.#place = place;
    this.#owner = owner;
    this.#ids = new Ids(random);
    this.#nowMs = nowMs;
    this.openedAtMs = nowMs;
    this.#idleSinceMs = nowMs;
    // Some live shorter than others, so that they are not all replaced at once.
    this.#retireAtMs =
      maxAgeMs === 0 ? Number.POSITIVE_INFINITY : nowMs + (maxAgeMs * (1024 - random.below(342))) / 1024;
    counters.count('upstreamConnects');
    this.#stream = network.connectStream(place.endpoint, this, sourceAddress ?? undefined, place.tls ?? undefined);
  }

  get inflight(): number {
    return this.#inflight;
  }

  /** Answers that came on it. */
  get answers(): number {
    return this.#answers;
  }

  /** When bytes last came on it; -Infinity before the first. */
  get lastHeardMs(): number {
    return this.#lastHeardMs;
  }

  /** The other end closed or reset it, and not we. */
  get wasEndedByPeer(): boolean {
    return this.#wasEndedByPeer;
  }

  /** All that it owes are answers to questions of our own. */
  get owesOnlyProbes(): boolean {
    return this.#inflight > 0 && this.#inflight === this.#inflightProbes;
  }

  /** Since when it has owed something and said nothing; `Infinity` when it owes nothing. */
  get silentSinceMs(): number {
    return this.#silentSinceMs === notSilent ? Number.POSITIVE_INFINITY : this.#silentSinceMs;
  }

  get isConnecting(): boolean {
    return this.#state === 'connecting';
  }

  get waitsFor(): Carrier['waitsFor'] {
    return this.#state === 'connecting' ? 'connect' : 'answer';
  }

  /** Nothing was ever asked on it. */
  get isNew(): boolean {
    return this.#inflight === 0 && this.#answers === 0 && this.#state === 'connecting';
  }

  /** It owes answers and has been silent for longer than the upstream's pace allows. */
  isSuspect(nowMs: number): boolean {
    return this.#silentSinceMs !== notSilent && nowMs - this.#silentSinceMs >= this.#place.pace.waitMs;
  }

  /** Something holds it up: it owes answers and has been silent for longer than is usual, or will soon, by what it carries. */
  isSlow(nowMs: number): boolean {
    if (this.#inflightAgain > 0) return true;
    return this.#silentSinceMs !== notSilent && nowMs - this.#silentSinceMs >= this.#place.pace.slowMs;
  }

  /** It has been silent for so long that a question before the others must be what takes the time. */
  isHeldUp(nowMs: number): boolean {
    return this.#silentSinceMs !== notSilent && nowMs - this.#silentSinceMs >= this.#place.pace.heldUpMs;
  }

  /** What it was given in this turn leaves when the turn ends. */
  get hasUnwritten(): boolean {
    return this.#unwritten.length > 0;
  }

  /** Whether it may be given another request, where it is to carry no more than `requestsMax` in its life. */
  takes(requestsMax: number, nowMs: number): boolean {
    if (this.#state === 'closed' || this.#retired || this.#inflight >= connectionInflightMax) return false;
    if (this.#inflight + this.#answers >= requestsMax) return false;
    return nowMs < this.#retireAtMs && !this.isSuspect(nowMs) && !this.#ids.isExhausted(nowMs);
  }

  /** Whether it answers, and will still be open then if it is not used. */
  lastsFor(durationMs: number, nowMs: number): boolean {
    if (this.#state !== 'open' || this.#retired || this.isSuspect(nowMs)) return false;
    const { expireMs } = this.#place.settings;
    const isIdle = this.#inflight === 0;
    return nowMs + durationMs < this.#retireAtMs && (!isIdle || nowMs + durationMs < this.#idleSinceMs + expireMs);
  }

  /** It carries something of clients that ask for much: what others ask would wait behind it. */
  get carriesHeavy(): boolean {
    return this.#inflightHeavy > 0;
  }

  /** It carries something of this client. */
  carriesFor(client: string | undefined): boolean {
    if (this.#inflight === 0) return false;
    for (let place = 0; place < connectionInflightMax; place++) {
      if (this.#attempts[place] !== null && this.#clientOf[place] === client) return true;
    }
    return false;
  }

  /** Sends the request when the turn ends, of a client that asks for much or not. The caller has made sure that `takes`. */
  send(attempt: Attempt, nowMs: number, isHeavy = false): void {
    const place = this.#attempts.indexOf(null);
    assert(place >= 0, 'a connection is given what it has a place for');
    this.#isHeavy[place] = isHeavy;
    if (isHeavy) this.#inflightHeavy++;
    const { client } = attempt.request;
    this.#owner.took(client, !this.carriesFor(client));
    this.#clientOf[place] = client;
    this.#attempts[place] = attempt;
    this.#idOf[place] = this.#ids.take(this.#isInFlight, nowMs);
    this.#inflight++;
    if (attempt.isAgain) this.#inflightAgain++;
    if (attempt.isProbe) this.#inflightProbes++;
    attempt.carrier = this;
    attempt.sentAtMs = nowMs;
    if (this.#silentSinceMs === notSilent) this.#silentSinceMs = nowMs;
    if (this.#unwritten.length === 0) this.#place.deps.turn.add(this);
    this.#unwritten.push(place);
  }

  turnEnded(): void {
    if (this.#state === 'closed') return;
    let end = 0;
    try {
      toEach(this.#unwritten.splice(0), (place) => {
        const attempt = this.#attempts[place];
        if (attempt === null) return;
        const { request } = attempt;
        const hasOpt = attempt.allowsOpt && needsOpt(request);
        const form = { id: this.#idOf[place], hasOpt, udpBytes: this.#place.settings.udpBytes };
        const messageEnd = writeRequest(scratch, end + frameHeaderBytes, request, form);
        setU16(scratch, end, messageEnd - end - frameHeaderBytes);
        end = messageEnd;
      });
    } finally {
      if (end > 0) this.#stream.write(scratch.subarray(0, end));
    }
    if (this.#stream.unsentBytes > connectionUnsentBytesMax)
      this.#break(this.#silence(), this.#place.deps.clock.nowMs());
  }

  abandon(attempt: Attempt, nowMs: number): void {
    const place = this.#attempts.indexOf(attempt);
    const unwritten = this.#unwritten.indexOf(place);
    if (unwritten >= 0) this.#unwritten.splice(unwritten, 1);
    else this.#ids.rest(this.#idOf[place], nowMs);
    this.#free(place, nowMs);
  }

  /** Takes no more requests, and closes once nothing is in flight. */
  retire(nowMs: number): void {
    this.#retired = true;
    if (this.#inflight === 0) this.close(nowMs);
  }

  /** Closes now; attempts that it still holds are lost. */
  close(nowMs: number): void {
    this.#break(
      { why: 'unreachable', text: `read tcp ${this.#place.to}: use of closed network connection`, blame: false },
      nowMs,
    );
  }

  /** Looks after everything that time does to a connection. */
  sweep(nowMs: number): void {
    const { expireMs, deadlineMs } = this.#place.settings;
    if (this.#state === 'connecting') {
      if (nowMs - this.openedAtMs >= connectTimeoutMs) this.#connectFailed(null, nowMs);
    } else if (this.#silentSinceMs !== notSilent) {
      // An answer that comes too late for the one who asked is good for the next.
      const silenceMaxMs = this.#inflight > 0 ? lateAnswerMs : deadlineMs;
      if (nowMs - this.#silentSinceMs < silenceMaxMs) return;
      this.#place.deps.counters.count('upstreamSuspectsClosed');
      this.#break(this.#silence(), nowMs);
    } else if (nowMs >= this.#retireAtMs || nowMs - this.#idleSinceMs >= expireMs) {
      this.close(nowMs);
    }
  }

  opened(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'open';
    if (this.#silentSinceMs !== notSilent) this.#silentSinceMs = this.#place.deps.clock.nowMs();
  }

  data(bytes: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.#nowMs = this.#place.deps.clock.nowMs();
    this.#lastHeardMs = this.#nowMs;
    this.#frames.push(bytes, this.#receive);
    if (this.#isClosed()) return;
    this.#silentSinceMs = this.#inflight === 0 ? notSilent : this.#nowMs;
    if (this.#inflight > 0) this.#stream.acknowledge?.();
    if (this.#retired && this.#inflight === 0) this.close(this.#nowMs);
    else this.#owner.answered(this, this.#nowMs);
  }

  ended(): void {
    this.#lost(null);
  }

  closed(error?: NodeJS.ErrnoException): void {
    this.#lost(error ?? null);
  }

  readonly #isInFlight = (id: number): boolean => this.#placeOf(id) >= 0;

  #placeOf(id: number): number {
    for (let place = 0; place < connectionInflightMax; place++) {
      if (this.#idOf[place] === id && this.#attempts[place] !== null) return place;
    }
    return -1;
  }

  /** Takes one message; false when the connection was closed meanwhile. */
  readonly #receive = (message: Uint8Array): boolean => {
    const { counters } = this.#place.deps;
    const place = message.length < 2 ? -1 : this.#placeOf(u16(message, 0));
    if (place < 0) {
      counters.count(message.length < 2 ? 'answersRejectedMalformed' : 'answersRejectedId');
      return true;
    }
    const attempt = this.#attempts[place]!;
    if (!attempt.accepts(message)) return true;
    this.#answers++;
    this.#free(place, this.#nowMs);
    attempt.answered(message, this.#nowMs);
    return !this.#isClosed();
  };

  #free(place: number, nowMs: number): void {
    const attempt = this.#attempts[place]!;
    attempt.carrier = null;
    this.#attempts[place] = null;
    this.#inflight--;
    if (attempt.isAgain) this.#inflightAgain--;
    if (attempt.isProbe) this.#inflightProbes--;
    if (this.#isHeavy[place]) this.#inflightHeavy--;
    this.#owner.gave(this.#clientOf[place], !this.carriesFor(this.#clientOf[place]));
    if (this.#inflight === 0) this.#idleSinceMs = nowMs;
  }

  /** `state` may change under a callback, which the type checker does not see. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #lost(error: NodeJS.ErrnoException | null): void {
    if (this.#state === 'closed') return;
    const nowMs = this.#place.deps.clock.nowMs();
    if (this.#state === 'connecting' && error !== null) return this.#connectFailed(error, nowMs);
    this.#wasEndedByPeer = true;
    const blame = this.#answers === 0;
    const loss: Loss =
      error === null ? { why: 'unreachable', text: 'EOF', blame } : readLoss('tcp', this.#place.to, error, blame);
    this.#break(loss, nowMs);
  }

  #connectFailed(error: NodeJS.ErrnoException | null, nowMs: number): void {
    this.#place.deps.counters.count('upstreamConnectFailures');
    this.#break(dialLoss(this.#place.to, error), nowMs);
  }

  #silence(): Loss {
    return { why: 'timeout', text: timeoutText('tcp', this.#place.to, this.waitsFor), blame: true };
  }

  #break(loss: Loss, nowMs: number): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stream.destroy();
    const left: Attempt[] = [];
    // The owner counts what it still owed, so the number is kept until it has looked.
    this.#owner.closed(this, nowMs);
    for (let place = 0; place < connectionInflightMax; place++) {
      const attempt = this.#attempts[place];
      if (attempt === null) continue;
      left.push(attempt);
      this.#free(place, nowMs);
    }
    toEach(left, (attempt) => attempt.lost(loss, nowMs));
  }
}

const idsCount = 65_536;

export class Ids {
  readonly #random: Random;
  /** Id to the time until which it rests, in the order of these times. */
  readonly #resting = new Map<number, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** An id that neither rests nor is in use. */
  take(isInUse: (id: number) => boolean, nowMs: number): number {
    this.#wake(nowMs);
    for (;;) {
      const id = this.#random.below(idsCount);
      if (!isInUse(id) && !this.#resting.has(id)) return id;
    }
  }

  /** The request with this id was given up after it had been sent. */
  rest(id: number, nowMs: number): void {
    this.#resting.set(id, nowMs + idQuarantineMs);
  }

  /** Whether so many rest that the connection had better be replaced. */
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
