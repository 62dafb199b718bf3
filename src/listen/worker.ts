/**
 * One worker as the main thread sees it: started, ordered, restarted when it dies, ended. The sockets, the ring and the
 * numbers outlive it, so queued packets wait for the next worker.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { Counters } from '../counters.js';
import { threadRestartMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { SystemCalls } from '../os/system-calls.js';
import { doAll } from '../scheduling/each.js';
import { Lender } from './lender.js';
import { RingReader, ringMemory } from './ring.js';
import { SampleReader, samplesMemory } from './samples.js';
import { TraceReader, tracesMemory } from './traces.js';

export interface WorkerStart<Table, Shared> {
  readonly index: number;
  readonly port: MessagePort;
  readonly ring: SharedArrayBuffer;
  readonly samples: SharedArrayBuffer;
  readonly traces: SharedArrayBuffer;
  readonly numbers: SharedArrayBuffer;
  readonly loans: SharedArrayBuffer;
  readonly loansEpoll: number;
  readonly wakeFd: number;
  readonly first: Orders<Table>;
  readonly shared: Shared;
}

export interface WorkerDeps<Shared> {
  readonly clock: Clock;
  readonly log: Log;
  /** The main thread's page, which takes the counts of replaced pages. */
  readonly counters: Counters;
  readonly program: URL;
  readonly shared: Shared;
  readonly wakeFd: number;
  /** The worker is dead: it reads no block any more, and entries may be in its ring. */
  died(index: number): void;
  readonly calls: SystemCalls;
}

/** Posted by a worker. */
export interface UnsentBytes {
  readonly place: number;
  readonly bytes: Uint8Array;
}

/** Megabytes: a worker keeps a table of zones and some views, and makes nearly no garbage. */
const resourceLimits = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 };

/** Shown by `ps -T` and `top -H` from Node.js 24 on; Linux cuts names at 15 bytes. */
const workerName = 'zerohop-worker';

export class UdpWorker<Table, Shared> {
  readonly ring: RingReader;
  readonly samples: SampleReader;
  readonly traces: TraceReader;
  readonly lender: Lender;
  readonly #deps: WorkerDeps<Shared>;
  readonly #index: number;
  readonly #ringMemory = ringMemory();
  readonly #samplesMemory = samplesMemory();
  readonly #tracesMemory = tracesMemory();
  readonly #numbers = new OrderNumbers();
  #orders: Orders<Table>;
  #page: Counters;
  /** Replaced pages, in which the worker may count until it has taken these orders. */
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
    this.traces = new TraceReader(this.#tracesMemory);
    this.lender = new Lender(deps.calls);
    this.#page = new Counters(new SharedArrayBuffer(deps.counters.memory.byteLength));
    this.#orders = { number: 0, sockets: [], counters: this.#page.memory, next: 'serve' };
  }

  /** All pages that the worker may count in. */
  get pages(): readonly Counters[] {
    return [this.#page, ...this.#oldPages.map(({ page }) => page)];
  }

  hasTaken(number: number): boolean {
    return this.#numbers.taken >= number;
  }

  /** Posts orders, and starts the worker with the first; their number, for `hasTaken`. */
  order(sockets: readonly SocketOrder<Table>[], next: Orders<Table>['next'] = 'serve'): number {
    const number = this.#orders.number + 1;
    const needed = this.#deps.counters.memory.byteLength;
    if (this.#page.memory.byteLength < needed) {
      this.#oldPages.push({ page: this.#page, until: number });
      this.#page = new Counters(new SharedArrayBuffer(needed));
    }
    this.#orders = { number, sockets, counters: this.#page.memory, next };
    this.#port?.postMessage(this.#orders);
    // After the post, so that a worker that sees the number finds the orders.
    this.#numbers.issue(number);
    if (number === 1) this.#start();
    return number;
  }

  /** Adds replaced pages that are out of use to the main thread's. */
  foldPages(): void {
    this.#oldPages = this.#oldPages.filter(({ page, until }) => {
      if (!this.hasTaken(until)) return true;
      this.#deps.counters.add(page);
      return false;
    });
  }

  /** Ends the worker once its sockets are empty, and calls `done`. */
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
      traces: this.#tracesMemory,
      numbers: this.#numbers.memory,
      loans: this.lender.table.memory,
      loansEpoll: this.lender.epoll,
      wakeFd: deps.wakeFd,
      first: this.#orders,
      shared: deps.shared,
    };
    this.#port = port1;
    this.#startedAtMs = deps.clock.nowMs();
    port1.on('message', (said: string | UnsentBytes) => {
      if (typeof said === 'string') {
        deps.log.error('exception while handling a packet; the packet was dropped', { error: said });
        // Of a dead worker: the lender has taken all it had.
      } else if (this.#port === port1) this.lender.takeUnsent(said.place, said.bytes);
    });
    port1.unref();
    let worker: Worker;
    try {
      worker = new Worker(deps.program, { name: workerName, workerData: start, transferList: [port2], resourceLimits });
    } catch (error) {
      // The system refuses another thread for now.
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
      () => this.lender.takeAll(),
      () => this.#deps.died(this.#index),
      () => this.#endedOrAgain(reason),
    );
  }

  #endedOrAgain(reason: string): void {
    const { clock, log, counters } = this.#deps;
    if (this.#whenEnded !== null) return this.#whenEnded();
    counters.count('panics');
    log.error('a worker exited; starting a new one', { thread: this.#index, reason });
    const livedMs = clock.nowMs() - this.#startedAtMs;
    clock.after(livedMs < threadRestartMs ? threadRestartMs : 0, () => {
      if (this.#whenEnded === null) this.#start();
    });
  }
}

/** The whole of a worker's task, posted to its port because it has no event loop. `Table` decides its answers. */
export interface Orders<Table> {
  readonly number: number;
  readonly sockets: readonly SocketOrder<Table>[];
  readonly counters: SharedArrayBuffer;
  /** `end`: empty the sockets first. */
  readonly next: 'serve' | 'end';
}

export interface SocketOrder<Table> {
  /** Unique while the socket is open, unlike its descriptor, which is reused. */
  readonly id: number;
  readonly fd: number;
  readonly hasPacketInfo: boolean;
  readonly table: Table;
}

const issuedWord = 16;
const mailboxTakenWord = 32;
const mailboxWords = 48;

/**
 * Shared memory that says which orders were posted and which the worker has taken. It looks after every receive, so
 * answers follow the newest orders. The words are a cache line apart because each has one writer, and one from what lies
 * beside the memory.
 */
export class OrderNumbers {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(memory = new SharedArrayBuffer(mailboxWords * 4)) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
  }

  get issued(): number {
    return Atomics.load(this.#words, issuedWord);
  }

  issue(number: number): void {
    Atomics.store(this.#words, issuedWord, number);
    Atomics.notify(this.#words, issuedWord);
  }

  /** The newest orders the worker follows: it no longer touches sockets that they omit. */
  get taken(): number {
    return Atomics.load(this.#words, mailboxTakenWord);
  }

  take(number: number): void {
    Atomics.store(this.#words, mailboxTakenWord, number);
  }

  /** Blocks until other orders than these are posted, or for `timeoutMs`. */
  await(number: number, timeoutMs: number): void {
    Atomics.wait(this.#words, issuedWord, number, timeoutMs);
  }
}
