/**
 * Addresses, ports and networks as text. Everything here takes literal addresses: a DNS server's configuration must not
 * need a DNS server to be understood.
 */
import { isIP, SocketAddress } from 'node:net';
import { addressBytes } from '../os/addresses.js';
import type { Endpoint } from '../os/network.js';

export const dnsPort = 53;

/** The address in its shortest form (RFC 5952), with its scope; undefined for all other text. */
export function canonicalAddress(text: string): string | undefined {
  const family = isIP(text);
  if (family === 4) return text;
  if (family !== 6) return undefined;
  const [address, scope] = text.split('%');
  const short = new SocketAddress({ address, family: 'ipv6' }).address;
  return scope === undefined ? short : `${short}%${scope}`;
}

/** `host:port`, `[host]:port`, `:port`; undefined when there is no port or more than one reading. */
export function splitHostPort(text: string): { host: string; port: string } | undefined {
  const match = /^\[([^\]]*)\]:([^:]*)$/u.exec(text) ?? /^([^:[\]]*):([^:]*)$/u.exec(text);
  return match === null ? undefined : { host: match[1], port: match[2] };
}

/** The listening address of a host: empty means all (`::`), as in Go; undefined for other text that is no address. */
export function hostAddress(host: string): string | undefined {
  if (host === '') return '::';
  return host === 'localhost' ? '127.0.0.1' : canonicalAddress(host);
}

/** A port, `least` to 65535; undefined for anything else. */
export function portNumber(text: string, least: 0 | 1): number | undefined {
  const port = /^\d{1,5}$/u.test(text) ? Number(text) : -1;
  return port >= least && port <= 65535 ? port : undefined;
}

/** An address with or without port: `10.0.0.10`, `10.0.0.10:53`, `fd00::1`, `[fd00::1]:53`, `fe80::1%eth0`. */
export function readEndpoint(text: string, defaultPort: number): Endpoint | undefined {
  const alone = canonicalAddress(text.replace(/^\[([^\]]*)\]$/u, '$1'));
  if (alone !== undefined) return { address: alone, port: defaultPort };
  const parts = splitHostPort(text);
  const address = parts && canonicalAddress(parts.host);
  const port = parts && portNumber(parts.port, 1);
  return address === undefined || port === undefined ? undefined : { address, port };
}

/**
 * The endpoint that text without port or brackets probably means: `fd00::10:9254` is an IPv6 address as a whole, but more
 * likely one with a port.
 */
export function meantEndpoint(text: string, defaultPort: number): Endpoint | undefined {
  const [, address, behind] = /^(.*:.*):(\d+)$/u.exec(text) ?? [];
  const port = behind === undefined ? undefined : portNumber(behind, 1);
  if (port !== undefined && isIP(address) === 6) return { address: canonicalAddress(address)!, port };
  return readEndpoint(text, defaultPort);
}

/** `10.0.0.10:53`, `[fd00::1]:53`. */
export function formatEndpoint({ address, port }: Endpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Whether the addresses are equal, or one of them means all of the other's family. */
export function addressesOverlap(one: string, other: string): boolean {
  return one === other || addressCovers(one, other) || addressCovers(other, one);
}

/** Whether `all` is an unspecified address that includes `address`; `::` includes IPv4. */
export function addressCovers(all: string, address: string): boolean {
  return all !== address && (all === '::' || (all === '0.0.0.0' && isIP(address) === 4));
}

export interface IpNetwork {
  /** Four bytes or sixteen. */
  readonly bytes: readonly number[];
  readonly prefixBits: number;
}

/** `10.0.0.0/8`, `fd00::/8` or one address; undefined for all other text. Bits behind the prefix do not matter. */
export function readNetwork(text: string): IpNetwork | undefined {
  const [, address, bits] = /^([^/%]+)(?:\/(\d{1,3}))?$/u.exec(text) ?? [];
  const family = isIP(address ?? '');
  const bitsMax = family === 4 ? 32 : 128;
  const prefixBits = bits === undefined ? bitsMax : Number(bits);
  if (family === 0 || prefixBits > bitsMax) return undefined;
  return { bytes: [...addressBytes(address)], prefixBits };
}

/** Takes an address as `addressBytes` gives it; false if it is of the other family. */
export function isInNetwork(address: Uint8Array, { bytes, prefixBits }: IpNetwork): boolean {
  if (address.length !== bytes.length) return false;
  for (let bit = 0; bit < prefixBits; bit += 8) {
    const mask = bit + 8 <= prefixBits ? 0xff : (0xff00 >> (prefixBits - bit)) & 0xff;
    if (((address[bit >> 3] ^ bytes[bit >> 3]) & mask) !== 0) return false;
  }
  return true;
}
