/**
 * DNS over UDP through the event loop, where the workers' system calls are missing. Each packet goes to `serve` with a
 * client that answers from the same socket; there is no other state per packet.
 */

import { overUdp } from '../counters.js';
import { receiveSlotBytes } from '../limits.js';
import type { DatagramSocket, Endpoint, Network } from '../os/network.js';
import { toEach } from '../scheduling/each.js';
import { PacketClient, type Receiver, type Serve } from './client.js';
import type { Lending } from './lender.js';

export interface UdpListener {
  readonly local: Endpoint;
  /** Workers that answer TCP clients of the same endpoint; absent without workers. */
  readonly lending?: Lending;
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
      serve(read, new PacketClient(overUdp, port, from));
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

class Port implements Receiver<Endpoint> {
  socket!: DatagramSocket;
  inFlight = 0;
  isDraining = false;
  readonly whenDrained: (() => void)[] = [];
  #isOpen = true;

  localOf(): Endpoint {
    return this.socket.local;
  }

  remoteOf(peer: Endpoint): Endpoint {
    return peer;
  }

  answered(answer: Uint8Array | null, to: Endpoint): void {
    this.inFlight--;
    if (answer !== null && this.#isOpen) this.socket.send(answer, to);
    this.closeIfDrained();
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
