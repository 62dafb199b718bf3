/**
 * DNS over UDP through the event loop, where the workers' system calls are missing. Each packet goes to `serve` with a
 * client that answers from the same socket; there is no other state per packet.
 */

import { overUdp } from '../counters.js';
import { assert, receiveSlotBytes } from '../limits.js';
import type { DatagramSocket, Endpoint, Network } from '../os/network.js';
import { toEach } from '../scheduling/each.js';
import type { Client, Serve } from './client.js';

export interface UdpListener {
  readonly local: Endpoint;
  /** Stops receiving, answers what is in flight, closes, and calls `done` once, later. */
  drain(done: () => void): void;
  close(): void;
}

/** Rejects with the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
export async function openUdpListener(
  deps: { readonly network: Network },
  at: Endpoint,
  serve: Serve,
): Promise<UdpListener> {
  const port = new Port();
  port.socket = await deps.network.openDatagrams(at, {
    datagram(packet, from) {
      if (port.isDraining) return;
      port.inFlight++;
      // The workers' limit, so that both I/O paths behave the same.
      const read = packet.length > receiveSlotBytes ? packet.subarray(0, receiveSlotBytes) : packet;
      serve(read, new UdpClient(port, from));
    },
    // One datagram could not be received. The socket stays open and the client asks again.
    error() {},
  });
  return {
    local: port.socket.local,
    drain(done) {
      port.isDraining = true;
      port.whenDrained.push(done);
      queueMicrotask(() => port.closeIfDrained());
    },
    close: () => port.close(),
  };
}

class Port {
  socket!: DatagramSocket;
  inFlight = 0;
  isDraining = false;
  readonly whenDrained: (() => void)[] = [];
  #isOpen = true;

  send(answer: Uint8Array, to: Endpoint): void {
    if (this.#isOpen) this.socket.send(answer, to);
  }

  closeIfDrained(): void {
    if (!this.isDraining || this.inFlight > 0) return;
    this.close();
  }

  close(): void {
    this.isDraining = true;
    if (this.#isOpen) this.socket.close();
    this.#isOpen = false;
    toEach(this.whenDrained.splice(0), (done) => done());
  }
}

class UdpClient implements Client {
  readonly transport = overUdp;
  readonly remote: Endpoint;
  readonly #port: Port;
  #isSettled = false;

  constructor(port: Port, remote: Endpoint) {
    this.#port = port;
    this.remote = remote;
  }

  get local(): Endpoint {
    return this.#port.socket.local;
  }

  reply(answer: Uint8Array | null): void {
    assert(!this.#isSettled, 'a query is answered once');
    this.#isSettled = true;
    const port = this.#port;
    port.inFlight--;
    if (answer !== null) port.send(answer, this.remote);
    port.closeIfDrained();
  }
}
