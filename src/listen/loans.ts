/**
 * The table of TCP connections that the main thread has lent to one worker, in shared memory. The state of a place says
 * which thread has the connection: nobody else touches its descriptor, and only the main thread closes descriptors, so
 * a number is never used for another connection than it was lent for.
 *
 *     free ──> lent <───────> busy ──> returned ──> free      main thread: free, returned
 *      ^         │              └──> wanted ──┘               worker: busy, wanted
 *      └─recall──┘                                            lent: the thread that changes the state has it
 *
 * A second word tells whether the worker polls: it waits for datagrams alone while nothing is lent.
 */
import { assert, tcpClientsMax } from '../limits.js';

const loanFree = 0;
const loanLent = 1;
const loanBusy = 2;
/** Busy, and recalled meanwhile. */
const loanWanted = 3;
const loanReturned = 4;

const pollingOff = 0;
/** The main thread would lend something; it does when the worker polls. */
const pollingAsked = 1;
const pollingOn = 2;
/** Nothing is lent any more. */
const pollingEnds = 3;

/** A cache line apart, and from what lies before the memory. */
const pollingWord = 16;
const returnsWord = 32;
/** A ring of the places given back, of which each is there once. */
const returnedFrom = 48;
const loansFrom = returnedFrom + tcpClientsMax;
const wordsOfLoan = 16;
const loanAtFd = 1;
const loanAtSocket = 2;
const loanAtAnswered = 3;
const loanAtActive = 4;
const loanAtCrowded = 6;
const loanAtPeer = 8;
/** Of a socket address. */
export const loanPeerWords = wordsOfLoan - loanAtPeer;

interface LoanBegin {
  readonly fd: number;
  readonly socket: number;
  readonly peer: Int32Array;
  readonly nowMs: number;
}

export class LoanTable {
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly #doubles: Float64Array;

  constructor(memory = new SharedArrayBuffer((loansFrom + tcpClientsMax * wordsOfLoan) * 4)) {
    this.memory = memory;
    this.words = new Int32Array(memory);
    this.#doubles = new Float64Array(memory);
  }

  fd(place: number): number {
    return this.words[stateAt(place) + loanAtFd];
  }

  socket(place: number): number {
    return this.words[stateAt(place) + loanAtSocket];
  }

  /** The first of the words in `words` that hold the client's address. */
  peerAt(place: number): number {
    return stateAt(place) + loanAtPeer;
  }

  answered(place: number): number {
    return this.words[stateAt(place) + loanAtAnswered];
  }

  activeAtMs(place: number): number {
    return this.#doubles[(stateAt(place) + loanAtActive) >> 1];
  }

  isCrowded(place: number): boolean {
    return this.words[stateAt(place) + loanAtCrowded] !== 0;
  }

  // For the main thread.

  prepare(place: number, { fd, socket, peer, nowMs }: LoanBegin): void {
    const { words } = this;
    const at = stateAt(place);
    assert(Atomics.load(words, at) === loanFree, 'a place is for one connection');
    words[at + loanAtFd] = fd;
    words[at + loanAtSocket] = socket;
    words[at + loanAtAnswered] = 0;
    words[at + loanAtCrowded] = 0;
    this.#doubles[(at + loanAtActive) >> 1] = nowMs;
    words.set(peer, at + loanAtPeer);
  }

  lend(place: number): void {
    Atomics.store(this.words, stateAt(place), loanLent);
  }

  /** `now`: the connection is the main thread's. `later`: the worker gives it back as soon as it has used it. */
  recall(place: number): 'now' | 'later' {
    const { words } = this;
    const at = stateAt(place);
    for (;;) {
      if (Atomics.compareExchange(words, at, loanLent, loanFree) === loanLent) return 'now';
      // Unless the worker has just done with it.
      if (Atomics.compareExchange(words, at, loanBusy, loanWanted) !== loanLent) return 'later';
    }
  }

  free(place: number): void {
    Atomics.store(this.words, stateAt(place), loanFree);
  }

  /** How many connections were given back, modulo 2^32; `returned` tells which. */
  get returns(): number {
    return Atomics.load(this.words, returnsWord);
  }

  returned(index: number): number {
    return this.words[returnedFrom + (index & (tcpClientsMax - 1))];
  }

  /** Whether the worker polls, so that something may be lent; it is asked to. */
  wantPolling(): boolean {
    const { words } = this;
    Atomics.compareExchange(words, pollingWord, pollingEnds, pollingOn);
    return Atomics.compareExchange(words, pollingWord, pollingOff, pollingAsked) === pollingOn;
  }

  endPolling(): void {
    Atomics.compareExchange(this.words, pollingWord, pollingOn, pollingEnds);
  }

  /** The worker is dead; the next one has not begun. */
  reset(): void {
    Atomics.store(this.words, pollingWord, pollingOff);
  }

  // For the worker.

  /** Whether it is to poll in the coming turn. */
  polls(): boolean {
    const { words } = this;
    const polling = Atomics.load(words, pollingWord);
    if (polling === pollingOff || polling === pollingOn) return polling === pollingOn;
    if (polling === pollingAsked) Atomics.store(words, pollingWord, pollingOn);
    else Atomics.compareExchange(words, pollingWord, pollingEnds, pollingOff);
    return Atomics.load(words, pollingWord) === pollingOn;
  }

  /** Whether the worker has the connection from now on, until `keep` or `giveBack`. */
  use(place: number): boolean {
    return Atomics.compareExchange(this.words, stateAt(place), loanLent, loanBusy) === loanLent;
  }

  /** False: the connection was recalled and is to be given back. */
  keep(place: number): boolean {
    return Atomics.compareExchange(this.words, stateAt(place), loanBusy, loanLent) === loanBusy;
  }

  count(place: number, queries: number, nowMs: number): void {
    this.words[stateAt(place) + loanAtAnswered] += queries;
    this.#doubles[(stateAt(place) + loanAtActive) >> 1] = nowMs;
  }

  /** It is given back because too many are ready. */
  crowd(place: number): void {
    this.words[stateAt(place) + loanAtCrowded] = 1;
  }

  giveBack(place: number): void {
    const { words } = this;
    this.giveBackApart(place);
    const returns = words[returnsWord];
    words[returnedFrom + (returns & (tcpClientsMax - 1))] = place;
    Atomics.store(words, returnsWord, (returns + 1) | 0);
  }

  /** The main thread hears of it in another way. */
  giveBackApart(place: number): void {
    Atomics.store(this.words, stateAt(place), loanReturned);
  }
}

function stateAt(place: number): number {
  return loansFrom + place * wordsOfLoan;
}
