/**
 * What a worker has answered, for those who watch queries: a ring in shared memory with one writer, which never waits, and
 * one reader, which says how much it wants. While nobody watches, a batch of packets costs one load.
 *
 *   words: | written | … | taken | … | hits wanted, others wanted | … | passed over, lost |   records: | about, peer, the answer's beginning |
 */
import { overTcp, type Transport } from '../counters.js';
import type { Slot } from '../dns/answer.js';
import { sampledPacketBytes, tracesMax } from '../limits.js';
import type { AnswerOrigin } from './client.js';
import { type Datagrams, peerAddressWords } from './message-batch.js';

const tracesWrittenWord = 0;
const tracesTakenWord = 16;
/** One hit in so many is wanted; 0: none. */
const hitsWantedWord = 32;
/** 1: what took time is wanted, all of it. */
const othersWantedWord = 33;
const passedOverDouble = 24;
const lostDouble = 25;
const tracesFromWord = 64;
const traceAtCopied = 0;
const traceAtAnswerBytes = 1;
const traceAtSocket = 2;
const traceAtKind = 3;
const traceAtPeer = 4;
const traceAtAnswer = traceAtPeer + peerAddressWords;
const traceAtDoubles = traceAtAnswer + sampledPacketBytes / 4;
const wordsOfTrace = traceAtDoubles + 4;

/** By their numbers in a record. */
const answerOrigins: readonly AnswerOrigin[] = ['hit', 'stale', 'miss', 'policy', 'plugin', 'failure', 'refused'];
const tcpBit = 8;

/** What is not in the answer itself; an object is used again. */
export interface TracedAnswer {
  /** The id of the socket that the query came to. */
  socket: number;
  transport: Transport;
  origin: AnswerOrigin;
  atMs: number;
  /** 0: next to nothing. */
  durationMs: number;
}

export function tracesMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer((tracesFromWord + tracesMax * wordsOfTrace) * 4);
}

export class TraceWriter {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  /** Hits before the next that is told. */
  #until = 0;
  /** As for samples. */
  #state = 1;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#doubles = new Float64Array(memory);
  }

  get wantsHits(): boolean {
    return this.#words[hitsWantedWord] !== 0;
  }

  get wantsOthers(): boolean {
    return this.#words[othersWantedWord] !== 0;
  }

  /** Whether the hit that is there now is one of those that are not told; it is counted then. */
  passesOver(): boolean {
    if (this.#until > 0) {
      this.#until--;
      this.#doubles[passedOverDouble]++;
      return true;
    }
    this.#until = this.#gap(this.#words[hitsWantedWord]) - 1;
    return false;
  }

  /** Tells of a hit that is not passed over. Borrows all that it is given. */
  putHit(about: TracedAnswer, answer: Slot, bytes: number, peers: Datagrams, index: number): void {
    // The rest is for what took time, of which there is less.
    this.#put(about, answer, bytes, peers, index, hitsPlaces);
  }

  /** Tells of any other answer. */
  put(about: TracedAnswer, answer: Slot, bytes: number, peers: Datagrams, index: number): void {
    this.#put(about, answer, bytes, peers, index, tracesMax);
  }

  /** 1 to twice the mean, so that clients that ask in turn are all seen. */
  #gap(mean: number): number {
    this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) | 0;
    return 1 + ((this.#state >>> 16) % Math.max(1, 2 * mean - 1));
  }

  #put(about: TracedAnswer, answer: Slot, bytes: number, peers: Datagrams, index: number, places: number): void {
    const words = this.#words;
    const written = words[tracesWrittenWord];
    if (((written - Atomics.load(words, tracesTakenWord)) | 0) >= places) {
      this.#doubles[lostDouble]++;
      return;
    }
    const at = tracesFromWord + (written & (tracesMax - 1)) * wordsOfTrace;
    const copied = Math.min(bytes, sampledPacketBytes);
    words[at + traceAtCopied] = copied;
    words[at + traceAtAnswerBytes] = bytes;
    words[at + traceAtSocket] = about.socket;
    words[at + traceAtKind] = answerOrigins.indexOf(about.origin) | (about.transport === overTcp ? tcpBit : 0);
    const peer = peers.peerAt(index);
    for (let word = 0; word < peerAddressWords; word++) words[at + traceAtPeer + word] = peers.words[peer + word];
    for (let word = 0; word < (copied + 3) >> 2; word++) words[at + traceAtAnswer + word] = answer.words[word];
    const doubles = (at + traceAtDoubles) / 2;
    this.#doubles[doubles] = about.atMs;
    this.#doubles[doubles + 1] = about.durationMs;
    Atomics.store(words, tracesWrittenWord, (written + 1) | 0);
  }
}

const hitsPlaces = (tracesMax / 4) * 3;

/** One object, overwritten by the next trace. */
export interface ReadTrace extends TracedAnswer {
  readonly peer: Int32Array;
  /** Begins with the first `copied` bytes of the answer: its header and question. */
  readonly answer: Uint8Array;
  copied: number;
  /** Of the whole answer. */
  answerBytes: number;
}

export class TraceReader {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #answerWords = new Int32Array(sampledPacketBytes / 4);
  readonly #trace: ReadTrace = {
    socket: 0,
    transport: 0,
    origin: 'hit',
    atMs: 0,
    durationMs: 0,
    peer: new Int32Array(peerAddressWords),
    answer: new Uint8Array(this.#answerWords.buffer),
    copied: 0,
    answerBytes: 0,
  };

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#doubles = new Float64Array(memory);
  }

  /** From now on the worker tells one hit in `hitsOneIn` (0: none), and with `others` all that took time. */
  want({ hitsOneIn, others }: { readonly hitsOneIn: number; readonly others: 'told' | 'untold' }): void {
    Atomics.store(this.#words, hitsWantedWord, hitsOneIn);
    Atomics.store(this.#words, othersWantedWord, others === 'told' ? 1 : 0);
  }

  /** Hits that the worker has passed over because one in so many was wanted, since its start. */
  get passedOver(): number {
    return this.#doubles[passedOverDouble];
  }

  /** Answers that found no place in the ring, since the worker's start. */
  get lost(): number {
    return this.#doubles[lostDouble];
  }

  get unread(): number {
    return (Atomics.load(this.#words, tracesWrittenWord) - this.#words[tracesTakenWord]) | 0;
  }

  /** The oldest trace that was not read, or null; borrowed until the next call. */
  next(): ReadTrace | null {
    const words = this.#words;
    if (this.unread <= 0) return null;
    const taken = words[tracesTakenWord];
    const at = tracesFromWord + (taken & (tracesMax - 1)) * wordsOfTrace;
    const trace = this.#trace;
    const kind = words[at + traceAtKind];
    trace.socket = words[at + traceAtSocket];
    trace.transport = (kind & tcpBit) === 0 ? 0 : overTcp;
    trace.origin = answerOrigins[kind & (tcpBit - 1)];
    trace.atMs = this.#doubles[(at + traceAtDoubles) / 2];
    trace.durationMs = this.#doubles[(at + traceAtDoubles) / 2 + 1];
    trace.answerBytes = words[at + traceAtAnswerBytes];
    for (let word = 0; word < peerAddressWords; word++) trace.peer[word] = words[at + traceAtPeer + word];
    trace.copied = words[at + traceAtCopied];
    // A copy, as the writer may have the place at once; into the same memory, as a new one each time is much to collect.
    for (let word = 0; word < (trace.copied + 3) >> 2; word++)
      this.#answerWords[word] = words[at + traceAtAnswer + word];
    Atomics.store(words, tracesTakenWord, (taken + 1) | 0);
    return trace;
  }

  /** Forgets what was not read. */
  clear(): void {
    Atomics.store(this.#words, tracesTakenWord, Atomics.load(this.#words, tracesWrittenWord));
  }
}
