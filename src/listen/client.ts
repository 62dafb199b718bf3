/**
 * The interface between listening and resolving: listen/ makes one Client for each packet and is handed `serve`;
 * resolve/ answers through it and knows no sockets.
 */
import type { Transport } from '../counters.js';
import type { Endpoint } from '../os/network.js';

export interface Client {
  readonly transport: Transport;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** When the packet arrived, if that was before `Serve` was called. */
  readonly receivedAtMs?: number;
  /**
   * Sends the answer; null ends the query without one. Called exactly once per packet; a no-op after the client has
   * gone. Borrows the bytes until it returns.
   */
  reply(answer: Uint8Array | null): void;
}

/** Takes a packet, borrowed until it returns, and makes sure that `client.reply` is called exactly once. */
export type Serve = (packet: Uint8Array, client: Client) => void;

/** Answers a packet at once from what is known, because there is too much to do to serve it. */
export type Refuse = Serve;

/** Refreshes what a packet that has its answer asked for; borrows it until it returns and never replies. */
export type Refresh = (packet: Uint8Array, client: Client) => void;
