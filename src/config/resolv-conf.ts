/**
 * resolv.conf (resolv.conf(5)): which name servers it lists, and which file to believe when it lists only ourselves.
 * Functions over text; reading and watching files is done by others.
 */
import { isIP } from 'node:net';
import { resolvConfServersMax } from '../limits.js';
import type { Endpoint } from '../outside/network.js';
import { canonicalAddress } from './addresses.js';

const dnsPort = 53;

/** Where systemd-resolved writes the servers it asks itself. */
export const systemdResolvConf = '/run/systemd/resolve/resolv.conf';

/**
 * The name servers of a resolv.conf's text, in order, without duplicates, at most `resolvConfServersMax`. Lines that
 * are not understood are skipped, as every resolver does.
 */
export function parseResolvConf(text: string): readonly Endpoint[] {
  const addresses = new Set<string>();
  for (const line of text.replace(/^\ufeff/u, '').split(/\r\n|[\r\n]/u)) {
    const [, written] = /^nameserver[ \t]+([^ \t#;]+)/u.exec(line) ?? [];
    const address = written === undefined ? undefined : canonicalAddress(written);
    if (address !== undefined && addresses.size < resolvConfServersMax) addresses.add(address);
  }
  return [...addresses].map((address) => ({ address, port: dnsPort }));
}

export type ResolvConfChoice =
  /** `path` is the file that was believed in the end: watch it and the one asked for. */
  | { readonly ok: true; readonly servers: readonly Endpoint[]; readonly path: string }
  | { readonly ok: false; readonly why: string };

export interface ResolvConfOptions {
  /** The file that `forward` names. */
  readonly path: string;
  /** The text of a file, undefined when it cannot be read. */
  read(path: string): string | undefined;
  /** Our own listen addresses: a server on one of them would ask itself. */
  readonly ownAddresses: readonly string[];
}

/**
 * The servers to ask. Servers that would come back to us (our own addresses and loopback ones, where systemd's stub
 * and other local caches sit that may well forward to us) are left out; if none is left, systemd's own list is
 * tried.
 */
export function chooseServers({ path, read, ownAddresses }: ResolvConfOptions): ResolvConfChoice {
  const text = read(path);
  if (text === undefined) return { ok: false, why: `${path} cannot be read; mount the node's file there.` };
  const listed = parseResolvConf(text);
  if (listed.length === 0) {
    return { ok: false, why: `${path} lists no name server; add a line "nameserver ADDRESS".` };
  }
  const usable = withoutLoops(listed, ownAddresses);
  if (usable.length > 0) return { ok: true, servers: usable, path };
  const behind = path === systemdResolvConf ? undefined : read(systemdResolvConf);
  const servers = behind === undefined ? [] : withoutLoops(parseResolvConf(behind), ownAddresses);
  if (servers.length > 0) return { ok: true, servers, path: systemdResolvConf };
  const names = listed.map(({ address }) => address).join(', ');
  return {
    ok: false,
    why:
      `${path} lists only ${names}, which would ask this host again, and ${systemdResolvConf} has nothing better; ` +
      'name real resolvers in the forward directive.',
  };
}

function withoutLoops(servers: readonly Endpoint[], ownAddresses: readonly string[]): readonly Endpoint[] {
  const own = new Set(ownAddresses.map((address) => canonicalAddress(address) ?? address));
  return servers.filter(({ address }) => !own.has(address) && !isLoopback(address));
}

function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:(?=\d+\.)/u, '');
  if (isIP(plain) === 4) return plain.startsWith('127.') || plain === '0.0.0.0';
  return plain === '::1' || plain === '::';
}
