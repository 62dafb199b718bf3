/**
 * IPv4 and IPv6 as the kernel's sockets treat them: which sockets may share a port, what `::` becomes without IPv6, and
 * how IPv4 addresses look on IPv6 sockets. It touches no socket.
 */
import { isIPv6 } from 'node:net';
import type { Endpoint } from './network.js';

const mappedPrefix = '::ffff:';

/** Errors of a machine without IPv6. */
const noIpv6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT']);

/** Whether a literal address is IPv6, also with a scope (`fe80::1%eth0`). */
export function isIpv6(address: string): boolean {
  return isIPv6(address);
}

/** The endpoints that a network has bound. */
export class HeldPorts {
  readonly #held: Endpoint[] = [];

  hold(at: Endpoint): void {
    this.#held.push(at);
  }

  release({ address, port }: Endpoint): void {
    const index = this.#held.findIndex((held) => held.port === port && held.address === address);
    if (index >= 0) this.#held.splice(index, 1);
  }

  /** `::` must be IPv6 only where another socket holds the port for IPv4. */
  mustBeIpv6Only({ address, port }: Endpoint): boolean {
    return isIPv6(address) && this.#held.some((held) => held.port === port && !isIPv6(held.address));
  }

  /** Whether this network itself has the endpoint's port, so a packet could be for either. */
  has({ address, port }: Endpoint): boolean {
    return this.#held.some((held) => {
      if (held.port !== port) return false;
      const isOneFamily = isIPv6(held.address) === isIPv6(address);
      if (isOneFamily) return held.address === address || isWildcard(held.address) || isWildcard(address);
      // In the other direction `address` would be IPv6 only.
      return held.address === '::';
    });
  }
}

/** The addresses of `endpoints` that are on no interface, each once. All of 127.0.0.0/8 is on `lo`. */
export function absentAddresses(endpoints: readonly Endpoint[], present: readonly string[]): string[] {
  const wanted = new Set(endpoints.map(({ address }) => address.split('%', 1)[0]));
  return [...wanted].filter(
    (address) => !isWildcard(address) && !address.startsWith('127.') && !present.includes(address),
  );
}

export function isWildcard(address: string): boolean {
  return address === '::' || address === '0.0.0.0';
}

/** Opens `::` as 0.0.0.0 on a machine without IPv6; other addresses and errors are passed through. */
export async function withoutIpv6<Opened>(at: Endpoint, open: (at: Endpoint) => Promise<Opened>): Promise<Opened> {
  try {
    return await open(at);
  } catch (error) {
    if (at.address !== '::' || !noIpv6.has(String((error as NodeJS.ErrnoException).code))) throw error;
    return open({ address: '0.0.0.0', port: at.port });
  }
}

/**
 * Replaces dns.lookup, which dgram would call (a turn later) even for literal addresses. Maps IPv4 addresses for IPv6
 * sockets.
 */
export function literalLookup(
  address: string,
  family: unknown,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  if (family === 6) done(null, address.includes(':') ? address : mappedPrefix + address, 6);
  else done(null, address, 4);
}

/** Unmaps IPv4 peers of an IPv6 socket. */
export function plainEndpoint(address: string, port: number): Endpoint {
  return { address: address.startsWith(mappedPrefix) ? address.slice(mappedPrefix.length) : address, port };
}

/** Four bytes for IPv4, sixteen for IPv6 without its scope. */
export function addressBytes(address: string): Uint8Array {
  if (!address.includes(':')) return Uint8Array.from(address.split('.').map(Number));
  const groupsOf = (text: string): number[] =>
    text.split(':').flatMap((group) => {
      if (group.includes('.')) return [...addressBytes(group)];
      const value = Number.parseInt(group, 16);
      return group === '' ? [] : [value >> 8, value & 255];
    });
  const [head, tail = ''] = address.split('::');
  const bytes = new Uint8Array(16);
  const end = groupsOf(tail);
  bytes.set(groupsOf(head));
  bytes.set(end, 16 - end.length);
  return bytes;
}
