/**
 * Whether another program serves our addresses: a successor, a standby, or node-cache. The kernel lists the UDP
 * sockets of the host, ours among them. It is asked before link and rules are taken out, since whoever serves needs
 * them, whether we know each other or not.
 */
import type { Endpoint } from '../os/network.js';

export interface SocketsOfHost {
  /** The inodes of the UDP sockets bound to an endpoint; undefined when the kernel does not tell. */
  readonly socketsAt: (at: Endpoint) => readonly number[] | undefined;
  /** The inodes of our own. */
  readonly ownSockets: () => ReadonlySet<number>;
}

/** The address that somebody else has a UDP socket on, undefined when nobody has. One on all addresses does not count. */
export function servedElsewhere(
  { socketsAt, ownSockets }: SocketsOfHost,
  addresses: readonly string[],
  port: number,
): string | undefined {
  const own = ownSockets();
  return addresses.find((address) => socketsAt({ address, port })?.some((inode) => !own.has(inode)));
}
