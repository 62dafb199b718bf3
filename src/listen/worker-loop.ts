/**
 * A worker's loop: receive up to 64 datagrams in one call, decide about each, send the answers in one call, ask upstream
 * about plain ones of the rest, defer the others. It has no event loop, waits only in the kernel, and makes no garbage
 * per packet. `decide` is injected.
 *
 *   recvmmsg ─> orders? ─> [ decide ─> send slot | row | ring | nothing ] × n ─> sendmmsg ─> wake the main thread?
 *
 * With queries of its own under way it polls their connections together with its sockets (asking.ts), and so it does with
 * the TCP clients that it has been lent (lent-clients.ts).
 */

import { type Counters, overUdp } from '../counters.js';
import type { Slot } from '../dns/answer.js';
import type { HashKey } from '../dns/hash.js';
import {
  batchPacketsMax,
  directConnectionsMax,
  directSweepMs,
  directUpstreamsMax,
  listenersMax,
  receiveSlotBytes,
  receiveTimeoutMs,
  sendSlotBytes,
} from '../limits.js';
import { familyAt } from '../os/addresses.js';
import { errors, linux, type SystemCalls } from '../os/system-calls.js';
import { type DirectAsking, OwnQueries } from './asking.js';
import type { AnswerOrigin } from './client.js';
import { LentClients } from './lent-clients.js';
import type { LoanTable } from './loans.js';
import { Datagrams, type Received, sendAll } from './message-batch.js';
import { kindQuestion, kindRefresh, type RingWriter } from './ring.js';
import type { SampleWriter } from './samples.js';
import type { TracedAnswer, TraceWriter } from './traces.js';
import type { OrderNumbers, Orders, SocketOrder } from './worker.js';

export interface Decide<Table> {
  /** Writes the answer into the slot: its bytes, 0 for none, negative to defer. */
  answer(table: Table, received: Received, slot: Slot): number;
  /** Whether the entry of the last answer needs a refresh. */
  refreshDue(): boolean;
  /** SERVFAIL for the packet that `answer` has just deferred. */
  overloaded(received: Received, slot: Slot): number;
  /** Where the last answer, which is in the slot, came from; called only for those who watch. */
  origin(slot: Slot): AnswerOrigin;
}

export interface WorkerLoopDeps<Table> {
  readonly calls: SystemCalls;
  readonly decide: Decide<Table>;
  /** Null: the main thread asks about everything. */
  readonly asking: DirectAsking<Table> | null;
  readonly hashKey: HashKey;
  readonly counters: Counters;
  readonly ring: RingWriter;
  readonly samples: Pick<SampleWriter, 'take'>;
  readonly traces: Pick<TraceWriter, 'wantsHits' | 'wantsOthers' | 'passesOver' | 'putHit' | 'put'>;
  readonly numbers: OrderNumbers;
  readonly loans: LoanTable;
  readonly loansEpoll: number;
  /** Gives a lent connection back with bytes that could not be sent. */
  unsent(place: number, bytes: Uint8Array): void;
  nowMs(): number;
  /** Called around every access to shared blocks. */
  enter(): void;
  leave(): void;
  nextOrders(): Orders<Table> | undefined;
  wakeControlLane(): void;
  failed(error: unknown): void;
}

const pollEntryBytes = 8;
const pollEntriesMax = listenersMax + 1 + directUpstreamsMax * directConnectionsMax;

export class WorkerLoop<Table> {
  readonly #deps: WorkerLoopDeps<Table>;
  readonly #received: Datagrams;
  readonly #answers: Datagrams;
  readonly #packet: Received = { packet: new Uint8Array(0), length: 0, family: 0, transport: overUdp, nowMs: 0 };
  readonly #traced: TracedAnswer = { socket: 0, transport: overUdp, origin: 'hit', atMs: 0, durationMs: 0 };
  #orders: Orders<Table>;
  #leaving: SocketOrder<Table>[] = [];
  readonly #pollEntries = new Int32Array(new ArrayBuffer(pollEntriesMax * pollEntryBytes));
  readonly #pollAt: number;
  readonly #own: OwnQueries<Table> | null;
  /** Made when something has been lent. */
  #lent: LentClients<Table> | null = null;
  #mustWake = false;
  /** Datagrams were received and none is answered yet. */
  #isBatchOpen = false;
  /** 1 when some socket reports our address with each datagram; other sockets ignore the room. */
  #withControl = 0;

  constructor(deps: WorkerLoopDeps<Table>, first: Orders<Table>) {
    this.#deps = deps;
    this.#received = new Datagrams(deps.calls, receiveSlotBytes);
    this.#answers = new Datagrams(deps.calls, sendSlotBytes);
    this.#pollAt = deps.calls.addressOf(this.#pollEntries.buffer as ArrayBuffer);
    this.#orders = { ...first, sockets: [] };
    this.#own = deps.asking === null ? null : this.#ownQueries(deps.asking);
    this.#follow(first);
  }

  #ownQueries(asking: DirectAsking<Table>): OwnQueries<Table> {
    const deps = this.#deps;
    return new OwnQueries<Table>(
      {
        ...deps,
        asking,
        answers: this.#answers,
        wake: () => this.#wake(),
        overloaded: (received, slot) => deps.decide.overloaded(received, slot),
      },
      this.#orders,
    );
  }

  run(): void {
    this.#finishOrders();
    while (this.#orders.next === 'serve') this.turn();
  }

  turn(): void {
    try {
      this.#takeTurn();
    } catch (error) {
      // The exception ends the worker, but must not lose its queries.
      this.#own?.giveUpAll();
      throw error;
    }
  }

  #takeTurn(): void {
    const { sockets } = this.#orders;
    const isAlone = !this.#deps.loans.polls() && (this.#own === null || this.#own.isIdle);
    if (sockets.length === 1 && isAlone) this.#serve(sockets[0], linux.waitForOne);
    else if (sockets.length > 0) this.#serveReady(sockets);
    else this.#deps.numbers.await(this.#orders.number, receiveTimeoutMs);
    if (this.#deps.numbers.issued !== this.#orders.number) this.#takeOrders();
    if (this.#leaving.length > 0 || this.#deps.numbers.taken !== this.#orders.number) this.#finishOrders();
  }

  #serveReady(sockets: readonly SocketOrder<Table>[]): void {
    const { calls, loansEpoll } = this.#deps;
    const own = this.#own;
    const entries = this.#pollEntries;
    const lentAt = sockets.length;
    const connectionsAt = lentAt + 1;
    // Without lent connections it is never ready.
    entries[lentAt * 2] = loansEpoll;
    entries[lentAt * 2 + 1] = linux.pollIn;
    const connections = own === null ? 0 : own.watch(entries, connectionsAt);
    const timeoutMs = own === null || own.isIdle ? receiveTimeoutMs : directSweepMs;
    const ready = calls.poll(this.#pollAt, connectionsAt + connections, timeoutMs);
    if (own !== null && (connections > 0 || ready === 0)) {
      const nowMs = this.#deps.nowMs();
      // Answers first: their clients have waited longer.
      if (ready > 0) own.read(entries, connectionsAt, nowMs);
      own.flush(nowMs);
    }
    for (let index = 0; index < sockets.length && ready > 0; index++) {
      if (entries[index * 2 + 1] >> 16 !== 0) this.#serve(sockets[index], linux.dontWait);
    }
    if (ready > 0 && entries[lentAt * 2 + 1] >> 16 !== 0) this.#serveLent();
  }

  #serveLent(): void {
    if (this.#deps.numbers.issued !== this.#orders.number) this.#takeOrders();
    this.#lent ??= new LentClients({ ...this.#deps, wake: () => this.#wake() });
    this.#lent.serve(this.#orders.sockets, this.#deps.nowMs());
  }

  /** Serves one batch of one socket; the number of datagrams. */
  #serve(socket: SocketOrder<Table>, flags: number): number {
    const { calls, numbers } = this.#deps;
    const count = calls.receive(socket.fd, this.#received.headersAt, batchPacketsMax, flags);
    if (count <= 0) {
      // The next orders explain the error; waiting avoids a busy loop.
      const isUsual = count === errors.tryAgain || count === errors.interrupted || count === 0;
      if (!isUsual) numbers.await(this.#orders.number, receiveTimeoutMs);
      this.#own?.flush(this.#deps.nowMs());
      return 0;
    }
    this.#isBatchOpen = true;
    try {
      let by = socket;
      if (numbers.issued !== this.#orders.number) {
        this.#takeOrders();
        by = this.#orders.sockets.find(({ id }) => id === socket.id) ?? socket;
      }
      this.#answerBatch(by, count);
    } catch (error) {
      // The exception ends the worker, but must not lose the batch.
      if (this.#isBatchOpen) this.#deferBatch(socket, count);
      throw error;
    }
    return count;
  }

  #deferBatch(socket: SocketOrder<Table>, count: number): void {
    const { ring, nowMs, wakeControlLane } = this.#deps;
    for (let index = 0; index < count; index++) {
      if (this.#received.nameBytes(index) > 0) ring.put(kindQuestion, socket.id, nowMs(), this.#received, index);
    }
    wakeControlLane();
  }

  #answerBatch(socket: SocketOrder<Table>, count: number): void {
    const deps = this.#deps;
    const datagrams = this.#received;
    const packet = this.#packet;
    packet.nowMs = deps.nowMs();
    const isWatched = deps.traces.wantsHits;
    let answers = 0;
    deps.enter();
    for (let index = 0; index < count; index++) {
      if (datagrams.nameBytes(index) === 0) continue;
      packet.packet = datagrams.slots[index].bytes;
      packet.length = datagrams.length(index);
      packet.family = familyAt(datagrams.bytes, datagrams.peerAt(index) * 4);
      const isAnswered = this.#answerOne(socket, index, answers);
      if (isWatched && isAnswered === 1 && !deps.traces.passesOver()) this.#trace(socket, index, answers);
      answers += isAnswered;
    }
    deps.leave();
    this.#isBatchOpen = false;
    // Clients first.
    if (answers > 0) sendAll(deps.calls, socket.fd, this.#answers, answers, 0, deps.counters);
    deps.counters.countBatch(count);
    deps.samples.take(datagrams, count);
    datagrams.prepare(count, this.#withControl);
    if (this.#own !== null) this.#own.flush(packet.nowMs);
    if (this.#mustWake) {
      this.#mustWake = false;
      this.#wake();
    }
  }

  #wake(): void {
    if (this.#deps.ring.mustWake()) this.#deps.wakeControlLane();
  }

  /** 1 when the answer is in slot `slot` of the send batch. */
  #answerOne(socket: SocketOrder<Table>, index: number, slot: number): 0 | 1 {
    const { decide, counters, ring } = this.#deps;
    const datagrams = this.#received;
    const packet = this.#packet;
    const out = this.#answers.slots[slot];
    let bytes = 0;
    try {
      bytes = decide.answer(socket.table, packet, out);
      if (bytes < 0) {
        if (this.#own?.take(socket, datagrams, index, packet)) return 0;
        this.#mustWake = true;
        if (ring.put(kindQuestion, socket.id, packet.nowMs, datagrams, index)) return 0;
        counters.count('overloadedHandOver');
        bytes = decide.overloaded(packet, out);
      } else if (bytes > 0 && decide.refreshDue()) {
        // Without room, a later client's query refreshes the entry.
        this.#mustWake = true;
        ring.put(kindRefresh, socket.id, packet.nowMs, datagrams, index);
      }
    } catch (error) {
      counters.count('panics');
      this.#deps.failed(error);
      return 0;
    }
    if (bytes === 0) return 0;
    const peer = datagrams.peerAt(index);
    const control = socket.hasPacketInfo ? datagrams.controlBytes(index) : 0;
    this.#answers.address(slot, bytes, datagrams.words, peer, datagrams.nameBytes(index), control);
    return 1;
  }

  /** Tells those who watch of the answer in slot `slot` to the datagram `index`. */
  #trace(socket: SocketOrder<Table>, index: number, slot: number): void {
    const { decide, traces, counters, failed } = this.#deps;
    const traced = this.#traced;
    const answer = this.#answers.slots[slot];
    try {
      traced.socket = socket.id;
      traced.origin = decide.origin(answer);
      traced.atMs = this.#packet.nowMs;
      traces.putHit(traced, answer, this.#answers.bytesOf(slot), this.#received, index);
    } catch (error) {
      // The client gets its answer all the same.
      counters.count('panics');
      failed(error);
    }
  }

  #takeOrders(): void {
    const { nextOrders } = this.#deps;
    for (let orders = nextOrders(); orders !== undefined; orders = nextOrders()) this.#follow(orders);
  }

  #follow(orders: Orders<Table>): void {
    const kept = new Set(orders.sockets.map(({ id }) => id));
    this.#leaving.push(...this.#orders.sockets.filter(({ id }) => !kept.has(id)));
    this.#orders = orders;
    const { counters } = this.#deps;
    if (counters.memory !== orders.counters) counters.use(orders.counters);
    for (const [index, { fd }] of orders.sockets.entries()) {
      this.#pollEntries[index * 2] = fd;
      this.#pollEntries[index * 2 + 1] = linux.pollIn;
    }
    this.#withControl = orders.sockets.some(({ hasPacketInfo }) => hasPacketInfo) ? 1 : 0;
    if (this.#own !== null) this.#own.follow(orders);
    if (this.#leaving.length === 0) this.#received.prepare(batchPacketsMax, this.#withControl);
  }

  /** Empties sockets that are to be closed, then acknowledges the orders. */
  #finishOrders(): void {
    const isAnyLeaving = this.#leaving.length > 0;
    for (let socket = this.#leaving.shift(); socket !== undefined; socket = this.#leaving.shift()) {
      for (let batches = 0; batches < drainBatchesMax; batches++) {
        if (this.#serve(socket, linux.dontWait) === 0) break;
      }
    }
    // What those batches asked is the main thread's before it hears that the sockets are left.
    if (isAnyLeaving || this.#orders.next === 'end') this.#own?.giveUpAll();
    this.#deps.numbers.take(this.#orders.number);
    this.#deps.wakeControlLane();
  }
}

/** Ends the emptying of a socket that fills faster than it is read. */
const drainBatchesMax = 1_000;
