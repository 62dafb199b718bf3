/**
 * A worker's side of the TCP connections that it has been lent (loans.ts): it answers whole queries that need no waiting,
 * and gives back a connection that has anything else. It takes from a socket only what it has answered, so that the main
 * thread goes on with the rest as if it had come just then.
 *
 *   readable ─> peek ─> [ decide ─> output ] × n ─> take n from the socket ─> write ─> keep, or give back
 */
import type { Counters } from '../counters.js';
import { overTcp } from '../counters.js';
import type { Slot } from '../dns/answer.js';
import { frameHeaderBytes } from '../dns/frame.js';
import { headerBytes, lentOutputBytes, lentQueriesMax, lentReadyMax, queryBytesMax, sendSlotBytes } from '../limits.js';
import { familyAt } from '../os/addresses.js';
import { epollLayout, errors, linux, type SystemCalls } from '../os/system-calls.js';
import type { AnswerOrigin } from './client.js';
import type { LoanTable } from './loans.js';
import { Datagrams, type Received } from './message-batch.js';
import { kindRefresh, type RingWriter } from './ring.js';
import type { SampleWriter } from './samples.js';
import type { TracedAnswer, TraceWriter } from './traces.js';
import type { SocketOrder } from './worker.js';

/** As for datagrams. */
interface AnswersNow<Table> {
  answer(table: Table, received: Received, slot: Slot): number;
  refreshDue(): boolean;
  origin(slot: Slot): AnswerOrigin;
}

interface LentClientsDeps<Table> {
  readonly calls: SystemCalls;
  readonly decide: AnswersNow<Table>;
  readonly counters: Counters;
  readonly ring: RingWriter;
  readonly samples: Pick<SampleWriter, 'take'>;
  readonly traces: Pick<TraceWriter, 'wantsHits' | 'passesOver' | 'putHit'>;
  readonly loans: LoanTable;
  readonly loansEpoll: number;
  /** Gives a connection back with bytes that could not be sent. */
  unsent(place: number, bytes: Uint8Array): void;
  /** There is something for the main thread. */
  wake(): void;
  enter(): void;
  leave(): void;
  failed(error: unknown): void;
}

/** One query of the longest kind. */
const peekedBytes = frameHeaderBytes + queryBytesMax;
const outputFrom = (peekedBytes + 63) & ~63;
const takenFrom = outputFrom + lentOutputBytes;
const { words: eventWords, dataWord } = epollLayout;

export class LentClients<Table> {
  readonly #deps: LentClientsDeps<Table>;
  readonly #memory = new Uint8Array(takenFrom + peekedBytes);
  readonly #memoryAt: number;
  readonly #events = new Int32Array(eventWords * lentReadyMax);
  /** The current query with its sender, as datagrams have them. */
  readonly #query: Datagrams;
  readonly #answer: Datagrams;
  readonly #packet: Received = { packet: new Uint8Array(0), length: 0, family: 0, transport: overTcp, nowMs: 0 };
  readonly #traced: TracedAnswer = { socket: 0, transport: overTcp, origin: 'hit', atMs: 0, durationMs: 0 };
  #outputBytes = 0;
  #unsent: Uint8Array | null = null;
  #mustWake = false;

  constructor(deps: LentClientsDeps<Table>) {
    this.#deps = deps;
    this.#memoryAt = deps.calls.addressOf(this.#memory.buffer as ArrayBuffer);
    this.#query = new Datagrams(deps.calls, queryBytesMax, 1);
    this.#answer = new Datagrams(deps.calls, sendSlotBytes, 1);
    this.#packet.packet = this.#query.slots[0].bytes;
  }

  /** Serves what is ready, each once. */
  serve(sockets: readonly SocketOrder<Table>[], nowMs: number): void {
    const { calls, loansEpoll, loans, enter, leave, wake } = this.#deps;
    const events = this.#events;
    const count = calls.epollReady(loansEpoll, events, lentReadyMax);
    if (count <= 0) return;
    this.#packet.nowMs = nowMs;
    enter();
    for (let index = 0; index < count; index++) {
      const place = events[index * eventWords + dataWord];
      if (!loans.use(place)) continue;
      const socket = socketOf(sockets, loans.socket(place));
      const isDone = socket !== null && this.#serveOne(place, socket, events[index * eventWords]);
      // The main thread lets clients take turns.
      const isCrowded = count === lentReadyMax;
      if (isCrowded) loans.crowd(place);
      if (!isDone || isCrowded || !loans.keep(place)) this.#giveBack(place);
    }
    leave();
    if (this.#mustWake) wake();
    this.#mustWake = false;
  }

  /** False when something is left that is the main thread's. */
  #serveOne(place: number, socket: SocketOrder<Table>, events: number): boolean {
    const { calls, loans } = this.#deps;
    const fd = loans.fd(place);
    const peeked = calls.peek(fd, this.#memoryAt, peekedBytes);
    if (peeked === errors.tryAgain || peeked === errors.interrupted) return events === linux.epollIn;
    if (peeked <= 0) return false;
    const bytes = this.#memory;
    let at = 0;
    let queries = 0;
    while (queries < lentQueriesMax && at + frameHeaderBytes <= peeked) {
      const length = (bytes[at] << 8) | bytes[at + 1];
      const end = at + frameHeaderBytes + length;
      if (length < headerBytes || length > queryBytesMax || end > peeked) break;
      this.#take(place, at + frameHeaderBytes, length);
      if (!this.#answerOne(socket, fd)) break;
      at = end;
      queries++;
    }
    if (at > 0) {
      calls.read(fd, this.#memoryAt + takenFrom, at);
      loans.count(place, queries, this.#packet.nowMs);
    }
    this.#write(fd);
    return at === peeked && this.#unsent === null;
  }

  #take(place: number, from: number, length: number): void {
    const { loans } = this.#deps;
    this.#query.receive(0, this.#memory, from, length, loans.words, loans.peerAt(place));
    const packet = this.#packet;
    packet.length = length;
    packet.family = familyAt(this.#query.bytes, this.#query.peerAt(0) * 4);
  }

  /** False: it has to wait. */
  #answerOne(socket: SocketOrder<Table>, fd: number): boolean {
    const { decide, counters, ring, samples, traces, failed } = this.#deps;
    const slot: Slot = this.#answer.slots[0];
    let bytes = 0;
    try {
      bytes = decide.answer(socket.table, this.#packet, slot);
      if (bytes > 0 && decide.refreshDue()) {
        this.#mustWake = true;
        ring.put(kindRefresh, socket.id, this.#packet.nowMs, this.#query, 0);
      }
    } catch (error) {
      counters.count('panics');
      failed(error);
    }
    if (bytes < 0) return false;
    samples.take(this.#query, 1);
    if (bytes === 0) return true;
    if (traces.wantsHits && !traces.passesOver()) this.#trace(socket, slot, bytes);
    this.#put(fd, slot.bytes, bytes);
    return true;
  }

  /** Tells those who watch of the answer in the slot. */
  #trace(socket: SocketOrder<Table>, slot: Slot, bytes: number): void {
    const { decide, traces, counters, failed } = this.#deps;
    const traced = this.#traced;
    try {
      traced.socket = socket.id;
      traced.origin = decide.origin(slot);
      traced.atMs = this.#packet.nowMs;
      traces.putHit(traced, slot, bytes, this.#query, 0);
    } catch (error) {
      // The client gets its answer all the same.
      counters.count('panics');
      failed(error);
    }
  }

  #put(fd: number, answer: Uint8Array, length: number): void {
    if (this.#outputBytes + frameHeaderBytes + length > lentOutputBytes) this.#write(fd);
    const to = this.#memory;
    let at = outputFrom + this.#outputBytes;
    to[at++] = length >> 8;
    to[at++] = length & 0xff;
    for (let byte = 0; byte < length; byte++) to[at + byte] = answer[byte];
    this.#outputBytes += frameHeaderBytes + length;
  }

  /** Bytes that the kernel does not take are the main thread's to send. */
  #write(fd: number): void {
    const length = this.#outputBytes;
    if (length === 0) return;
    this.#outputBytes = 0;
    const sent = this.#unsent === null ? this.#deps.calls.write(fd, this.#memoryAt + outputFrom, length) : 0;
    // After other errors the main thread finds the connection broken.
    if (sent === length) return;
    const rest = this.#memory.slice(outputFrom + Math.max(0, sent), outputFrom + length);
    this.#unsent = this.#unsent === null ? rest : Buffer.concat([this.#unsent, rest]);
  }

  #giveBack(place: number): void {
    const { calls, loans, loansEpoll, unsent } = this.#deps;
    calls.epollControl(loansEpoll, linux.epollDelete, loans.fd(place), this.#events);
    const bytes = this.#unsent;
    this.#unsent = null;
    if (bytes !== null) {
      loans.giveBackApart(place);
      return unsent(place, bytes);
    }
    loans.giveBack(place);
    this.#mustWake = true;
  }
}

function socketOf<Table>(sockets: readonly SocketOrder<Table>[], id: number): SocketOrder<Table> | null {
  for (let index = 0; index < sockets.length; index++) if (sockets[index].id === id) return sockets[index];
  return null;
}
