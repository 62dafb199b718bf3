/**
 * One answering thread as the control lane sees it: started, given orders, started again when it dies, ended. The
 * sockets, the ring and the numbers outlive it, so that what is queued waits for the next one.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { Counters } from '../counters.js';
import { threadRestartMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import { doAll } from '../scheduling/each.js';
import { RingReader, ringMemory } from './ring.js';
import { SampleReader, samplesMemory } from './samples.js';

/** What a thread is given as it starts. `Shared` is what its program needs and this folder does not know. */
export interface WorkerStart<Table, Shared> {
  readonly index: number;
  readonly port: MessagePort;
  readonly ring: SharedArrayBuffer;
  readonly samples: SharedArrayBuffer;
  readonly numbers: SharedArrayBuffer;
  readonly wakeFd: number;
  readonly first: Orders<Table>;
  readonly shared: Shared;
}

export interface WorkerDeps<Shared> {
  readonly clock: Clock;
  readonly log: Log;
  /** The control lane's page, into which pages are added that have become too small. */
  readonly counters: Counters;
  readonly program: URL;
  readonly shared: Shared;
  readonly wakeFd: number;
  /** The thread is dead: it reads no block any more, and there may be entries in its ring. */
  died(index: number): void;
}

/** Megabytes: a thread keeps a table of zones and some views, and makes nearly no garbage. */
const resourceLimits = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 };

export class UdpWorker<Table, Shared> {
  readonly ring: RingReader;
  readonly samples: SampleReader;
  readonly #deps: WorkerDeps<Shared>;
  readonly #index: number;
  readonly #ringMemory = ringMemory();
  readonly #samplesMemory = samplesMemory();
  readonly #numbers = new OrderNumbers();
  #orders: Orders<Table>;
  #page: Counters;
  /** Pages that the thread may still count in, until it has taken these orders. */
  #oldPages: { readonly page: Counters; readonly until: number }[] = [];
  #port: MessagePort | null = null;
  #worker: Worker | null = null;
  #startedAtMs = 0;
  #whenEnded: (() => void) | null = null;

  constructor(deps: WorkerDeps<Shared>, index: number) {
    this.#deps = deps;
    this.#index = index;
    this.ring = new RingReader(this.#ringMemory);
    this.samples = new SampleReader(this.#samplesMemory);
    this.#page = new Counters(new SharedArrayBuffer(deps.counters.memory.byteLength));
    this.#orders = { number: 0, sockets: [], counters: this.#page.memory, next: 'serve' };
  }

  /** Its numbers: the page that it counts in, and those that it may have counted in a moment ago. */
  get pages(): readonly Counters[] {
    return [this.#page, ...this.#oldPages.map(({ page }) => page)];
  }

  /** Whether the thread works by these orders or by newer ones. */
  hasTaken(number: number): boolean {
    return this.#numbers.taken >= number;
  }

  /** Gives orders, with the first of which the thread is started; returns their number, for `hasTaken`. */
  order(sockets: readonly SocketOrder<Table>[], next: Orders<Table>['next'] = 'serve'): number {
    const number = this.#orders.number + 1;
    const needed = this.#deps.counters.memory.byteLength;
    if (this.#page.memory.byteLength < needed) {
      this.#oldPages.push({ page: this.#page, until: number });
      this.#page = new Counters(new SharedArrayBuffer(needed));
    }
    this.#orders = { number, sockets, counters: this.#page.memory, next };
    this.#port?.postMessage(this.#orders);
    // Only now, so that the thread that sees the number finds the orders.
    this.#numbers.issue(number);
    if (number === 1) this.#start();
    return number;
  }

  /** Adds up pages that are not counted in any more. */
  foldPages(): void {
    this.#oldPages = this.#oldPages.filter(({ page, until }) => {
      if (!this.hasTaken(until)) return true;
      this.#deps.counters.add(page);
      return false;
    });
  }

  /** Has the thread end once its sockets are empty, and calls `done`. */
  end(done: () => void): void {
    if (this.#orders.number === 0) return done();
    this.#whenEnded = done;
    this.#worker?.ref();
    this.order([], 'end');
    if (this.#port === null) done();
  }

  #start(): void {
    const deps = this.#deps;
    const { port1, port2 } = new MessageChannel();
    const start: WorkerStart<Table, Shared> = {
      index: this.#index,
      port: port2,
      ring: this.#ringMemory,
      samples: this.#samplesMemory,
      numbers: this.#numbers.memory,
      wakeFd: deps.wakeFd,
      first: this.#orders,
      shared: deps.shared,
    };
    this.#port = port1;
    this.#startedAtMs = deps.clock.nowMs();
    port1.on('message', (text: string) => {
      deps.log.error('exception while handling a packet; the packet was dropped', { error: text });
    });
    port1.unref();
    let worker: Worker;
    try {
      worker = new Worker(deps.program, { workerData: start, transferList: [port2], resourceLimits });
    } catch (error) {
      // No more threads are to be had, for now.
      return this.#exited(port1, String((error as Error).stack));
    }
    let reason = '';
    worker.on('error', (error) => {
      reason = String(error.stack ?? error);
    });
    worker.on('exit', () => this.#exited(port1, reason));
    worker.unref();
    this.#worker = worker;
  }

  #exited(port: MessagePort, reason: string): void {
    port.close();
    this.#port = null;
    doAll(
      () => this.#deps.died(this.#index),
      () => this.#endedOrAgain(reason),
    );
  }

  #endedOrAgain(reason: string): void {
    const { clock, log, counters } = this.#deps;
    if (this.#whenEnded !== null) return this.#whenEnded();
    counters.count('panics');
    log.error('an answering thread exited; starting a new one', { thread: this.#index, reason });
    const livedMs = clock.nowMs() - this.#startedAtMs;
    clock.after(livedMs < threadRestartMs ? threadRestartMs : 0, () => {
      if (this.#whenEnded === null) this.#start();
    });
  }
}

/** All that a thread is to do from now on. `Table` is what its answers are decided by. */
export interface Orders<Table> {
  readonly number: number;
  readonly sockets: readonly SocketOrder<Table>[];
  /** Where it counts. */
  readonly counters: SharedArrayBuffer;
  /** Empty what is queued, then end. */
  readonly next: 'serve' | 'end';
}

export interface SocketOrder<Table> {
  /** The same for as long as the socket is open; not its descriptor, which is used again. */
  readonly id: number;
  readonly fd: number;
  readonly hasPacketInfo: boolean;
  readonly table: Table;
}

const issuedWord = 0;
const takenWord = 16;

/** The numbers that both sides see; kept a cache line apart, as one side only writes each. */
export class OrderNumbers {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(memory = new SharedArrayBuffer(128)) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
  }

  get issued(): number {
    return Atomics.load(this.#words, issuedWord);
  }

  /** Says that these orders have been posted. */
  issue(number: number): void {
    Atomics.store(this.#words, issuedWord, number);
    Atomics.notify(this.#words, issuedWord);
  }

  /** The newest orders that the thread works by; sockets that they do not name it does not touch any more. */
  get taken(): number {
    return Atomics.load(this.#words, takenWord);
  }

  take(number: number): void {
    Atomics.store(this.#words, takenWord, number);
  }

  /** Blocks until other orders than these are issued, or so long. */
  await(number: number, timeoutMs: number): void {
    Atomics.wait(this.#words, issuedWord, number, timeoutMs);
  }
}
