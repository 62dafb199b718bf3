/**
 * resolv.conf (resolv.conf(5)): which name servers and search domains it lists, and which file to believe when it lists only ourselves.
 * Functions over text; reading and watching files is done by others.
 */
import { resolvConfServersMax } from '../limits.js';
import type { Endpoint } from '../os/network.js';
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
    const [, written] = /^[ \t]*nameserver[ \t]+([^ \t#;]+)/u.exec(line) ?? [];
    const address = written === undefined ? undefined : canonicalAddress(written);
    if (address !== undefined && addresses.size < resolvConfServersMax) addresses.add(address);
  }
  return [...addresses].map((address) => ({ address, port: dnsPort }));
}

/** The search domains of a resolv.conf's text as they are written: of several `search` and `domain` the last counts. */
export function parseSearchPath(text: string): readonly string[] {
  const lines = text.replace(/^\ufeff/u, '').split(/\r\n|[\r\n]/u);
  const last = lines.findLast((line) => /^(?:search|domain)[ \t]/u.test(line)) ?? '';
  return last
    .replace(/[#;].*$/u, '')
    .split(/[ \t]+/u)
    .slice(1)
    .filter((domain) => domain !== '');
}

/** systemd-resolved's stub listeners. */
const systemdStubs = ['127.0.0.53', '127.0.0.54'];
/** As a destination this is the host itself. */
const unspecified = ['0.0.0.0', '::'];

type ResolvConfChoice =
  /** `path` is the file that was believed in the end: watch it and the one asked for. */
  | { readonly ok: true; readonly servers: readonly Endpoint[]; readonly path: string }
  | { readonly ok: false; readonly why: string };

interface ResolvConfOptions {
  /** The file that `forward` names. */
  readonly path: string;
  /** The text of a file, undefined when it cannot be read. */
  read(path: string): string | undefined;
  /** Addresses on which we serve port 53 ourselves; `::` and `0.0.0.0` stand for all of the host. */
  readonly ownAddresses: readonly string[];
}

/**
 * The servers to ask. Servers that would come back to us are left out: our own addresses, and systemd's stub, which
 * asks the node's resolvers and these may be us. If none is left, systemd's own list is tried. Another resolver on
 * a loopback address is somebody's choice and stays.
 */
export function chooseServers({ path, read, ownAddresses }: ResolvConfOptions): ResolvConfChoice {
  const text = read(path);
  if (text === undefined) return { ok: false, why: `${path}: cannot be read; mount the node's file there.` };
  const listed = parseResolvConf(text);
  if (listed.length === 0) {
    return { ok: false, why: `${path}: no nameserver line; add "nameserver ADDRESS".` };
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
      `${path} lists only ${names}, which loop back to this host, and ${systemdResolvConf} lists nothing else; ` +
      'name real resolvers in the forward directive.',
  };
}

function withoutLoops(servers: readonly Endpoint[], ownAddresses: readonly string[]): readonly Endpoint[] {
  const own = new Set(ownAddresses.map((address) => canonicalAddress(address) ?? address));
  const servesAll = own.has('::') || own.has('0.0.0.0');
  return servers.filter(({ address }) => {
    if (own.has(address) || systemdStubs.includes(address) || unspecified.includes(address)) return false;
    return !(servesAll && (address === '::1' || address.startsWith('127.')));
  });
}
