/**
 * What /proc says about sockets: which ones are bound to an endpoint, which are ours, and whose the peer of a
 * connection is. It does not tell the order of sockets in a reuseport group.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { procNetBytesMax } from '../limits.js';
import { encodeSocketAddress, isIpv6 } from './addresses.js';
import type { Endpoint } from './network.js';

export type Protocol = 'udp' | 'tcp';

/** The part of /proc/net/`name` that is needed; undefined when it cannot be read. */
type ReadProcNet = (name: string) => string | undefined;

/** Column `st`. */
const stateListen = '0A';

/** The inodes of all sockets at an endpoint, unordered, for TCP listening ones only; undefined when unknown. */
export function socketsAt(protocol: Protocol, at: Endpoint, read: ReadProcNet = readProcNet): number[] | undefined {
  const text = read(isIpv6(at.address) ? `${protocol}6` : protocol);
  if (text === undefined) return undefined;
  const wanted = endpointText(at);
  const inodes: number[] = [];
  for (const line of text.split('\n')) {
    const columns = line.trim().split(/\s+/);
    if (columns[1] !== wanted || (protocol === 'tcp' && columns[3] !== stateListen)) continue;
    inodes.push(Number(columns[9]));
  }
  return inodes;
}

/** The interfaces over which the default routes lead. `read` gives a file of /proc; undefined when it cannot. */
export function defaultRouteInterfaces(read: (path: string) => string | undefined): readonly string[] {
  const rows = (name: string): string[][] =>
    (read(`/proc/self/net/${name}`) ?? '').split('\n').map((line) => line.trim().split(/\s+/));
  const zero = /^0+$/;
  return [
    ...rows('route').flatMap(([name, to, , , , , , mask]) => (zero.test(to) && zero.test(mask) ? [name] : [])),
    // lo has the route that rejects.
    ...rows('ipv6_route').flatMap((row) => (zero.test(row[0]) && row[1] === '00' && row[9] !== 'lo' ? [row[9]] : [])),
  ];
}

/** As /proc/net writes it: each 32-bit word of the address in host order, the port in network order. */
function endpointText(at: Endpoint): string {
  const bytes = encodeSocketAddress(at);
  const address = isIpv6(at.address) ? bytes.subarray(8, 24) : bytes.subarray(4, 8);
  let text = '';
  for (let word = 0; word < address.length; word += 4) {
    for (let byte = 3; byte >= 0; byte--) text += hex(address[word + byte], 2);
  }
  return `${text}:${hex(at.port, 4)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

/**
 * TCP's table begins with listening sockets; up to a hundred thousand connections after them are not read. A table
 * longer than the bound tells nothing, because any socket may be in the rest.
 */
function readProcNet(name: string): string | undefined {
  const chunk = Buffer.allocUnsafe(64 * 1024);
  let text = '';
  let file: number | undefined;
  try {
    file = openSync(`/proc/self/net/${name}`, 'r');
    for (;;) {
      const bytes = readSync(file, chunk);
      if (bytes === 0) return text;
      text += chunk.toString('latin1', 0, bytes);
      const lastLine = text.slice(text.lastIndexOf('\n', text.length - 2) + 1);
      if (name.startsWith('tcp') && lastLine.trim().split(/\s+/)[3] !== stateListen) return text;
      if (text.length >= procNetBytesMax) return undefined;
    }
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** The inodes of all sockets of this process; none without /proc. */
export function ownSockets(): ReadonlySet<number> {
  const inodes = new Set<number>();
  for (const fd of procEntries('/proc/self/fd')) {
    const inode = /^socket:\[(\d+)\]$/u.exec(target(`/proc/self/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(Number(inode));
  }
  return inodes;
}

function procEntries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The descriptor may be closed by now, as the one for reading the folder is. */
function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

const chunkBytes = 16 * 1024;

export interface Ends {
  readonly remote: Endpoint;
  readonly local: Endpoint;
}

/** /proc/net/`name` in chunks, each borrowed until the next; empty when it cannot be read. */
type ReadTable = (name: 'tcp' | 'tcp6') => AsyncIterable<Buffer>;

/** A table has about 150 bytes for each connection of the host. */
interface SocketTables {
  readonly bytesMax: number;
  readonly read?: ReadTable;
}

/**
 * The user id of the socket at the remote end of a connection over loopback or between the host's own addresses; null
 * when no live process here has it, `too many` when more than `bytesMax` bytes would have to be read.
 */
export async function userOfPeer(
  { remote, local }: Ends,
  { bytesMax, read = readTable }: SocketTables,
): Promise<number | null | 'too many'> {
  const wanted = textsOf(remote).flatMap((from) => textsOf(local).map((to) => `${from} ${to}`));
  let bytes = 0;
  // IPv6 sockets may have IPv4 ends, not the other way round.
  for (const name of remote.address.includes(':') ? (['tcp6'] as const) : (['tcp', 'tcp6'] as const)) {
    let rest = '';
    for await (const chunk of read(name)) {
      bytes += chunk.length;
      if (bytes > bytesMax) return 'too many';
      const lines = (rest + chunk.toString('latin1')).split('\n');
      rest = lines.pop()!;
      const user = userIn(lines, wanted);
      if (user !== null) return user;
    }
    const user = userIn([rest], wanted);
    if (user !== null) return user;
  }
  return null;
}

function userIn(lines: readonly string[], wanted: readonly string[]): number | null {
  for (const line of lines) {
    // Text search first: parsing a line costs ten times as much.
    if (!wanted.some((ends) => line.includes(ends))) continue;
    const [, from, to, , , , , user, , inode] = line.trim().split(/\s+/u);
    // A socket that its process has closed has inode 0, and user 0.
    if (wanted.includes(`${from} ${to}`) && inode !== '0') return Number(user);
  }
  return null;
}

/** An IPv4 end may be on an IPv6 socket (RFC 4291 2.5.5.2). */
function textsOf(end: Endpoint): string[] {
  const { address, port } = end;
  return isIpv6(address)
    ? [endpointText(end)]
    : [endpointText(end), endpointText({ address: `::ffff:${address}`, port })];
}

async function* readTable(name: 'tcp' | 'tcp6'): AsyncGenerator<Buffer> {
  const file = await open(`/proc/self/net/${name}`).catch(() => undefined);
  if (file === undefined) return;
  const chunk = Buffer.allocUnsafe(chunkBytes);
  try {
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunkBytes, null).catch(() => ({ bytesRead: 0 }));
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/**
 * The most memory that this process may take with those of its control group (cgroups(7), version 2, else 1); null: there
 * is no limit, or nobody tells.
 */
export function memoryLimitBytes(read: (path: string) => string | undefined): number | null {
  const groups = read('/proc/self/cgroup') ?? '';
  const [own, ofMemory] = [/^0::(.*)$/mu, /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/mu].map(
    (of) => of.exec(groups)?.[1],
  );
  const root = '/sys/fs/cgroup';
  // In a container the path may be that of the host, and the limit in the root.
  const files = [`${root}${own}/memory.max`, `${root}/memory.max`, `${root}/memory${ofMemory}/memory.limit_in_bytes`];
  for (const file of [...files, `${root}/memory/memory.limit_in_bytes`]) {
    const text = read(file)?.trim();
    if (text === undefined) continue;
    const bytes = Number(text);
    return bytes > 0 && bytes < unlimitedBytes ? bytes : null;
  }
  return null;
}

/** Version 1 writes no limit as the largest number of pages. */
const unlimitedBytes = 2 ** 60;
