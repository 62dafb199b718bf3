/**
 * What all sockets of an in-memory network share: the clock and the random that decide when a packet arrives, the
 * faults per server, what is held back by a stall, who is bound where, and the traffic counters.
 */
import type { Clock } from '../../src/os/clock.js';
import type { Endpoint } from '../../src/os/network.js';
import type { Random } from '../../src/os/random.js';
import { type Faults, noFaults, systemError } from './faults.js';

/** One direction of a flow. A packet is a datagram, or a write to a stream. */
export interface Traffic {
  packets: number;
  bytes: number;
}

/** One client's conversation with one server: a TCP connection, or the datagrams between two addresses. */
export interface Flow {
  readonly transport: 'udp' | 'tcp';
  readonly client: Endpoint;
  readonly server: Endpoint;
  readonly toServer: Traffic;
  readonly toClient: Traffic;
}

export const unspecified4 = '0.0.0.0';
export const unspecified6 = '::';

export function keyOf(at: Endpoint): string {
  return `${at.address}#${at.port}`;
}

export function isIpv6(address: string): boolean {
  return address.includes(':');
}

/** Sockets by the address they are bound to; a wildcard takes what nobody is bound to in particular. */
export class Bindings<Socket> {
  readonly #sockets = new Map<string, Socket>();

  find(to: Endpoint): Socket | undefined {
    const wildcard = isIpv6(to.address) ? unspecified6 : unspecified4;
    return (
      this.#sockets.get(keyOf(to)) ??
      this.#sockets.get(keyOf({ address: wildcard, port: to.port })) ??
      this.#sockets.get(keyOf({ address: unspecified6, port: to.port }))
    );
  }

  /** Throws EADDRINUSE as Linux does without SO_REUSEADDR: a wildcard and a particular address exclude each other. */
  add(at: Endpoint, socket: Socket): void {
    for (const key of this.#sockets.keys()) {
      const [address, port] = key.split('#');
      if (Number(port) === at.port && overlap(address, at.address)) throw systemError('EADDRINUSE', 'bind');
    }
    this.#sockets.set(keyOf(at), socket);
  }

  delete(at: Endpoint): void {
    this.#sockets.delete(keyOf(at));
  }

  get count(): number {
    return this.#sockets.size;
  }
}

/** `::` is IPv6 only where somebody holds the IPv4 port, so it never excludes an IPv4 address. */
function overlap(a: string, b: string): boolean {
  if (a === b) return true;
  if (isIpv6(a) !== isIpv6(b)) return false;
  const wildcard = isIpv6(a) ? unspecified6 : unspecified4;
  return a === wildcard || b === wildcard;
}

export class Wires {
  readonly faults: Faults = { ...noFaults };
  readonly flows: Flow[] = [];
  readonly #faultsTo = new Map<string, Partial<Faults>>();
  readonly #held = new Map<string, (() => void)[]>();
  #nextPort: number;

  constructor(
    readonly clock: Clock,
    readonly random: Random,
  ) {
    this.#nextPort = 32_768 + random.below(16_384);
  }

  setFaultsTo(server: Endpoint, faults: Partial<Faults>): void {
    this.#faultsTo.set(keyOf(server), faults);
  }

  faultsFor(server: Endpoint): Faults {
    const particular = this.#faultsTo.get(keyOf(server));
    return particular === undefined ? this.faults : { ...this.faults, ...particular };
  }

  /** When a packet sent now arrives. */
  arrivalMs(faults: Faults): number {
    const jitterMs = faults.jitterMs === 0 ? 0 : (this.random.below(1024) / 1024) * faults.jitterMs;
    return this.clock.nowMs() + faults.latencyMs + jitterMs;
  }

  at(timeMs: number, run: () => void): void {
    this.clock.after(timeMs - this.clock.nowMs(), run);
  }

  stall(server: Endpoint): void {
    if (!this.#held.has(keyOf(server))) this.#held.set(keyOf(server), []);
  }

  isStalled(server: Endpoint): boolean {
    return this.#held.has(keyOf(server));
  }

  resume(server: Endpoint): void {
    const held = this.#held.get(keyOf(server)) ?? [];
    this.#held.delete(keyOf(server));
    for (const run of held) this.at(this.clock.nowMs(), run);
  }

  /** Runs now, or when the stall of this server ends. */
  unlessStalled(server: Endpoint, run: () => void): void {
    const held = this.#held.get(keyOf(server));
    if (held === undefined) run();
    else held.push(run);
  }

  /** A port for a socket that did not ask for one; none is given twice before 28,000 others. */
  ephemeralPort(): number {
    this.#nextPort = this.#nextPort >= 60_999 ? 32_768 : this.#nextPort + 1;
    return this.#nextPort;
  }

  openFlow(transport: 'udp' | 'tcp', client: Endpoint, server: Endpoint): Flow {
    const flow = { transport, client, server, toServer: { packets: 0, bytes: 0 }, toClient: { packets: 0, bytes: 0 } };
    this.flows.push(flow);
    return flow;
  }
}

export function count(traffic: Traffic, bytes: number): void {
  traffic.packets++;
  traffic.bytes += bytes;
}
