/**
 * resolv.conf(5): its name servers and search domains, and which file to use if it lists only this server. Functions over
 * text, which read and watch no files.
 */
import { resolvConfServersMax } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import { canonicalAddress, dnsPort } from './addresses.js';

/** systemd-resolved writes its upstreams here. */
export const systemdResolvConf = '/run/systemd/resolve/resolv.conf';

/**
 * The name servers of a resolv.conf's text, in order, without duplicates, at most `resolvConfServersMax`. Unknown lines are
 * skipped, as in every resolver.
 */
export function parseResolvConf(text: string): readonly Endpoint[] {
  const addresses = new Set<string>();
  for (const line of linesOf(text)) {
    const [, written] = /^[ \t]*nameserver[ \t]+([^ \t#;]+)/u.exec(line) ?? [];
    const address = written === undefined ? undefined : canonicalAddress(written);
    if (address !== undefined && addresses.size < resolvConfServersMax) addresses.add(address);
  }
  return [...addresses].map((address) => ({ address, port: dnsPort }));
}

function linesOf(text: string): string[] {
  return text.replace(/^\ufeff/u, '').split(/\r\n|[\r\n]/u);
}

/** The search domains of a resolv.conf's text as written: of several `search` and `domain` the last counts. */
export function parseSearchPath(text: string): readonly string[] {
  const last = linesOf(text).findLast((line) => /^(?:search|domain)[ \t]/u.test(line)) ?? '';
  return last
    .replace(/[#;].*$/u, '')
    .split(/[ \t]+/u)
    .slice(1)
    .filter((domain) => domain !== '');
}

/** systemd-resolved's stub listeners. */
const systemdStubs = ['127.0.0.53', '127.0.0.54'];
/** As a destination they are the host itself. */
const unspecified = ['0.0.0.0', '::'];

type ResolvConfChoice =
  /** `path` is the file in use: it is watched, and the one of `forward`. */
  | { readonly ok: true; readonly servers: readonly Endpoint[]; readonly path: string }
  | { readonly ok: false; readonly why: string };

interface ResolvConfOptions {
  /** The file of `forward`. */
  readonly path: string;
  /** Undefined: the file is unreadable. */
  read(path: string): string | undefined;
  /** Addresses of our listeners on port 53; `::` and `0.0.0.0` stand for all of the host. */
  readonly ownAddresses: readonly string[];
}

/**
 * The servers to ask, without those that may loop: our own addresses, and systemd's stub, whose upstream may be this
 * server. If none is left, systemd's own list is tried. Other resolvers on loopback addresses are deliberate and stay.
 */
export function chooseServers({ path, read, ownAddresses }: ResolvConfOptions): ResolvConfChoice {
  const text = read(path);
  if (text === undefined) return { ok: false, why: `${path}: cannot be read; mount the node's file there.` };
  const listed = parseResolvConf(text);
  if (listed.length === 0) return { ok: false, why: `${path}: no nameserver line; add "nameserver ADDRESS".` };
  const usable = withoutLoops(listed, ownAddresses);
  if (usable.length > 0) return { ok: true, servers: usable, path };
  const behind = path === systemdResolvConf ? undefined : read(systemdResolvConf);
  const servers = behind === undefined ? [] : withoutLoops(parseResolvConf(behind), ownAddresses);
  if (servers.length > 0) return { ok: true, servers, path: systemdResolvConf };
  const names = listed.map(({ address }) => address).join(', ');
  return {
    ok: false,
    why:
      `${path} lists only addresses of this host (${names}), and ${systemdResolvConf} lists nothing else; ` +
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
