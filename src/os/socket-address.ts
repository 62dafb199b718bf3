/**
 * Socket addresses as bytes of the kernel (sockaddr_in, sockaddr_in6) and as endpoints. A sender's address is decoded
 * only on demand: the answer needs its bytes.
 */
import { isIPv6, SocketAddress } from 'node:net';
import { networkInterfaces } from 'node:os';
import { addressBytes } from './families.js';
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

/** `word` is in network order, read as little-endian. */
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

/** ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let index = at + 8; index < at + 18; index++) if (bytes[index] !== 0) return false;
  return bytes[at + 18] === 0xff && bytes[at + 19] === 0xff;
}

/** A link's number, by name or number; 0, which the kernel refuses, for an unknown one. */
function scopeNumber(scope: string): number {
  if (/^\d+$/.test(scope)) return Number(scope);
  return networkInterfaces()[scope]?.find(({ family }) => family === 'IPv6')?.scopeid ?? 0;
}
