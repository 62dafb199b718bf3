/**
 * DNS over TCP for clients (RFC 7766): accepts them while there are places, sweeps all of them with one timer, and lets them
 * go in order when it drains. What happens on one connection is tcp-client.ts.
 */
import type { TimeoutsConfig } from '../config/config.js';
import type { Counters } from '../counters.js';
import { tcpSweepPeriodMs } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Endpoint, Network, Stream, StreamEvents } from '../os/network.js';
import { toEach } from '../scheduling/each.js';
import type { Serve } from './asker.js';
import { type ClientDeps, TcpClient } from './tcp-client.js';
import { TcpPlaces } from './tcp-places.js';
import { TcpTurns } from './tcp-turns.js';

export interface TcpDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly counters: Counters;
  /** Listeners that are given the same share its places; without it a listener has its own. */
  readonly tcpPlaces?: TcpPlaces;
  /** The same for turns. */
  readonly tcpTurns?: TcpTurns;
}

export interface TcpListener {
  /** What is bound; the port is the real one when 0 was asked for. */
  readonly local: Endpoint;
  /** Connections that are open. */
  readonly clients: number;
  /**
   * Stops accepting and reading, answers what is in flight, closes each connection after its last answer, and calls
   * `done` once, later, when none is left. A client that does not take its answers is given up after `writeMs`.
   */
  drain(done: () => void): void;
  /** Drops everything at once. */
  close(): void;
}

const rejected: StreamEvents = { data() {}, ended() {}, closed() {} };

/** Listens at `at`, by the timeouts that are in force at each moment. Rejects with the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
export async function openTcpListener(
  deps: TcpDeps,
  at: Endpoint,
  timeouts: () => TimeoutsConfig,
  serve: Serve,
): Promise<TcpListener> {
  const { clock, counters } = deps;
  const places = deps.tcpPlaces ?? new TcpPlaces();
  const turns = deps.tcpTurns ?? new TcpTurns(() => clock.nowMs());
  const clients = new Set<TcpClient>();
  const toWork: TcpClient[] = [];
  const whenDrained: (() => void)[] = [];
  let workIsScheduled = false;
  let sweeping: Timer | null = null;

  const clientWorld: ClientDeps = {
    clock,
    counters,
    places,
    turns,
    get timeouts() {
      return timeouts();
    },
    serve,
    get local() {
      return listener.local;
    },
    workLater(client) {
      if (client.workIsSet) return;
      client.workIsSet = true;
      toWork.push(client);
      if (!workIsScheduled) queueMicrotask(workAll);
      workIsScheduled = true;
    },
    gone(client) {
      if (!clients.delete(client)) return;
      places.remove(client);
      if (clients.size > 0) return;
      sweeping?.stop();
      sweeping = null;
      toEach(whenDrained.splice(0), (done) => done());
    },
  };

  function accepted(stream: Stream): StreamEvents {
    if (!places.makeRoom(stream.remote.address)) {
      counters.count('tcpRejected');
      stream.destroy();
      return rejected;
    }
    counters.count('tcpAccepted');
    const client = new TcpClient(clientWorld, stream);
    clients.add(client);
    places.add(client);
    sweeping ??= clock.every(tcpSweepPeriodMs, sweep);
    return client;
  }

  /** Works also on clients that are added on the way, by answers that come at once. */
  function workAll(): void {
    try {
      for (let client = toWork.shift(); client !== undefined; client = toWork.shift()) {
        client.workIsSet = false;
        client.work();
      }
      workIsScheduled = false;
    } finally {
      // An exception in one client's query leaves the others' answers to the next turn.
      if (workIsScheduled) queueMicrotask(workAll);
    }
  }

  function sweep(): void {
    const nowMs = clock.nowMs();
    toEach(clients, (client) => client.sweep(nowMs));
  }

  const listener = await deps.network.listenStreams(at, accepted);
  return {
    local: listener.local,
    get clients() {
      return clients.size;
    },
    drain(done) {
      listener.close();
      if (clients.size === 0) {
        queueMicrotask(done);
        return;
      }
      whenDrained.push(done);
      toEach(clients, (client) => client.drain());
    },
    close() {
      listener.close();
      toEach(clients, (client) => client.destroy());
    },
  };
}
