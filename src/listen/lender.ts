/**
 * The main thread's side of the connections that it has lent to one worker (loans.ts). It lends connections at rest, as
 * waking this thread costs a hit more than its answer; and it has them back when the worker cannot go on, when it recalls
 * them, or when the worker dies.
 */
import { assert, tcpClientsMax } from '../limits.js';
import { encodeSocketAddress } from '../os/addresses.js';
import type { Endpoint } from '../os/network.js';
import { epollLayout, linux, type SystemCalls } from '../os/system-calls.js';
import { toEach } from '../scheduling/each.js';
import { LoanTable, loanPeerWords } from './loans.js';

/** A connection of which nothing is read, waits or is unsent. */
export interface LentClient {
  readonly remote: Endpoint;
  readonly fd: number;
  /** The descriptor is the main thread's again. `unsent`: what the kernel did not take of the worker's answers. */
  returned(how: HowReturned, unsent: Uint8Array | null): void;
}

/**
 * `crowded`: so many connections were ready that clients should take turns. `broken`: the worker died while it used the
 * connection, so nobody knows what it has read and sent.
 */
export type HowReturned = 'usable' | 'crowded' | 'broken';

export interface Loan {
  /** Queries that the worker has answered. */
  readonly answered: number;
  readonly activeAtMs: number;
  /** Calls `returned`, now or soon. */
  recall(): void;
}

/** Lends the connections of one listener to workers. */
export interface Lending {
  /** Whether so many queries, since the last call, on connections that could be lent are worth the workers' polling. */
  pays(queries: number): boolean;
  /** Null: no worker takes it now. */
  lend(client: LentClient, nowMs: number): Loan | null;
}

export class Lender {
  readonly table = new LoanTable();
  /** The worker waits for lent connections with it; negative: the system refused it. */
  readonly epoll: number;
  readonly #calls: SystemCalls;
  readonly #event = new Int32Array(epollLayout.words);
  readonly #clients: (LentClient | null)[] = [];
  readonly #freePlaces: number[] = [];
  #lent = 0;
  #returns = 0;

  constructor(calls: SystemCalls) {
    this.#calls = calls;
    this.epoll = calls.epoll();
  }

  get lent(): number {
    return this.#lent;
  }

  /** `socket`: the id of the worker's UDP socket at the same endpoint, whose table decides. */
  lend(client: LentClient, socket: number, nowMs: number): Loan | null {
    const { table } = this;
    if (this.epoll < 0 || this.#lent === tcpClientsMax || !table.wantPolling()) return null;
    const place = this.#freePlaces.pop() ?? this.#clients.push(null) - 1;
    const peer = new Int32Array(loanPeerWords);
    new Uint8Array(peer.buffer).set(encodeSocketAddress(client.remote));
    table.prepare(place, { fd: client.fd, socket, peer, nowMs });
    this.#event[0] = linux.epollIn;
    this.#event[epollLayout.dataWord] = place;
    // Before the worker may use it, as then it may take it out at once.
    if (this.#calls.epollControl(this.epoll, linux.epollAdd, client.fd, this.#event) < 0) {
      this.#freePlaces.push(place);
      return null;
    }
    this.#clients[place] = client;
    this.#lent++;
    table.lend(place);
    return {
      get answered() {
        return table.answered(place);
      },
      get activeAtMs() {
        return table.activeAtMs(place);
      },
      recall: () => {
        if (table.recall(place) === 'now') this.#takeOut(place, 'usable');
      },
    };
  }

  /** Takes what the worker has given back. */
  take(): void {
    const { returns } = this.table;
    if (this.#returns === returns) return;
    const places: number[] = [];
    for (; this.#returns !== returns; this.#returns = (this.#returns + 1) | 0) {
      places.push(this.table.returned(this.#returns));
    }
    toEach(places, (place) => this.#end(place, 'usable', null));
  }

  /** The worker gives the connection back with bytes that it could not send. */
  takeUnsent(place: number, unsent: Uint8Array): void {
    this.#end(place, 'usable', unsent);
  }

  /** The worker is dead. */
  takeAll(): void {
    this.take();
    this.table.reset();
    const lent = [...this.#clients.keys()].filter((place) => this.#clients[place] !== null);
    toEach(lent, (place) => this.#takeOut(place, this.table.recall(place) === 'now' ? 'usable' : 'broken'));
  }

  close(): void {
    assert(this.#lent === 0, 'no worker is left that has a connection');
    if (this.epoll >= 0) this.#calls.close(this.epoll);
  }

  #takeOut(place: number, how: HowReturned): void {
    this.#calls.epollControl(this.epoll, linux.epollDelete, this.#clients[place]!.fd, this.#event);
    this.#end(place, how, null);
  }

  #end(place: number, how: HowReturned, unsent: Uint8Array | null): void {
    const client = this.#clients[place];
    assert(client !== null, 'a connection is given back once');
    this.#clients[place] = null;
    this.#freePlaces.push(place);
    this.table.free(place);
    if (--this.#lent === 0) this.table.endPolling();
    client.returned(how === 'usable' && this.table.isCrowded(place) ? 'crowded' : how, unsent);
  }
}
