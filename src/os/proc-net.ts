/**
 * Who shares a port, as /proc/net tells it: the inodes of the sockets that are bound to one endpoint, those of other
 * processes too. In which order they stand in the kernel's group it does not tell.
 */
import { closeSync, openSync, readSync } from 'node:fs';
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
export function endpointText(at: Endpoint): string {
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
