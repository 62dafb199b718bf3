/**
 * Which user of this host is at the other end of a TCP connection over loopback or between the host's own addresses:
 * /proc/net lists that end, too, with the user of its socket. Ends in other namespaces and on other hosts are not there.
 */
import { readFile } from 'node:fs/promises';
import type { Endpoint } from './network.js';

export interface Ends {
  /** Theirs. */
  readonly remote: Endpoint;
  /** Ours. */
  readonly local: Endpoint;
}

/** The text of /proc/net/`name`; undefined when it cannot be read. */
export type ReadTable = (name: 'tcp' | 'tcp6') => Promise<string | undefined>;

/** The user id of the socket at the remote end; null where the kernel does not list it as one of a live process. */
export async function userOfPeer({ remote, local }: Ends, read: ReadTable = readTable): Promise<number | null> {
  const wanted = new Set(textsOf(remote).flatMap((from) => textsOf(local).map((to) => `${from} ${to}`)));
  for (const name of ['tcp', 'tcp6'] as const) {
    for (const line of ((await read(name)) ?? '').split('\n')) {
      const [, from, to, , , , , user, , inode] = line.trim().split(/\s+/u);
      // A socket that its process has closed has no inode, and says 0 for its user.
      if (wanted.has(`${from} ${to}`) && inode !== '0') return Number(user);
    }
  }
  return null;
}

/** As the tables write it, where an IPv4 end may be an IPv6 socket's: bytes of each 32-bit word reversed, hexadecimal. */
function textsOf({ address, port }: Endpoint): string[] {
  const suffix = `:${hex(port, 4)}`;
  if (!address.includes(':')) {
    const word = reversed(address.split('.').map(Number));
    return [`${word}${suffix}`, `0000000000000000FFFF0000${word}${suffix}`];
  }
  const [head, tail] = address.split('::').map((part) => part.split(':').filter(Boolean));
  const groups = tail === undefined ? head : [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail];
  const bytes = groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]);
  return [`${[0, 4, 8, 12].map((at) => reversed(bytes.slice(at, at + 4))).join('')}${suffix}`];
}

function reversed(word: readonly number[]): string {
  return [...word].reverse().reduce((text, byte) => text + hex(byte, 2), '');
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

function readTable(name: 'tcp' | 'tcp6'): Promise<string | undefined> {
  return readFile(`/proc/self/net/${name}`, 'latin1').catch(() => undefined);
}
