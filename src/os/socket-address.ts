/**
 * Socket addresses as the kernel writes them (sockaddr_in, sockaddr_in6) and as the program does. A sender's address
 * stays bytes until somebody wants to read it: answering needs it as it came.
 */
import { isIPv6, SocketAddress } from 'node:net';
import { networkInterfaces } from 'node:os';
import { addressBytes } from './families.js';
import type { Endpoint } from './network.js';
import { linux } from './system-calls.js';

/** The longest of them: sockaddr_in6. */
export const socketAddressBytes = 28;
const socketAddressIpv4Bytes = 16;

/** The endpoint for `bind`: 16 bytes for IPv4, 28 for IPv6, a scope (`%eth0`) in its place. */
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

/** The endpoint of `bytes` from `at` on; an IPv4 address on an IPv6 socket becomes plain. */
export function decodeSocketAddress(bytes: Uint8Array, at = 0): Endpoint {
  const port = (bytes[at + 2] << 8) | bytes[at + 3];
  if (bytes[at] === linux.familyIpv4) return { address: bytes.subarray(at + 4, at + 8).join('.'), port };
  if (isMapped(bytes, at)) return { address: bytes.subarray(at + 20, at + 24).join('.'), port };
  const groups: string[] = [];
  for (let group = at + 8; group < at + 24; group += 2)
    groups.push(((bytes[group] << 8) | bytes[group + 1]).toString(16));
  return { address: new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address, port };
}

/** The same for a peer's words, which the control lane reads for every miss: neighbours ask again and again. */
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

/** Four bytes in the order of the network, read as a word on a little-endian machine. */
function ipv4Text(word: number): string {
  // A node's pods differ in the last byte.
  const place = word >>> 24;
  if (recentWords[place] !== word) {
    recentWords[place] = word;
    recentText[place] = `${word & 0xff}.${(word >>> 8) & 0xff}.${(word >>> 16) & 0xff}.${word >>> 24}`;
  }
  return recentText[place];
}

/** 0 when the address at `at` is IPv4, also on an IPv6 socket, and 1 when it is IPv6. */
export function familyAt(bytes: Uint8Array, at: number): 0 | 1 {
  return bytes[at] === linux.familyIpv4 || isMapped(bytes, at) ? 0 : 1;
}

/** ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let index = at + 8; index < at + 18; index++) if (bytes[index] !== 0) return false;
  return bytes[at + 18] === 0xff && bytes[at + 19] === 0xff;
}

/** The number of a link by name or as a number; 0 when there is none, which the kernel refuses. */
function scopeNumber(scope: string): number {
  if (/^\d+$/.test(scope)) return Number(scope);
  return networkInterfaces()[scope]?.find(({ family }) => family === 'IPv6')?.scopeid ?? 0;
}
