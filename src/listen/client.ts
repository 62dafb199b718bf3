/** The interface of listening and resolving: listen/ makes a Client for each packet, resolve/ answers through it. */
import type { Transport } from '../counters.js';
import { assert } from '../limits.js';
import type { Endpoint } from '../os/network.js';

export interface Client {
  readonly transport: Transport;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** When the packet arrived, if that was before `Serve` was called. */
  readonly receivedAtMs?: number | undefined;
  /** Sends the answer, or with null none, exactly once; a no-op for a client that has gone. Borrows the bytes. */
  reply(answer: Uint8Array | null): void;
  /** After the reply: nothing refers to the client any more, so its object may become another client. */
  free?(): void;
}

/**
 * Where an answer came from, for those who watch queries. `miss`: an upstream has sent it for this query or one that was
 * asked just then. `policy`: AAAA. `plugin`: a directive has made it. `failure`: there was none to give. `refused`: the
 * query is in no zone, or none that is understood.
 */
export type AnswerOrigin = 'hit' | 'stale' | 'miss' | 'policy' | 'plugin' | 'failure' | 'refused';

/** Takes a packet, borrowed until it returns, and makes sure that `client.reply` is called exactly once. */
export type Serve = (packet: Uint8Array, client: Client) => void;

/** Answers a packet at once from what is known, because there is too much to do to serve it. */
export type Refuse = Serve;

/** Refreshes what a packet that has its answer asked for; borrows it until it returns and never replies. */
export type Refresh = (packet: Uint8Array, client: Client) => void;

/** Caches an answer that a worker has given; the bytes are resolve/direct.ts's, borrowed until it returns. */
export type KeepAnswer = (entry: Uint8Array, arrivedMs: number) => void;

/** What receives packets from a `Peer`, and sends the answers. */
export interface Receiver<Peer> {
  localOf(peer: Peer): Endpoint;
  remoteOf(peer: Peer): Endpoint;
  answered(answer: Uint8Array | null, peer: Peer): void;
}

/** The client of one packet from `peer`. */
export class PacketClient<Peer> implements Client {
  readonly transport: Transport;
  readonly receivedAtMs: number | undefined;
  readonly #receiver: Receiver<Peer>;
  readonly #peer: Peer;
  #remote: Endpoint | null = null;
  #isSettled = false;

  constructor(transport: Transport, receiver: Receiver<Peer>, peer: Peer, receivedAtMs?: number) {
    this.transport = transport;
    this.receivedAtMs = receivedAtMs;
    this.#receiver = receiver;
    this.#peer = peer;
  }

  get local(): Endpoint {
    return this.#receiver.localOf(this.#peer);
  }

  get remote(): Endpoint {
    this.#remote ??= this.#receiver.remoteOf(this.#peer);
    return this.#remote;
  }

  reply(answer: Uint8Array | null): void {
    assert(!this.#isSettled, 'a query is answered once');
    this.#isSettled = true;
    this.#receiver.answered(answer, this.#peer);
  }
}
