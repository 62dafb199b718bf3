/**
 * The network in memory: UDP and TCP between the endpoints of one world, driven by a clock that the test moves and
 * a random that the test seeded. Every packet, event and failure comes from a timer of that clock, also with a
 * latency of zero (the default), never from within the call that caused it: `clock.passMs(0)` delivers all that is
 * due. Bytes given to a callback are overwritten when it returns, so that whoever keeps borrowed bytes is found out.
 *
 * All addresses exist and belong to everybody; a wildcard takes what nobody is bound to in particular, and `::` is
 * IPv4 as well unless somebody holds the IPv4 port. `from` gives a view for a host with an address of its own.
 *
 * To repeat a run: everything that is drawn comes from the one `Random` given here, in the order of the clock's
 * timers, so the same seed and the same calls give the same run. A simulation asks `simulationSeeds` for its seeds
 * and runs each in `withSeed` (random.ts), which puts the seed into whatever is thrown; `SEED=1234 node --test FILE`
 * then runs that one alone. What a simulation itself draws comes from the same `Random`. Faults draw through
 * `chance`, which draws nothing for a share of zero, so switching one fault on leaves the runs without it as they
 * were. Two things break it: real sockets or timers in the world, and order taken from anything but the clock.
 */
import type { Clock } from '../../src/os/clock.js';
import type {
  DatagramEvents,
  DatagramSocket,
  Endpoint,
  Listener,
  Network,
  Stream,
  StreamEvents,
} from '../../src/os/network.js';
import type { Random } from '../../src/os/random.js';
import { Datagrams } from './datagrams.js';
import type { Faults } from './faults.js';
import { Streams } from './streams.js';
import { type Flow, isIpv6, keyOf, Wires } from './wires.js';

/** What went to and from one server, over all its clients. Bytes are of DNS and its framing, without IP headers. */
export interface ServerTraffic {
  readonly flows: number;
  readonly packetsToServer: number;
  readonly packetsToClients: number;
  readonly bytesToServer: number;
  readonly bytesToClients: number;
}

export class MemoryNetwork implements Network {
  readonly #wires: Wires;
  readonly #datagrams: Datagrams;
  readonly #streams: Streams;

  constructor(clock: Clock, random: Random) {
    this.#wires = new Wires(clock, random);
    this.#datagrams = new Datagrams(this.#wires);
    this.#streams = new Streams(this.#wires);
  }

  hostAddresses(): readonly string[] {
    return ['127.0.0.1', '::1', '192.0.2.10'];
  }

  /** The faults of everything that has none of its own; change them at any time. */
  get faults(): Faults {
    return this.#wires.faults;
  }

  /** Faults of all flows with this server, both ways, instead of the network's. */
  setFaultsTo(server: Endpoint, faults: Partial<Faults>): void {
    this.#wires.setFaultsTo(server, faults);
  }

  /** From now on nothing passes to or from this server: datagrams are lost, streams and connects wait. */
  stall(server: Endpoint): void {
    this.#wires.stall(server);
  }

  /** Ends a stall; what streams held back arrives now. */
  resume(server: Endpoint): void {
    this.#wires.resume(server);
  }

  /** Connects to this server fail with EHOSTUNREACH until `setReachable`. */
  setUnreachable(server: Endpoint): void {
    this.#streams.setUnreachable(server);
  }

  setReachable(server: Endpoint): void {
    this.#streams.setReachable(server);
  }

  /** Resets every TCP connection to this server, seen by both ends; gives their number. */
  resetConnections(server: Endpoint): number {
    return this.#streams.resetAll(server);
  }

  /** Every conversation so far, also those that are over. */
  get flows(): readonly Flow[] {
    return this.#wires.flows;
  }

  traffic(transport: 'udp' | 'tcp', server: Endpoint): ServerTraffic {
    const flows = this.flows.filter((flow) => flow.transport === transport && keyOf(flow.server) === keyOf(server));
    const sum = (of: (flow: Flow) => number): number => flows.reduce((total, flow) => total + of(flow), 0);
    return {
      flows: flows.length,
      packetsToServer: sum((flow) => flow.toServer.packets),
      packetsToClients: sum((flow) => flow.toClient.packets),
      bytesToServer: sum((flow) => flow.toServer.bytes),
      bytesToClients: sum((flow) => flow.toClient.bytes),
    };
  }

  /** Sockets and connections that are open, to assert that a stopped program left none. */
  get open(): { readonly datagramSockets: number; readonly connections: number } {
    return { datagramSockets: this.#datagrams.socketsOpen, connections: this.#streams.connectionsOpen };
  }

  /** The same network for a host whose connections come from this address. */
  from(address: string): Network {
    return {
      openDatagrams: (at, events) => this.openDatagrams(at, events),
      connectDatagrams: (to, events, source) => this.connectDatagrams(to, events, source ?? address),
      listenStreams: (at, accepted) => this.listenStreams(at, accepted),
      connectStream: (to, events, source) => this.connectStream(to, events, source ?? address),
      connectPath: (path, events) => this.connectPath(path, events),
    };
  }

  async openDatagrams(at: Endpoint, events: DatagramEvents): Promise<DatagramSocket> {
    return this.#datagrams.open(at, null, events);
  }

  connectDatagrams(to: Endpoint, events: DatagramEvents, sourceAddress?: string): DatagramSocket {
    return this.#datagrams.open({ address: sourceAddress ?? loopback(to), port: 0 }, to, events);
  }

  async listenStreams(at: Endpoint, accepted: (stream: Stream) => StreamEvents): Promise<Listener> {
    return this.#streams.listen(at, accepted);
  }

  connectStream(to: Endpoint, events: StreamEvents, sourceAddress?: string): Stream {
    const local = { address: sourceAddress ?? loopback(to), port: this.#wires.ephemeralPort() };
    return this.#streams.connect(local, to, events);
  }

  /** Who listens there does so at `{ address: path, port: pathPort }`. */
  connectPath(path: string, events: StreamEvents): Stream {
    return this.connectStream({ address: path, port: pathPort }, events);
  }
}

/** A path has no port; the addresses of this network have. */
export const pathPort = 1;

function loopback(to: Endpoint): string {
  return isIpv6(to.address) ? '::1' : '127.0.0.1';
}
