/**
 * Which HTTP connections may stay open. Connections of the host's own programs have places of their own, so probes find
 * one whatever pods do; every other address has a few. A newcomer is never turned away: where its part is full, the
 * connection closes that has asked nothing for the longest time. Knows nothing of sockets or HTTP.
 */
import { httpConnectionsMax, httpConnectionsOwnMax, httpConnectionsPerAddressMax } from '../limits.js';

interface PlacedConnection {
  /** Its answer is being made: such a connection closes last. */
  readonly isWorking: boolean;
  close(): void;
}

export class Places<Connection extends PlacedConnection> {
  /** By address, each in the order of their last requests; null is the host itself. */
  readonly #byAddress = new Map<string | null, Set<Connection>>();
  #count = 0;

  /** Takes a place for a connection from `address`; null stands for all addresses of this host. */
  enter(connection: Connection, address: string | null): void {
    const beside = this.#byAddress.get(address) ?? new Set();
    if (beside.size >= (address === null ? httpConnectionsOwnMax : httpConnectionsPerAddressMax)) {
      this.#closeIdlest(address, beside);
    } else if (address !== null && this.#count - this.#countOf(null) >= httpConnectionsMax) {
      this.#closeIdlest(...this.#most());
    }
    this.#byAddress.set(address, beside.add(connection));
    this.#count++;
  }

  /** The connection has sent a whole request. */
  used(connection: Connection, address: string | null): void {
    const beside = this.#byAddress.get(address);
    if (beside?.delete(connection)) beside.add(connection);
  }

  leave(connection: Connection, address: string | null): void {
    const beside = this.#byAddress.get(address);
    if (!beside?.delete(connection)) return;
    this.#count--;
    if (beside.size === 0) this.#byAddress.delete(address);
  }

  *[Symbol.iterator](): Iterator<Connection> {
    for (const beside of this.#byAddress.values()) yield* beside;
  }

  #closeIdlest(address: string | null, beside: ReadonlySet<Connection>): void {
    const [eldest] = beside;
    const idlest = [...beside].find(({ isWorking }) => !isWorking) ?? eldest;
    this.leave(idlest, address);
    idlest.close();
  }

  /** Of the addresses that are not the host's, the one with most connections. */
  #most(): [string | null, ReadonlySet<Connection>] {
    const others = [...this.#byAddress].filter(([address]) => address !== null);
    return others.reduce((most, each) => (each[1].size > most[1].size ? each : most));
  }

  #countOf(address: string | null): number {
    return this.#byAddress.get(address)?.size ?? 0;
  }
}
