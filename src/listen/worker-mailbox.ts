/**
 * What the control lane tells an answering thread, which has no event loop: the whole of its work, posted to a port,
 * and a number in shared memory that says that something was posted. The thread looks at the number after every
 * receive, so whatever it answers it answers by the newest orders. In return it says which it has taken.
 */

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
