/**
 * Tables of /proc and of control groups as the checks of the node read them: functions over text. What does not parse is
 * left out, and a table that is cut at its end loses one row.
 */
import { canonicalAddress } from '../config/addresses.js';

export interface SocketRow {
  readonly address: string;
  readonly port: number;
  readonly user: number;
  readonly inode: number;
  /** `0A` of a listening TCP socket. */
  readonly state: string;
  /** Datagrams that found the receive queue full; 0 for TCP. */
  readonly drops: number;
}

/** /proc/net/udp, udp6, tcp, tcp6. */
export function parseSocketRows(text: string): SocketRow[] {
  return text.split('\n').flatMap((line) => {
    const columns = line.trim().split(/\s+/u);
    const [, local = '', , state = '', , , , user, , inode] = columns;
    const [, hex, port] = /^((?:[0-9A-F]{8}){1,4}):([0-9A-F]{4})$/u.exec(local) ?? [];
    const address = hex === undefined ? undefined : addressOfHex(hex);
    if (address === undefined || !/^\d+$/u.test(user ?? '') || !/^\d+$/u.test(inode ?? '')) return [];
    const drops = Number(columns[12] ?? 0) || 0;
    return [{ address, port: Number.parseInt(port, 16), user: Number(user), inode: Number(inode), state, drops }];
  });
}

/** Each 32-bit word is in the order of the host, which is little-endian on every machine that we run on. */
function addressOfHex(hex: string): string | undefined {
  const bytes = hex.match(/.{8}/gu)!.flatMap((word) => word.match(/../gu)!.reverse());
  if (bytes.length === 4) return bytes.map((byte) => Number.parseInt(byte, 16)).join('.');
  if (bytes.length !== 16) return undefined;
  const groups = Array.from({ length: 8 }, (_, group) => bytes[2 * group] + bytes[2 * group + 1]);
  return canonicalAddress(groups.join(':'));
}

/** /proc/net/stat/nf_conntrack: the sum of each column over all processors, by its name. */
export function parseConntrackStat(text: string): ReadonlyMap<string, number> {
  const [head = '', ...rows] = text.trim().split('\n');
  const names = head.trim().split(/\s+/u);
  const sums = new Map<string, number>();
  for (const row of rows) {
    for (const [index, value] of row.trim().split(/\s+/u).entries()) {
      if (index >= names.length || !/^[0-9a-f]{1,16}$/iu.test(value)) continue;
      sums.set(names[index], (sums.get(names[index]) ?? 0) + Number.parseInt(value, 16));
    }
  }
  return sums;
}

/** /proc/net/softnet_stat: packets that found the queue of their processor full. */
export function parseSoftnetDrops(text: string): number {
  return text.split('\n').reduce((sum, line) => {
    const dropped = line.trim().split(/\s+/u)[1] ?? '';
    return sum + (/^[0-9a-f]{8}$/iu.test(dropped) ? Number.parseInt(dropped, 16) : 0);
  }, 0);
}

/** A counter of the line `Udp:` in /proc/net/snmp; undefined when it is not there. */
export function snmpUdp(text: string, name: string): number | undefined {
  const [names, values] = text.split('\n').filter((line) => line.startsWith('Udp:'));
  const index = (names ?? '').split(' ').indexOf(name);
  const value = Number((values ?? '').split(' ')[index]);
  return index > 0 && Number.isFinite(value) ? value : undefined;
}

export interface TrackedFlow {
  readonly protocol: 'udp' | 'tcp';
  readonly from: string;
  readonly to: string;
}

/**
 * The flows to port `port` in pieces of /proc/net/nf_conntrack, by their first direction, handed over one by one: the table
 * may have a million rows.
 */
export function eachFlowTo(port: number, pieces: readonly Uint8Array[], met: (flow: TrackedFlow) => void): void {
  const wanted = ` dport=${port} `;
  const shape = /^ipv[46]\s+\d+\s+(udp|tcp)\s.*?src=(\S+) dst=(\S+) sport=\d+ dport=(\d+) /u;
  let rest = '';
  const look = (line: string): void => {
    // Text search first: most rows are about other ports.
    if (!line.includes(wanted)) return;
    const [, protocol, from, to, dport] = shape.exec(line) ?? [];
    // The other direction may have the port, as with a client's port 53.
    if (protocol === undefined || Number(dport) !== port) return;
    met({
      protocol: protocol === 'udp' ? 'udp' : 'tcp',
      from: canonicalAddress(from) ?? from,
      to: canonicalAddress(to) ?? to,
    });
  };
  for (const piece of pieces) {
    const lines = (rest + Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('latin1')).split('\n');
    rest = lines.pop()!;
    for (const line of lines) look(line);
  }
  look(rest);
}

/** Whether /proc/net/ipv6_route has a default route that leads out of the node. */
export function hasIpv6Route(text: string): boolean {
  return text.split('\n').some((line) => {
    const row = line.trim().split(/\s+/u);
    return /^0{32}$/u.test(row[0]) && row[1] === '00' && row[9] !== undefined && row[9] !== 'lo';
  });
}

/** A number of a `name value` file, as memory.stat and memory.events are; undefined when it is not there. */
export function keyedNumber(text: string | undefined, name: string): number | undefined {
  const [, value] = new RegExp(`^${name} (\\d+)$`, 'mu').exec(text ?? '') ?? [];
  return value === undefined ? undefined : Number(value);
}

/** A file with one number; undefined for others, as `max`. */
export function soleNumber(text: string | undefined): number | undefined {
  const trimmed = (text ?? '').trim();
  return /^\d{1,20}$/u.test(trimmed) ? Number(trimmed) : undefined;
}

/** The first two numbers of `6.1.0-18-amd64`; undefined when it is no version. */
export function kernelVersion(release: string): { readonly major: number; readonly minor: number } | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/u.exec(release.trim()) ?? [];
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor) };
}
