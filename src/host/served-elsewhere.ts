/**
 * Whether another program serves our addresses: a successor, a standby, or node-cache. The kernel lists the UDP
 * sockets of the host; ours must be closed by then. It is asked before link and rules are taken out, since whoever
 * serves needs them, whether we know each other or not.
 */
import { isIPv6 } from 'node:net';

export interface ServedPort {
  readonly addresses: readonly string[];
  readonly port: number;
}

/** The address that somebody has a UDP socket on, undefined when nobody has. Sockets on all addresses do not count. */
export function servedElsewhere(
  readFile: (path: string) => string | undefined,
  { addresses, port }: ServedPort,
): string | undefined {
  const bound = new Set([...boundIn(readFile('/proc/net/udp')), ...boundIn(readFile('/proc/net/udp6'))]);
  return addresses.find((address) => bound.has(procEndpoint(address, port)));
}

function boundIn(table = ''): string[] {
  return table.split('\n').flatMap((line) => /^\s*\d+: ([0-9A-F]+:[0-9A-F]{4}) /u.exec(line)?.[1] ?? []);
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
