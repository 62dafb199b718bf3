/**
 * Which user of this host is at the other end of a TCP connection over loopback or between the host's own addresses:
 * /proc/net lists that end, too, with the user of its socket. Ends in other namespaces and on other hosts are not there.
 */
import { open } from 'node:fs/promises';
import { isIpv6 } from './families.js';
import type { Endpoint } from './network.js';
import { endpointText } from './proc-net.js';

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
