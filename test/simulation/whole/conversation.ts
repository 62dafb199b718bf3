/**
 * What one client is owed: its queries that have no answer yet, and since when the program has had the means to
 * answer them. A TCP client has only so many in work at a time, and none is taken while it does not read its answers.
 */
import { tcpClientInflightMax } from '../../../src/limits.js';
import { type Endpoint, unsentBytesHigh } from '../../../src/os/network.js';
import { cd, rd } from '../../conformance/message.js';
import { expectationOf, mayAnswer } from './expected.js';

export interface ClientQuery {
  readonly bytes: Buffer;
  readonly transport: 'udp' | 'tcp';
  /** The listener's address. */
  readonly at: Endpoint;
  readonly arrivedAtMs: number;
  /** From when on the program could work on it. Null: not yet. */
  takenAtMs: number | null;
  /** It came when its listener or connection was about to close, and may get no answer. */
  isExcused: boolean;
  /** The client's first is 1. */
  readonly ordinal: number;
}

/** Who watches the border. What is wrong it notes; throwing here would be taken for the program's own failure. */
export interface Watcher {
  nowMs(): number;
  /** Whether queries that come here now may go without an answer. */
  isLeaving(at: Endpoint): boolean;
  /** After so many queries a TCP client may be told to come again. */
  tcpQueriesMax(at: Endpoint): number;
  /** A packet has arrived that is to be dropped, and counted as such unless it is excused. */
  dropped(isExcused: boolean): void;
  answered(query: ClientQuery, answer: Buffer): void;
  requested(upstream: Endpoint, message: Buffer): void;
  heard(upstream: Endpoint, message: Buffer): void;
  /** The program broke off a TCP client that was owed answers. */
  brokeOff(owed: readonly ClientQuery[]): void;
  wrong(what: string): void;
}

export class Conversation {
  readonly owed: ClientQuery[] = [];
  /** Those that are owed something. */
  readonly #owing: Set<Conversation>;
  readonly #watcher: Watcher;
  readonly #of: Pick<ClientQuery, 'transport' | 'at'>;
  readonly #unsentBytes: () => number;
  #asked = 0;
  /** It does not read its answers: nothing more of it is taken until all are sent. */
  #isHeldUp = false;

  /** `unsentBytes` says how much of what was written for it the network has not taken. */
  constructor(
    { owing, watcher }: { readonly owing: Set<Conversation>; readonly watcher: Watcher },
    of: Pick<ClientQuery, 'transport' | 'at'>,
    unsentBytes: () => number,
  ) {
    this.#owing = owing;
    this.#watcher = watcher;
    this.#of = of;
    this.#unsentBytes = unsentBytes;
  }

  asked(packet: Uint8Array): void {
    const bytes = Buffer.from(packet);
    const { transport, at } = this.#of;
    this.#asked++;
    const isExcused = this.#isBeyond(this.#asked) || this.#watcher.isLeaving(at);
    // Over TCP it may wait in line for as long as its connection lives, and then not be looked at.
    if (expectationOf(bytes) === 'drop') return this.#watcher.dropped(isExcused || transport === 'tcp');
    this.owed.push({
      ...this.#of,
      bytes,
      arrivedAtMs: this.#watcher.nowMs(),
      takenAtMs: null,
      isExcused,
      ordinal: this.#asked,
    });
    this.#owing.add(this);
    this.take();
  }

  /** A reload may have lowered how many queries a connection may bring; what is beyond that is excused. */
  excuse(): void {
    for (const query of this.owed) query.isExcused ||= this.#isBeyond(query.ordinal);
  }

  #isBeyond(ordinal: number): boolean {
    return this.#of.transport === 'tcp' && ordinal > this.#watcher.tcpQueriesMax(this.#of.at);
  }

  /** Notes which queries the program has had the means to take. */
  take(): void {
    const nowMs = this.#watcher.nowMs();
    const unsentBytes = this.#unsentBytes();
    if (unsentBytes === 0) this.#isHeldUp = false;
    if (!this.#isHeldUp && unsentBytes >= unsentBytesHigh) {
      this.#isHeldUp = true;
      // Of the queries that came at this moment, the answers to the first have left no room for the others.
      for (const query of this.owed) if (query.takenAtMs === nowMs) query.takenAtMs = null;
    }
    if (this.#isHeldUp) return;
    const inWork = this.#of.transport === 'tcp' ? this.owed.slice(0, tcpClientInflightMax) : this.owed;
    for (const query of inWork) query.takenAtMs ??= nowMs;
  }

  answered(message: Uint8Array): void {
    const answer = Buffer.from(message);
    // What fits no query is held against the first of its id, so that what is wrong with it can be said.
    // Two queries of one client may have one id and one question, and differ in their flags.
    let index = this.owed.findIndex(({ bytes }) => mayAnswer(bytes, answer) && haveSameFlags(bytes, answer));
    if (index < 0) index = this.owed.findIndex(({ bytes }) => mayAnswer(bytes, answer));
    if (index < 0) index = this.owed.findIndex(({ bytes }) => bytes.readUInt16BE(0) === answer.readUInt16BE(0));
    if (index < 0) return this.#watcher.wrong(`an answer that nobody waits for: ${answer.toString('hex')}`);
    const [query] = this.owed.splice(index, 1);
    if (this.owed.length === 0) this.#owing.delete(this);
    this.#watcher.answered(query, answer);
    this.take();
  }
}

function haveSameFlags(query: Buffer, answer: Buffer): boolean {
  return ((query.readUInt16BE(2) ^ answer.readUInt16BE(2)) & (rd | cd)) === 0;
}
