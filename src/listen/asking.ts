/**
 * A worker's own queries upstream, in its loop: a deferred packet that is plain gets a row and is asked about; its answer
 * goes to the client at once, and through the ring to the cache. Whatever does not go well is deferred to the main thread,
 * with the time of its arrival.
 *
 *   deferred ─> row ─> Asker ─> answered ─> send slot ─> client
 *      │         │                  └─────> ring ─> cache
 *      └────> ring <──── given up
 */
import { type Counters, overUdp } from '../counters.js';
import type { Slot } from '../dns/answer.js';
import type { HashKey } from '../dns/hash.js';
import { batchPacketsMax, directAnswersHeldMax, directAnswersHeldMs } from '../limits.js';
import { familyAt } from '../os/addresses.js';
import type { SystemCalls } from '../os/system-calls.js';
import { type Datagrams, type Received, sendAll } from './message-batch.js';
import { kindQuestion, type RingWriter } from './ring.js';
import { QueryRows } from './rows.js';
import type { TracedAnswer, TraceWriter } from './traces.js';
import type { Orders, SocketOrder } from './worker.js';

/** Asks upstreams about packets, each under its row until one of `RowsEnded` is called for it. */
export interface Asker<Table> {
  /** When `sweep` has something to do. */
  readonly sweepAtMs: number;
  /** Answers that are waited for: above 0 its descriptors are to be polled. */
  readonly owed: number;
  /** From now on for these tables; gives up all rows. */
  follow(tables: readonly Table[]): void;
  /** Asks about the packet that was deferred last, when `flush` is called; false: the main thread has to. */
  ask(row: number, received: Received): boolean;
  flush(nowMs: number): void;
  /** Writes its descriptors as poll entries from `at` on; their number. */
  watch(entries: Int32Array, at: number): number;
  /** Reads from those that poll found ready. */
  read(entries: Int32Array, at: number, nowMs: number): void;
  /** Gives up what has waited too long. */
  sweep(nowMs: number): void;
  giveUpAll(): void;
}

export interface RowsEnded {
  /** False: the message is no use, and says that the upstream is in trouble. Borrows it until it returns. */
  answered(row: number, message: Uint8Array, durationMs: number): boolean;
  givenUp(row: number): void;
}

/** What is decided about a worker's own queries. */
export interface DirectAsking<Table> {
  /** Whether the packet that was deferred last may be asked about. */
  mayAsk(): boolean;
  /** That packet is deferred all the same. */
  deferred(received: Received): void;
  /** Called once, before the first query. */
  open(ended: RowsEnded): Asker<Table>;
  /** Writes the row's answer as this message has it: its bytes, or negative to defer. */
  answer(row: number, received: Received, came: UpstreamMessage, slot: Slot): number;
  /** The last answer was deferred because the message shows that the upstream is in trouble. */
  readonly wasTrouble: boolean;
  /** The main thread has something to do with the last answer besides caching it, and soon. */
  readonly isUrgent: boolean;
  /** For the cache, from the last answer; borrowed until the next one. Empty: nothing. */
  forCache(): Uint8Array;
}

/** A row's message from upstream; one object, overwritten by the next. */
interface UpstreamMessage {
  message: Uint8Array;
  durationMs: number;
  arrivedMs: number;
  nowMs: number;
}

interface OwnQueriesDeps<Table> {
  readonly calls: SystemCalls;
  readonly counters: Counters;
  readonly ring: RingWriter;
  readonly hashKey: HashKey;
  readonly traces: Pick<TraceWriter, 'wantsOthers' | 'put'>;
  readonly asking: DirectAsking<Table>;
  /** Free between two batches. */
  readonly answers: Datagrams;
  /** There is something in the ring. */
  wake(): void;
  /** Writes the answer of a row that has room nowhere. */
  overloaded(received: Received, slot: Slot): number;
  failed(error: unknown): void;
}

export class OwnQueries<Table> implements RowsEnded {
  readonly #deps: OwnQueriesDeps<Table>;
  #rows: QueryRows | null = null;
  #asker: Asker<Table> | null = null;
  #orders: Orders<Table>;
  readonly #packet: Received = { packet: new Uint8Array(0), length: 0, family: 0, transport: overUdp, nowMs: 0 };
  readonly #traced: TracedAnswer = { socket: 0, transport: overUdp, origin: 'miss', atMs: 0, durationMs: 0 };
  readonly #came: UpstreamMessage = { message: new Uint8Array(0), durationMs: 0, arrivedMs: 0, nowMs: 0 };
  #nowMs = 0;
  /** Answers in the send batch, all for this socket. */
  #answers = 0;
  #socket: SocketOrder<Table> | null = null;
  /** Answers in the ring of which the main thread has not been told, and since when. */
  #held = 0;
  #heldSinceMs = 0;

  constructor(deps: OwnQueriesDeps<Table>, orders: Orders<Table>) {
    this.#deps = deps;
    this.#orders = orders;
  }

  /** Nothing to wait for but packets; held answers are told of after the next ones, or when those do not come. */
  get isIdle(): boolean {
    return this.#asker === null || this.#asker.owed === 0;
  }

  /** Gives up all rows: what they are answered by may have changed. */
  follow(orders: Orders<Table>): void {
    this.#orders = orders;
    if (this.#asker === null) return;
    this.#asker.follow(orders.sockets.map(({ table }) => table));
    this.#send();
  }

  /** Whether it asks about the packet that was just deferred. */
  take(socket: SocketOrder<Table>, from: Datagrams, index: number, received: Received): boolean {
    const { asking } = this.#deps;
    if (!asking.mayAsk()) return false;
    if (this.#asks(socket, from, index, received)) return true;
    asking.deferred(received);
    return false;
  }

  #asks(socket: SocketOrder<Table>, from: Datagrams, index: number, received: Received): boolean {
    const asker = this.#asker ?? this.#open();
    const rows = this.#rows!;
    const row = rows.take(socket.id, received.nowMs, from, index);
    if (row < 0) return false;
    if (asker.ask(row, received)) return true;
    rows.free(row);
    return false;
  }

  #open(): Asker<Table> {
    const { calls, hashKey, asking } = this.#deps;
    this.#rows = new QueryRows(calls, hashKey);
    this.#asker = asking.open(this);
    this.#asker.follow(this.#orders.sockets.map(({ table }) => table));
    return this.#asker;
  }

  /** After a batch of packets. */
  flush(nowMs: number): void {
    if (this.#asker === null) return;
    this.#nowMs = nowMs;
    this.#asker.flush(nowMs);
    if (nowMs >= this.#asker.sweepAtMs) this.#asker.sweep(nowMs);
    this.#send();
    if (this.#held > 0) this.#tell(nowMs);
  }

  watch(entries: Int32Array, at: number): number {
    return this.#asker === null ? 0 : this.#asker.watch(entries, at);
  }

  /** After poll: answers what has come. */
  read(entries: Int32Array, at: number, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#asker!.read(entries, at, nowMs);
    this.#send();
  }

  /** Before the worker ends, also after an exception. */
  giveUpAll(): void {
    this.#asker?.giveUpAll();
    this.#send();
    this.#held = 0;
  }

  answered(row: number, message: Uint8Array, durationMs: number): boolean {
    const { asking, counters, failed } = this.#deps;
    const came = this.#came;
    came.message = message;
    came.durationMs = durationMs;
    came.arrivedMs = this.#rows!.arrivedMs[row];
    came.nowMs = this.#nowMs;
    const slot = this.#slotFor(row);
    let bytes = -1;
    try {
      bytes = asking.answer(row, this.#packet, came, slot);
    } catch (error) {
      counters.count('panics');
      failed(error);
    }
    if (bytes < 0) {
      counters.count('directGivenUp');
      this.givenUp(row);
      return !asking.wasTrouble;
    }
    counters.count('directAnswered');
    if (this.#deps.traces.wantsOthers) this.#trace(row, slot, bytes);
    this.#keep(row);
    this.#address(row, bytes);
    return true;
  }

  /** Tells those who watch of the answer in the slot. */
  #trace(row: number, slot: Slot, bytes: number): void {
    const { socketOf, arrivedMs, datagrams } = this.#rows!;
    const traced = this.#traced;
    traced.socket = socketOf[row];
    traced.atMs = this.#nowMs;
    traced.durationMs = this.#nowMs - arrivedMs[row];
    this.#deps.traces.put(traced, slot, bytes, datagrams, row);
  }

  /** A slot of the send batch, for the answer to this row's packet, which is read. */
  #slotFor(row: number): Slot {
    const { datagrams, socketOf } = this.#rows!;
    const packet = this.#packet;
    packet.packet = datagrams.slots[row].bytes;
    packet.length = datagrams.length(row);
    packet.family = familyAt(datagrams.bytes, datagrams.peerAt(row) * 4);
    packet.nowMs = this.#nowMs;
    if (this.#socket?.id !== socketOf[row] || this.#answers === batchPacketsMax) {
      this.#send();
      this.#socket = this.#orders.sockets.find(({ id }) => id === socketOf[row]) ?? null;
    }
    return this.#deps.answers.slots[this.#answers];
  }

  #address(row: number, bytes: number): void {
    const rows = this.#rows!;
    const { datagrams } = rows;
    if (bytes > 0 && this.#socket !== null) {
      const control = this.#socket.hasPacketInfo ? datagrams.controlBytes(row) : 0;
      const peer = datagrams.peerAt(row);
      this.#deps.answers.address(this.#answers++, bytes, datagrams.words, peer, datagrams.nameBytes(row), control);
    }
    rows.free(row);
  }

  #send(): void {
    const { calls, answers, counters } = this.#deps;
    const count = this.#answers;
    this.#answers = 0;
    if (count > 0) sendAll(calls, this.#socket!.fd, answers, count, 0, counters);
  }

  /** The main thread need not hurry: until it has cached the answer, this worker remembers it. */
  #keep(row: number): void {
    const { asking, ring, counters } = this.#deps;
    const entry = asking.forCache();
    if (entry.length === 0) return;
    const isPut = ring.putAnswer(this.#rows!.socketOf[row], this.#orders.number, this.#nowMs, entry);
    if (!isPut) return counters.count('storeFailed');
    if (this.#held === 0) this.#heldSinceMs = this.#nowMs;
    this.#held++;
    if (asking.isUrgent) this.#heldSinceMs = Number.NEGATIVE_INFINITY;
    this.#tell(this.#nowMs);
  }

  #tell(nowMs: number): void {
    if (this.#held < directAnswersHeldMax && nowMs < this.#heldSinceMs + directAnswersHeldMs) return;
    this.#held = 0;
    this.#deps.wake();
  }

  givenUp(row: number): void {
    const { ring, counters, wake, overloaded } = this.#deps;
    const rows = this.#rows!;
    this.#held = 0;
    const isPut = ring.put(kindQuestion, rows.socketOf[row], rows.arrivedMs[row], rows.datagrams, row);
    wake();
    if (isPut) return rows.free(row);
    counters.count('overloadedHandOver');
    const slot = this.#slotFor(row);
    this.#address(row, overloaded(this.#packet, slot));
  }
}
