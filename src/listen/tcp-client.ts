/**
 * One TCP client: its bytes are cut into queries for `serve`, and the answers go back in the order in which they are
 * ready, those of one turn of the event loop in one write (RFC 7766 6.2.1, RFC 9210 4.2).
 *
 *     bytes ─> FrameReader ─> serve ─> reply ─> output ─(end of turn)─> stream
 *       └─(too much in flight or unsent, or no time)─> unread, reading paused ─(its turn)─> FrameReader ─> serve
 *
 * `work`, at the end of a turn, writes and closes, which must not happen inside a callback. `serveSome` goes on with
 * unread bytes when it is this client's turn. A connection at rest may be lent to a worker (lender.ts), which answers
 * hits on it; meanwhile its stream is paused and nothing here touches the descriptor.
 */
import type { TimeoutsConfig } from '../config/config.js';
import { type Counters, overTcp } from '../counters.js';
import { FrameReader, frameHeaderBytes, type RestOfChunk, writeFrame } from '../dns/frame.js';
import {
  headerBytes,
  lentQueriesLeast,
  queryBytesMax,
  tcpClientInflightMax,
  tcpClientUnsentBytesMax,
  tcpLingerMs,
} from '../limits.js';
import type { Clock } from '../os/clock.js';
import { type Endpoint, type Stream, type StreamEvents, unsentBytesHigh } from '../os/network.js';
import { PacketClient, type Receiver, type Serve } from './client.js';
import type { HowReturned, Lending, LentClient, Loan } from './lender.js';
import type { PlacedClient, TcpPlaces } from './tcp-places.js';
import type { TakesTurns, TcpTurns } from './tcp-turns.js';

export interface ClientDeps {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly places: Pick<TcpPlaces, 'idleMs' | 'wrote'>;
  readonly turns: TcpTurns;
  readonly timeouts: TimeoutsConfig;
  readonly serve: Serve;
  readonly local: Endpoint;
  /** To a worker that answers hits; null: there is none. */
  readonly lending: Lending | null;
  workLater(client: TcpClient): void;
  gone(client: TcpClient): void;
}

/** `finishing` answers what it has taken and takes no more; `ended` has sent FIN and waits for the client's. */
type ClientState = 'open' | 'finishing' | 'ended' | 'closed';

export class TcpClient implements StreamEvents, PlacedClient, TakesTurns, Receiver<null>, LentClient {
  workIsSet = false;
  countedBytes = 0;
  readonly #deps: ClientDeps;
  readonly #stream: Stream;
  readonly #reader = new FrameReader(queryBytesMax + 1);
  /** Bytes that wait; reading is paused meanwhile. */
  #unread: RestOfChunk | null = null;
  #state: ClientState = 'open';
  #isPaused = false;
  #inFlight = 0;
  #queriesTaken = 0;
  /** Not null while a worker has the connection. */
  #loan: Loan | null = null;
  /** Whether the connection is lent as soon as it is at rest. */
  #isOffered = false;
  #queriesBefore = 0;
  #output: Uint8Array[] = [];
  #outputBytes = 0;
  #writtenBytes = 0;
  /** The time of the last query or answer, or in `ended` of the FIN. */
  #activeAtMs: number;
  /** The bytes the kernel had taken when it last took some, and the time of that. */
  #sentBytes = 0;
  #sentAtMs = 0;

  constructor(deps: ClientDeps, stream: Stream) {
    this.#deps = deps;
    this.#stream = stream;
    this.#activeAtMs = deps.clock.nowMs();
  }

  remoteOf(): Endpoint {
    return this.#stream.remote;
  }

  localOf(): Endpoint {
    return this.#deps.local;
  }

  get remote(): Endpoint {
    return this.#stream.remote;
  }

  get fd(): number {
    return this.#stream.fd ?? -1;
  }

  get address(): string {
    return this.#stream.remote.address;
  }

  get isIdle(): boolean {
    return this.#isAtRest() && this.#stream.unsentBytes === 0;
  }

  get activeAtMs(): number {
    return this.#loan === null ? this.#activeAtMs : this.#loan.activeAtMs;
  }

  get unsentBytes(): number {
    return this.#stream.unsentBytes;
  }

  data(bytes: Uint8Array): void {
    if (this.#state !== 'open') return;
    if (this.#unread !== null) {
      this.#unread = joinedBytes(this.#unread, bytes);
      return;
    }
    this.#unread = { bytes, at: 0 };
    try {
      while (this.#mayServeAtOnce()) this.#serveNext();
    } finally {
      if (this.#unread !== null) this.#letWait(this.#unread);
    }
  }

  drained(): void {
    this.#deps.workLater(this);
  }

  ended(): void {
    this.finish();
  }

  closed(): void {
    this.#state = 'closed';
    this.#deps.turns.leave(this);
    this.#unread = null;
    this.#output = [];
    this.#deps.gone(this);
  }

  /** Takes no more bytes; closes after the last answer. */
  finish(): void {
    if (this.#state !== 'open') return;
    this.#state = 'finishing';
    this.#deps.workLater(this);
  }

  /** Drops an idle client, finishes any other. */
  drain(): void {
    if (this.isIdle) this.destroy();
    else this.finish();
  }

  destroy(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#deps.turns.leave(this);
    if (this.#loan === null) this.#stream.destroy();
    else this.#loan.recall();
  }

  giveUp(cause: 'crowded' | 'slow'): void {
    this.#deps.counters.count(cause === 'slow' ? 'tcpClosedSlow' : 'tcpClosedCrowded');
    this.destroy();
  }

  answered(answer: Uint8Array | null): void {
    this.#inFlight--;
    if (this.#state === 'closed') return;
    if (answer !== null) this.#queue(answer);
    this.#deps.workLater(this);
  }

  /** Serves up to `queriesMax` waiting queries; true when more may be served. */
  serveSome(queriesMax: number): boolean {
    for (let left = queriesMax; left > 0 && this.#mayServe(); left--) this.#serveNext();
    this.#deps.workLater(this);
    return this.#mayServe();
  }

  /** Writes this turn's answers, resumes reading when nothing is unread, and closes when it is time. */
  work(): void {
    if (this.#isLeaving() || this.#loan !== null) return;
    const isAnswered = this.#outputBytes > 0;
    this.#write();
    if (this.#isLeaving()) return;
    if (this.#unread !== null) return this.#waitForTurn();
    if (this.#state === 'open' && this.#isPaused && !this.#mustWait()) {
      this.#isPaused = false;
      this.#stream.resume();
    } else if (this.#state === 'finishing' && this.#inFlight === 0) {
      this.#state = 'ended';
      this.#activeAtMs = this.#deps.clock.nowMs();
      // Bytes that still come are read and dropped: unread bytes would turn the close into a reset.
      if (this.#isPaused) this.#stream.resume();
      this.#stream.end();
    }
    // After an answer: what a worker has given back must be served first.
    if (isAnswered && this.#isOffered) this.#lend();
  }

  /** Its queries since the last call. */
  newQueries(): number {
    const queries = this.#queriesTaken + (this.#loan === null ? 0 : this.#loan.answered);
    const isNew = queries - this.#queriesBefore;
    this.#queriesBefore = queries;
    return isNew;
  }

  /** From now on a worker may have the connection while it is at rest. */
  offer(): void {
    this.#isOffered = true;
    if (this.#loan === null) this.#lend();
  }

  withdraw(): void {
    this.#isOffered = false;
    this.#loan?.recall();
  }

  #lend(): void {
    const { lending, clock, timeouts } = this.#deps;
    const isWhole = this.#state === 'open' && this.isIdle && !this.#isPaused && !this.#reader.unfinished;
    // A worker does not count up to the last query.
    if (lending === null || !isWhole || this.fd < 0 || timeouts.tcpQueriesMax > 0) return;
    this.#loan = lending.lend(this, clock.nowMs());
    if (this.#loan === null) return;
    this.#isPaused = true;
    this.#stream.pause();
  }

  returned(how: HowReturned, unsent: Uint8Array | null): void {
    const { answered, activeAtMs } = this.#loan!;
    this.#loan = null;
    this.#queriesTaken += answered;
    this.#activeAtMs = activeAtMs;
    // A loan costs as much as some hits.
    this.#isOffered &&= how !== 'crowded' && answered >= lentQueriesLeast;
    if (this.#state === 'closed') return this.#stream.destroy();
    if (how === 'broken') return this.destroy();
    if (unsent !== null) {
      this.#output.push(unsent);
      this.#outputBytes += unsent.length;
    }
    this.#deps.workLater(this);
  }

  /** Enforces the timeouts; called periodically. */
  sweep(nowMs: number): void {
    if (this.#state === 'closed') return;
    const { counters, places, timeouts } = this.#deps;
    const { unsentBytes } = this.#stream;
    if (unsentBytes > 0) {
      if (this.#writtenBytes - unsentBytes > this.#sentBytes) {
        this.#sentBytes = this.#writtenBytes - unsentBytes;
        this.#sentAtMs = nowMs;
      } else if (nowMs - this.#sentAtMs >= timeouts.writeMs) {
        this.giveUp('slow');
      }
      return;
    }
    const quietMs = nowMs - this.activeAtMs;
    if (this.#state === 'ended') {
      if (quietMs >= tcpLingerMs) this.destroy();
      return;
    }
    const quietMsMax = places.idleMs(this.#queriesTaken === 0 ? timeouts.readMs : timeouts.idleMs);
    if (this.#isAtRest() && quietMs >= quietMsMax) {
      counters.count('tcpClosedIdle');
      this.destroy();
    }
  }

  #isLeaving(): boolean {
    return this.#state === 'closed' || this.#state === 'ended';
  }

  #isAtRest(): boolean {
    return this.#inFlight === 0 && this.#outputBytes === 0 && this.#unread === null;
  }

  #mustWait(): boolean {
    return this.#inFlight >= tcpClientInflightMax || this.#outputBytes + this.#stream.unsentBytes >= unsentBytesHigh;
  }

  #mayServe(): boolean {
    return this.#unread !== null && !this.#isLeaving() && !this.#mustWait();
  }

  #mayServeAtOnce(): boolean {
    return this.#mayServe() && this.#deps.turns.mayServe();
  }

  #serveNext(): void {
    const unread = this.#unread!;
    const message = this.#reader.next(unread);
    // First: serving the query may close the connection.
    if (unread.at === unread.bytes.length) this.#unread = null;
    if (message === null) return;
    // A header without its question gets FORMERR, as a query that is too long should.
    this.#take(message.length > queryBytesMax ? message.subarray(0, headerBytes) : message);
  }

  #letWait({ bytes, at }: RestOfChunk): void {
    this.#unread = { bytes: new Uint8Array(bytes.subarray(at)), at: 0 };
    if (!this.#isPaused) {
      this.#isPaused = true;
      this.#stream.pause();
    }
    this.#waitForTurn();
  }

  #waitForTurn(): void {
    if (!this.#isLeaving() && !this.#mustWait()) this.#deps.turns.wait(this);
  }

  #take(message: Uint8Array): void {
    const { clock, timeouts, serve } = this.#deps;
    this.#activeAtMs = clock.nowMs();
    this.#inFlight++;
    this.#queriesTaken++;
    if (timeouts.tcpQueriesMax > 0 && this.#queriesTaken >= timeouts.tcpQueriesMax) {
      this.#unread = null;
      this.finish();
    }
    serve(message, new PacketClient(overTcp, this, null));
  }

  #queue(answer: Uint8Array): void {
    const frame = new Uint8Array(frameHeaderBytes + answer.length);
    writeFrame(frame, 0, answer);
    this.#output.push(frame);
    this.#outputBytes += frame.length;
    if (this.#outputBytes >= unsentBytesHigh) this.#write();
  }

  #write(): void {
    if (this.#outputBytes === 0) return;
    const nowMs = this.#deps.clock.nowMs();
    this.#activeAtMs = nowMs;
    if (this.#stream.unsentBytes === 0) {
      this.#sentBytes = this.#writtenBytes;
      this.#sentAtMs = nowMs;
    }
    this.#writtenBytes += this.#outputBytes;
    this.#stream.write(this.#output.length === 1 ? this.#output[0] : Buffer.concat(this.#output, this.#outputBytes));
    this.#output = [];
    this.#outputBytes = 0;
    const { unsentBytes } = this.#stream;
    if (unsentBytes > tcpClientUnsentBytesMax) this.giveUp('slow');
    else if (unsentBytes > 0) this.#deps.places.wrote(this);
  }
}

function joinedBytes({ bytes, at }: RestOfChunk, more: Uint8Array): RestOfChunk {
  return { bytes: Buffer.concat([bytes.subarray(at), more]), at: 0 };
}
