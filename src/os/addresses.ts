/** Socket addresses as endpoints and as bytes of the kernel, which are decoded only on demand; and the two families. */
import { isIPv6, SocketAddress } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Endpoint } from './network.js';
import { linux } from './system-calls.js';

/** sockaddr_in6, the longest. */
export const socketAddressBytes = 28;
const socketAddressIpv4Bytes = 16;

/** The endpoint for `bind`: 16 bytes for IPv4, 28 for IPv6 with its scope (`%eth0`). */
export function encodeSocketAddress({ address, port }: Endpoint): Uint8Array {
  const ipv6 = isIPv6(address);
  const bytes = new Uint8Array(ipv6 ? socketAddressBytes : socketAddressIpv4Bytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, ipv6 ? linux.familyIpv6 : linux.familyIpv4, true);
  view.setUint16(2, port);
  const [plain, scope] = address.split('%');
  bytes.set(addressBytes(plain), ipv6 ? 8 : 4);
  if (scope !== undefined) view.setUint32(24, scopeNumber(scope), true);
  return bytes;
}

/** The endpoint at `at`; an IPv4 address on an IPv6 socket becomes plain. */
export function decodeSocketAddress(bytes: Uint8Array, at = 0): Endpoint {
  const port = (bytes[at + 2] << 8) | bytes[at + 3];
  if (bytes[at] === linux.familyIpv4) return { address: bytes.subarray(at + 4, at + 8).join('.'), port };
  if (isMapped(bytes, at)) return { address: bytes.subarray(at + 20, at + 24).join('.'), port };
  const groups: string[] = [];
  for (let group = at + 8; group < at + 24; group += 2)
    groups.push(((bytes[group] << 8) | bytes[group + 1]).toString(16));
  return { address: new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address, port };
}

/** The same from words, which the main thread reads on every miss; recent texts are kept. */
export function endpointOf(words: Int32Array): Endpoint {
  if ((words[0] & 0xffff) === linux.familyIpv4) {
    return { address: ipv4Text(words[1]), port: ((words[0] >>> 8) & 0xff00) | (words[0] >>> 24) };
  }
  const bytes = new Uint8Array(socketAddressBytes);
  for (let at = 0; at < bytes.length; at++) bytes[at] = words[at >> 2] >>> (8 * (at & 3));
  return decodeSocketAddress(bytes);
}

const recentTexts = 256;
const recentWords = new Int32Array(recentTexts);
const recentText: string[] = new Array(recentTexts).fill('0.0.0.0');

function ipv4Text(word: number): string {
  // The pods of a node differ in the last byte.
  const place = word >>> 24;
  if (recentWords[place] !== word) {
    recentWords[place] = word;
    recentText[place] = `${word & 0xff}.${(word >>> 8) & 0xff}.${(word >>> 16) & 0xff}.${word >>> 24}`;
  }
  return recentText[place];
}

/** 0 for IPv4, also mapped, and 1 for IPv6. */
export function familyAt(bytes: Uint8Array, at: number): 0 | 1 {
  return bytes[at] === linux.familyIpv4 || isMapped(bytes, at) ? 0 : 1;
}

function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let index = at + 8; index < at + 18; index++) if (bytes[index] !== 0) return false;
  return bytes[at + 18] === 0xff && bytes[at + 19] === 0xff;
}

/** A link's number, by name or number; 0, which the kernel refuses, for an unknown one. */
function scopeNumber(scope: string): number {
  if (/^\d+$/.test(scope)) return Number(scope);
  return networkInterfaces()[scope]?.find(({ family }) => family === 'IPv6')?.scopeid ?? 0;
}

const mappedPrefix = '::ffff:';

const noIpv6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT']);

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

/** Replaces dns.lookup, which dgram would call even for literal addresses, a turn later. Maps IPv4 for IPv6 sockets. */
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
