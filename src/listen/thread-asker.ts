/**
 * Who has asked what an answering thread handed over: answered once, on the socket on which the question came.
 */

import { overUdp } from '../counters.js';
import { assert } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import { endpointOf } from '../os/socket-address.js';
import type { Asker } from './asker.js';
import type { Peer } from './send-batch.js';

export class ThreadAsker<Socket extends { readonly listener: { readonly local: Endpoint } }> implements Asker {
  readonly transport = overUdp;
  readonly receivedAtMs: number;
  readonly #socket: Socket;
  readonly #peer: Peer;
  readonly #settled: (socket: Socket, answer: Uint8Array | null, peer: Peer) => void;
  #remote: Endpoint | null = null;
  #isSettled = false;

  constructor(
    socket: Socket,
    peer: Peer,
    receivedAtMs: number,
    settled: (socket: Socket, answer: Uint8Array | null, peer: Peer) => void,
  ) {
    this.receivedAtMs = receivedAtMs;
    this.#socket = socket;
    this.#peer = peer;
    this.#settled = settled;
  }

  get remote(): Endpoint {
    this.#remote ??= endpointOf(this.#peer.words);
    return this.#remote;
  }

  get local(): Endpoint {
    return this.#socket.listener.local;
  }

  reply(answer: Uint8Array | null): void {
    assert(!this.#isSettled, 'a query is answered once');
    this.#isSettled = true;
    this.#settled(this.#socket, answer, this.#peer);
  }
}
