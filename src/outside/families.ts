/**
 * IPv4 and IPv6 on one machine, as the kernel's sockets see them: which sockets may share a port, what `::` becomes
 * where there is no IPv6, and how IPv4 addresses are written on IPv6 sockets. No socket is touched here.
 */
import { isIPv6 } from 'node:net';
import type { Endpoint } from './network.js';

const mappedPrefix = '::ffff:';

/** The errors of a machine without IPv6. */
const noIpv6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT']);

/** Whether a literal address is IPv6, also with a scope (`fe80::1%eth0`). */
export function isIpv6(address: string): boolean {
  return isIPv6(address);
}

/** IPv4 ports that a network holds: `::` beside them must be IPv6 only, as two sockets cannot take one packet. */
export class HeldPorts {
  readonly #holders = new Map<number, number>();

  hold(at: Endpoint): void {
    if (!isIPv6(at.address)) this.#holders.set(at.port, (this.#holders.get(at.port) ?? 0) + 1);
  }

  /** Undoes one `hold` of the same endpoint. */
  release(at: Endpoint): void {
    if (isIPv6(at.address)) return;
    const left = (this.#holders.get(at.port) ?? 0) - 1;
    if (left > 0) this.#holders.set(at.port, left);
    else this.#holders.delete(at.port);
  }

  mustBeIpv6Only(at: Endpoint): boolean {
    return isIPv6(at.address) && this.#holders.has(at.port);
  }
}

/** Opens `::` as 0.0.0.0 where the machine has no IPv6; any other address, and any other error, stays as it is. */
export async function withoutIpv6<Opened>(at: Endpoint, open: (at: Endpoint) => Promise<Opened>): Promise<Opened> {
  try {
    return await open(at);
  } catch (error) {
    if (at.address !== '::' || !noIpv6.has(String((error as NodeJS.ErrnoException).code))) throw error;
    return open({ address: '0.0.0.0', port: at.port });
  }
}

/**
 * In the place of dns.lookup, which dgram would ask (a turn later) even about literal addresses. An IPv4 address on
 * an IPv6 socket is written as the kernel wants it there.
 */
export function literalLookup(
  address: string,
  family: unknown,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  if (family === 6) done(null, address.includes(':') ? address : mappedPrefix + address, 6);
  else done(null, address, 4);
}

/** An endpoint as the program knows it: IPv4 peers of an IPv6 socket have IPv4 addresses. */
export function plainEndpoint(address: string, port: number): Endpoint {
  return { address: address.startsWith(mappedPrefix) ? address.slice(mappedPrefix.length) : address, port };
}
