/**
 * Whether another program serves our addresses: a successor, a standby, or node-cache. The kernel lists the UDP
 * sockets of the host, ours among them. It is asked before link and rules are taken out, since whoever serves needs
 * them, whether we know each other or not.
 */
import { isIPv6 } from 'node:net';

export interface ServedPort {
  readonly addresses: readonly string[];
  readonly port: number;
}

export interface SocketsOfHost {
  /** The text of a file, undefined when it cannot be read. */
  readonly readFile: (path: string) => string | undefined;
  /** The inodes of our own. */
  readonly ownSockets: () => ReadonlySet<number>;
}

/** The address that somebody else has a UDP socket on, undefined when nobody has. One on all addresses does not count. */
export function servedElsewhere(
  { readFile, ownSockets }: SocketsOfHost,
  { addresses, port }: ServedPort,
): string | undefined {
  const own = ownSockets();
  const sockets = ['/proc/net/udp', '/proc/net/udp6'].flatMap((path) => socketsIn(readFile(path)));
  const bound = new Set(sockets.filter(({ inode }) => !own.has(inode)).map(({ at }) => at));
  return addresses.find((address) => bound.has(procEndpoint(address, port)));
}

interface ListedSocket {
  readonly at: string;
  readonly inode: number;
}

function socketsIn(table = ''): ListedSocket[] {
  return table.split('\n').flatMap((line) => {
    const columns = line.trim().split(/\s+/u);
    return columns.length > 9 ? [{ at: columns[1], inode: Number(columns[9]) }] : [];
  });
}

/** As /proc/net/udp writes it: words of 32 bits, each in the machine's byte order, which is little-endian here. */
export function procEndpoint(address: string, port: number): string {
  const bytes = isIPv6(address) ? ipv6Bytes(address) : address.split('.').map(Number);
  const words: string[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    words.push(hex(bytes[at + 3], 2) + hex(bytes[at + 2], 2) + hex(bytes[at + 1], 2) + hex(bytes[at], 2));
  }
  return `${words.join('')}:${hex(port, 4)}`;
}

function ipv6Bytes(address: string): number[] {
  const [head, tail] = address.split('::');
  const groupsOf = (text = ''): number[] =>
    text
      .split(':')
      .filter(Boolean)
      .map((group) => Number.parseInt(group, 16));
  const [first, last] = [groupsOf(head), groupsOf(tail)];
  const groups = [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
  return groups.flatMap((group) => [group >> 8, group & 0xff]);
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
