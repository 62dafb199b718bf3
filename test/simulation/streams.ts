/**
 * TCP on the in-memory network: connections of two ends, each with the bytes that are on their way to it.
 *
 *     write ─> unsent ─(window)─> on the way ─(latency)─> received ─(chunks, pause)─> data
 *
 * `end` sends FIN behind the bytes, `destroy` as close(2) does: FIN, or a reset when bytes were left unread.
 */
import { type Endpoint, type Listener, type Stream, type StreamEvents, unsentBytesHigh } from '../../src/os/network.js';
import { systemError } from './faults.js';
import { chance } from './random.js';
import { Bindings, count, type Flow, keyOf, type Wires } from './wires.js';

interface BoundListener {
  accepted(stream: Stream): StreamEvents;
}

const noEvents: StreamEvents = { data() {}, ended() {}, closed() {} };

export class Streams {
  readonly #wires: Wires;
  readonly #listeners = new Bindings<BoundListener>();
  readonly #connections = new Set<Connection>();
  readonly #unreachable = new Set<string>();

  constructor(wires: Wires) {
    this.#wires = wires;
  }

  get connectionsOpen(): number {
    return this.#connections.size;
  }

  listen(at: Endpoint, accepted: (stream: Stream) => StreamEvents): Listener {
    const local = { address: at.address, port: at.port === 0 ? this.#wires.ephemeralPort() : at.port };
    this.#listeners.add(local, { accepted });
    let isOpen = true;
    return {
      local,
      close: () => {
        if (isOpen) this.#listeners.delete(local);
        isOpen = false;
      },
    };
  }

  connect(client: Endpoint, server: Endpoint, events: StreamEvents): Stream {
    const connection = new Connection(this.#wires, client, server, () => this.#connections.delete(connection));
    this.#connections.add(connection);
    connection.client.events = events;
    this.#later(server, () => {
      if (connection.isOver) return;
      const listener = this.#listeners.find(server);
      const refusal = this.#unreachable.has(keyOf(server)) ? 'EHOSTUNREACH' : listener ? null : 'ECONNREFUSED';
      if (refusal !== null) {
        this.#later(server, () => connection.client.finish(systemError(refusal, 'connect')));
        return;
      }
      connection.server.open();
      connection.server.events = listener?.accepted(connection.server) ?? noEvents;
      this.#later(server, () => connection.client.open());
    });
    return connection.client;
  }

  setUnreachable(server: Endpoint): void {
    this.#unreachable.add(keyOf(server));
  }

  setReachable(server: Endpoint): void {
    this.#unreachable.delete(keyOf(server));
  }

  resetAll(server: Endpoint): number {
    const hit = [...this.#connections].filter((connection) => keyOf(connection.flow.server) === keyOf(server));
    for (const connection of hit) connection.reset();
    return hit.length;
  }

  #later(server: Endpoint, run: () => void): void {
    this.#wires.at(this.#wires.arrivalMs(this.#wires.faultsFor(server)), () => this.#wires.unlessStalled(server, run));
  }
}

class Connection {
  readonly flow: Flow;
  readonly client: End;
  readonly server: End;
  readonly #forget: () => void;

  constructor(
    readonly wires: Wires,
    client: Endpoint,
    server: Endpoint,
    forget: () => void,
  ) {
    this.flow = wires.openFlow('tcp', client, server);
    this.client = new End(this, server);
    this.server = new End(this, client);
    this.#forget = forget;
  }

  get isOver(): boolean {
    return this.client.isClosed;
  }

  peerOf(end: End): End {
    return end === this.client ? this.server : this.client;
  }

  /** Both ends lose the connection, as when a box between them answers for it. */
  reset(): void {
    for (const end of [this.client, this.server]) end.finish(systemError('ECONNRESET', 'read'));
  }

  ended(): void {
    if (this.client.isClosed && (this.server.isClosed || !this.server.isOpened)) this.#forget();
  }
}

class End implements Stream {
  events: StreamEvents = noEvents;
  isOpened = false;
  isClosed = false;
  readonly #connection: Connection;
  /** Written, not yet on the way. */
  readonly #unsent: Uint8Array[] = [];
  unsentBytes = 0;
  /** On the way or unread at the peer. */
  #outstandingBytes = 0;
  #lastArrivalMs = 0;
  #received: Uint8Array[] = [];
  #deliveryIsSet = false;
  #owesDrained = false;
  #isPaused = false;
  #hasEnded = false;
  #finIsSent = false;
  #finIsReceived = false;
  #finIsGiven = false;

  constructor(
    connection: Connection,
    readonly remote: Endpoint,
  ) {
    this.#connection = connection;
  }

  open(): void {
    if (this.isClosed) return;
    this.isOpened = true;
    this.events.opened?.();
    this.#transmit();
  }

  write(bytes: Uint8Array): void {
    if (this.isClosed) return;
    if (this.#hasEnded) throw new Error('write after end');
    if (bytes.length === 0) return;
    const { wires, flow } = this.#connection;
    if (this.isOpened && chance(wires.random, wires.faultsFor(flow.server).resetShare)) {
      wires.at(wires.clock.nowMs(), () => this.#connection.reset());
    }
    this.#unsent.push(Uint8Array.from(bytes));
    this.unsentBytes += bytes.length;
    this.#transmit();
    if (this.unsentBytes >= unsentBytesHigh) this.#owesDrained = true;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#setDelivery();
  }

  end(): void {
    if (this.isClosed) return;
    this.#hasEnded = true;
    this.#transmit();
  }

  destroy(): void {
    if (this.isClosed) return;
    const leftUnread = this.#received.length > 0;
    this.#send(() => {
      const peer = this.#connection.peerOf(this);
      if (leftUnread || this.unsentBytes > 0) peer.finish(systemError('ECONNRESET', 'read'));
      else peer.receiveFin();
    });
    this.finish();
  }

  /** The last event of this end; it comes by itself, never within the call that caused it. */
  finish(error?: NodeJS.ErrnoException): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#received = [];
    const { events } = this;
    this.events = noEvents;
    const { wires } = this.#connection;
    wires.at(wires.clock.nowMs(), () => (error === undefined ? events.closed() : events.closed(error)));
    this.#connection.ended();
  }

  receive(bytes: Uint8Array): void {
    if (this.isClosed) {
      // Nobody reads here any more: the writer is told so.
      this.#send(() => this.#connection.peerOf(this).finish(systemError('ECONNRESET', 'read')));
      return;
    }
    this.#received.push(bytes);
    this.#setDelivery();
  }

  receiveFin(): void {
    this.#finIsReceived = true;
    this.#setDelivery();
  }

  consumed(bytes: number): void {
    this.#outstandingBytes -= bytes;
    this.#transmit();
  }

  /** Sends as much as the window takes, then FIN. */
  #transmit(): void {
    if (!this.isOpened || this.isClosed) return;
    const { wires, flow } = this.#connection;
    const { windowBytes } = wires.faultsFor(flow.server);
    const peer = this.#connection.peerOf(this);
    while (this.#unsent.length > 0 && this.#outstandingBytes < windowBytes) {
      const room = windowBytes - this.#outstandingBytes;
      const first = this.#unsent[0];
      const bytes = first.subarray(0, room);
      if (bytes.length === first.length) this.#unsent.shift();
      else this.#unsent[0] = first.subarray(room);
      this.unsentBytes -= bytes.length;
      this.#outstandingBytes += bytes.length;
      count(this === this.#connection.client ? flow.toServer : flow.toClient, bytes.length);
      this.#send(() => peer.receive(bytes));
    }
    if (this.#owesDrained && this.unsentBytes === 0) {
      this.#owesDrained = false;
      wires.at(wires.clock.nowMs(), () => this.events.drained?.());
    }
    if (this.#hasEnded && this.#unsent.length === 0 && !this.#finIsSent) {
      this.#finIsSent = true;
      this.#send(() => peer.receiveFin());
      if (this.#finIsGiven) this.finish();
    }
  }

  /** Runs at the peer's side once what was sent before has arrived. */
  #send(arrive: () => void): void {
    const { wires, flow } = this.#connection;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, wires.arrivalMs(wires.faultsFor(flow.server)));
    wires.at(this.#lastArrivalMs, () => wires.unlessStalled(flow.server, arrive));
  }

  #setDelivery(): void {
    if (this.#deliveryIsSet || this.isClosed) return;
    this.#deliveryIsSet = true;
    const { wires } = this.#connection;
    wires.at(wires.clock.nowMs(), () => {
      this.#deliveryIsSet = false;
      this.#deliver();
    });
  }

  /** Gives one chunk, or the end; the next has a turn of its own. */
  #deliver(): void {
    if (this.isClosed) return;
    if (this.#received.length > 0) {
      if (this.#isPaused) return;
      const chunk = this.#takeChunk();
      this.events.data(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
      this.#connection.peerOf(this).consumed(chunk.length);
      chunk.fill(0xdd);
      this.#setDelivery();
    } else if (this.#finIsReceived && !this.#finIsGiven) {
      this.#finIsGiven = true;
      this.events.ended();
      if (this.#finIsSent) this.finish();
    }
  }

  #takeChunk(): Uint8Array {
    const { wires, flow } = this.#connection;
    const { chunks } = wires.faultsFor(flow.server);
    if (chunks === 'random' && this.#received.length > 1) this.#received = [joined(this.#received)];
    const first = this.#received[0];
    const most =
      chunks === 'asWritten' ? first.length : chunks === 'random' ? 1 + wires.random.below(first.length) : chunks;
    if (most >= first.length) this.#received.shift();
    else this.#received[0] = first.subarray(most);
    return first.subarray(0, most);
  }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks));
}
