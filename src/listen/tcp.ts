/** DNS over TCP for clients (RFC 7766): accepts, sweeps with one timer, and drains connections (tcp-client.ts). */
import type { TimeoutsConfig } from '../config/config.js';
import type { Counters } from '../counters.js';
import { lentQueriesLeast, tcpSweepPeriodMs } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Endpoint, Network, Stream, StreamEvents } from '../os/network.js';
import { toEach } from '../scheduling/each.js';
import type { Serve } from './client.js';
import type { Lending } from './lender.js';
import { type ClientDeps, TcpClient } from './tcp-client.js';
import { TcpPlaces } from './tcp-places.js';
import { TcpTurns } from './tcp-turns.js';

export interface TcpDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly counters: Counters;
  /** Shared by several listeners; by default a listener has its own. */
  readonly tcpPlaces?: TcpPlaces;
  readonly tcpTurns?: TcpTurns;
  /** To workers; by default none. */
  readonly lending?: Lending | undefined;
}

export interface TcpListener {
  readonly local: Endpoint;
  readonly clients: number;
  /**
   * Stops accepting and reading, closes each connection after its last answer, and calls `done` once, later, when none
   * is left. A client that does not read its answers is dropped after `writeMs`.
   */
  drain(done: () => void): void;
  close(): void;
}

const rejected: StreamEvents = { data() {}, ended() {}, closed() {} };

/** Listens at `at`; `timeouts` gives the current ones. Rejects with EADDRINUSE, EACCES or EADDRNOTAVAIL. */
export async function openTcpListener(
  deps: TcpDeps,
  at: Endpoint,
  timeouts: () => TimeoutsConfig,
  serve: Serve,
): Promise<TcpListener> {
  const clients = new TcpClients(deps, { timeouts, serve, local: () => listener.local });
  const listener = await deps.network.listenStreams(at, (stream) => clients.accept(stream));
  return {
    local: listener.local,
    get clients() {
      return clients.size;
    },
    drain(done) {
      listener.close();
      clients.drain(done);
    },
    close() {
      listener.close();
      clients.destroy();
    },
  };
}

interface OfListener {
  readonly timeouts: () => TimeoutsConfig;
  readonly serve: Serve;
  readonly local: () => Endpoint;
}

class TcpClients {
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #places: TcpPlaces;
  readonly #clientDeps: ClientDeps;
  readonly #clients = new Set<TcpClient>();
  readonly #toWork: TcpClient[] = [];
  readonly #whenDrained: (() => void)[] = [];
  readonly #workAll = (): void => this.#workOnAll();
  #workIsScheduled = false;
  #sweeping: Timer | null = null;

  constructor({ clock, counters, tcpPlaces, tcpTurns, lending }: TcpDeps, { timeouts, serve, local }: OfListener) {
    this.#clock = clock;
    this.#counters = counters;
    this.#places = tcpPlaces ?? new TcpPlaces();
    this.#clientDeps = {
      clock,
      counters,
      places: this.#places,
      turns: tcpTurns ?? new TcpTurns(() => clock.nowMs()),
      get timeouts() {
        return timeouts();
      },
      serve,
      lending: lending ?? null,
      get local() {
        return local();
      },
      workLater: (client) => this.#workLater(client),
      gone: (client) => this.#gone(client),
    };
  }

  get size(): number {
    return this.#clients.size;
  }

  accept(stream: Stream): StreamEvents {
    if (!this.#places.makeRoom(stream.remote.address)) {
      this.#counters.count('tcpRejected');
      stream.destroy();
      return rejected;
    }
    this.#counters.count('tcpAccepted');
    const client = new TcpClient(this.#clientDeps, stream);
    this.#clients.add(client);
    this.#places.add(client);
    this.#sweeping ??= this.#clock.every(tcpSweepPeriodMs, () => this.#sweep());
    return client;
  }

  drain(done: () => void): void {
    if (this.#clients.size === 0) {
      queueMicrotask(done);
      return;
    }
    this.#whenDrained.push(done);
    toEach(this.#clients, (client) => client.drain());
  }

  destroy(): void {
    toEach(this.#clients, (client) => client.destroy());
  }

  #workLater(client: TcpClient): void {
    if (client.workIsSet) return;
    client.workIsSet = true;
    this.#toWork.push(client);
    if (!this.#workIsScheduled) queueMicrotask(this.#workAll);
    this.#workIsScheduled = true;
  }

  /** Includes clients added on the way by answers that come at once. */
  #workOnAll(): void {
    try {
      for (let client = this.#toWork.shift(); client !== undefined; client = this.#toWork.shift()) {
        client.workIsSet = false;
        client.work();
      }
      this.#workIsScheduled = false;
    } finally {
      // An exception in one client's query must not lose the others' answers.
      if (this.#workIsScheduled) queueMicrotask(this.#workAll);
    }
  }

  #gone(client: TcpClient): void {
    if (!this.#clients.delete(client)) return;
    this.#places.remove(client);
    if (this.#clients.size > 0) return;
    this.#sweeping?.stop();
    this.#sweeping = null;
    toEach(this.#whenDrained.splice(0), (done) => done());
  }

  #sweep(): void {
    const nowMs = this.#clock.nowMs();
    toEach(this.#clients, (client) => client.sweep(nowMs));
    const { lending } = this.#clientDeps;
    if (lending !== null) this.#lendBusy(lending);
  }

  /** Lends the connections on which queries follow each other, if there are enough of these. */
  #lendBusy(lending: Lending): void {
    const busy = new Set<TcpClient>();
    let queries = 0;
    for (const client of this.#clients) {
      const isNew = client.newQueries();
      if (isNew < lentQueriesLeast) continue;
      busy.add(client);
      queries += isNew;
    }
    const pays = lending.pays(queries);
    toEach(this.#clients, (client) => (pays && busy.has(client) ? client.offer() : client.withdraw()));
  }
}
