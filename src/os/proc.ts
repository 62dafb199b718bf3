/**
 * Who shares a port, as /proc/net tells it: the inodes of the sockets that are bound to one endpoint, those of other
 * processes too. In which order they stand in the kernel's group it does not tell.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { procNetBytesMax } from '../limits.js';
import { isIpv6 } from './families.js';
import type { Endpoint } from './network.js';
import { encodeSocketAddress } from './socket-address.js';

export type Protocol = 'udp' | 'tcp';

/** The text of /proc/net/`name` from its beginning, as far as it is needed; undefined when it cannot be read. */
type ReadProcNet = (name: string) => string | undefined;

/** In the column `st`. */
const stateListen = '0A';

/**
 * The inodes of all sockets at this endpoint, without order; TCP's only when they listen. Undefined when the kernel
 * does not tell.
 */
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

/** An endpoint as /proc/net writes it: each 32-bit word of the address in the machine's order, the port in the network's. */
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
 * TCP's table begins with the sockets that listen, and may go on with a hundred thousand connections, which are not
 * read. A table that is longer than the bound tells nothing: who is not in what was read may be in the rest.
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

/** The inodes of all sockets of this process; none where there is no /proc. */
export function ownSockets(): ReadonlySet<number> {
  const inodes = new Set<number>();
  for (const fd of entries('/proc/self/fd')) {
    const inode = /^socket:\[(\d+)\]$/u.exec(target(`/proc/self/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(Number(inode));
  }
  return inodes;
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** It may be closed by now: the one that the folder was read with is. */
function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

const chunkBytes = 16 * 1024;

export interface Ends {
  /** Theirs. */
  readonly remote: Endpoint;
  /** Ours. */
  readonly local: Endpoint;
}

/** What /proc/net/`name` has, a chunk at a time, each borrowed until the next one; nothing when it cannot be read. */
type ReadTable = (name: 'tcp' | 'tcp6') => AsyncIterable<Buffer>;

/** How the tables are read, and how much of them: they have some 150 bytes for each connection of the whole host. */
interface Tables {
  readonly bytesMax: number;
  readonly read?: ReadTable;
}

/**
 * The user id of the socket at the remote end; null where the kernel does not list it as one of a live process, and
 * `too many` where it is not among the first `bytesMax` bytes and there are more.
 */
export async function userOfPeer(
  { remote, local }: Ends,
  { bytesMax, read = readTable }: Tables,
): Promise<number | null | 'too many'> {
  const wanted = textsOf(remote).flatMap((from) => textsOf(local).map((to) => `${from} ${to}`));
  let bytes = 0;
  // Sockets of IPv6 may have IPv4 ends, and not the other way round.
  for (const name of remote.address.includes(':') ? (['tcp6'] as const) : (['tcp', 'tcp6'] as const)) {
    /** Of the last line, what has come. */
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
    // Looked for as text first: taking a line apart costs ten times as much.
    if (!wanted.some((ends) => line.includes(ends))) continue;
    const [, from, to, , , , , user, , inode] = line.trim().split(/\s+/u);
    // A socket that its process has closed has no inode, and says 0 for its user.
    if (wanted.includes(`${from} ${to}`) && inode !== '0') return Number(user);
  }
  return null;
}

/** As the tables write it; an IPv4 end may be an IPv6 socket's (RFC 4291 2.5.5.2). */
function textsOf(end: Endpoint): string[] {
  const { address, port } = end;
  return isIpv6(address)
    ? [endpointText(end)]
    : [endpointText(end), endpointText({ address: `::ffff:${address}`, port })];
}

/** The kernel gives a page or so with each read, whatever is asked for. */
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
