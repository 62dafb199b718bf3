/**
 * The seam between listening and resolving: a packet arrives with the one who sent it, and the answer goes back
 * through the same hands. listen/ makes askers and is handed `serve`; resolve/ uses them and knows no sockets.
 */
import type { Transport } from '../counters.js';
import type { Endpoint } from '../os/network.js';

export interface Client {
  readonly transport: Transport;
  readonly remote: Endpoint;
  /** The listener's own address and port. */
  readonly local: Endpoint;
  /** When the packet arrived, if that was before it was handed to `Serve`. */
  readonly receivedAtMs?: number;
  /**
   * Sends the answer, or with null settles the question without one. Exactly once per packet, now or later; after
   * the client has gone it does nothing. The bytes are borrowed until the call returns.
   */
  reply(answer: Uint8Array | null): void;
}

/** Takes a packet, borrowed until it returns, and sees to it that `client.reply` is called exactly once. */
export type Serve = (packet: Uint8Array, client: Client) => void;

/** Takes a packet that is not to be served, as there is too much to do, and answers it at once by what is known. */
export type Refuse = Serve;

/** Takes a packet that has its answer, borrowed until it returns, and has that refreshed; `client` gets no reply. */
export type Refresh = (packet: Uint8Array, client: Client) => void;
