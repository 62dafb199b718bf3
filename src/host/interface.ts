/**
 * The link with our addresses, through `ip`: a dummy link, or `lo` with one warning on kernels without that driver.
 * Addresses on other links are the host's and stay there.
 */
import type { RunCommand } from '../os/commands.js';
import type { Log } from '../os/log.js';
import { withPrefix } from './rules.js';
import { failureText, HostError, mustRun, runTool } from './tools.js';

interface LinkOptions {
  readonly name: string;
  readonly addresses: readonly string[];
}

/** These throw a HostError. */
export interface InterfaceLink {
  /** Repairs link and addresses; the addresses that were missing, and the link that has them. */
  repair(): Promise<{ readonly missing: readonly string[]; readonly on: string }>;
  /** Removes our dummy link, or else our addresses, also from `lo`. */
  remove(): Promise<'removed'>;
}

interface FoundLink {
  readonly name: string;
  readonly isDummy: boolean;
  readonly isUp: boolean;
  /** With its prefix length: `169.254.20.10/32`. */
  readonly addresses: readonly string[];
}

export function newLink(run: RunCommand, { name, addresses }: LinkOptions, log: Log): InterfaceLink {
  /** Found out once: a running kernel does not gain the dummy driver. */
  let hasNoDummies = false;

  const ip = (...parameters: string[]) => ({ program: 'ip', parameters });

  async function makeLink(): Promise<string> {
    if (hasNoDummies) return 'lo';
    const call = ip('link', 'add', name, 'type', 'dummy');
    const end = await runTool(run, call);
    if (end.ran && (end.status === 0 || /File exists/u.test(end.stderr))) return name;
    if (!end.ran || !/Unknown device type|Operation not supported|not supported/u.test(end.stderr)) {
      throw new HostError('interface_add', failureText(call, end));
    }
    hasNoDummies = true;
    log.warn(
      `dummy interfaces unavailable (${end.stderr.trim().replace(/^Error: |\.$/gu, '')}); using lo for ${addresses.join(', ')}`,
    );
    return 'lo';
  }

  return {
    async repair() {
      const links = await readLinks(run);
      const there = new Set(links.flatMap((link) => link.addresses.map((each) => each.split('/')[0])));
      const missing = addresses.filter((address) => !there.has(address));
      const own = links.find((link) => link.name === name);
      if (missing.length === 0 && own?.isUp !== false) return { missing, on: own === undefined ? 'lo' : name };
      const on = own === undefined ? await makeLink() : name;
      await mustRun(run, 'interface_add', ip('link', 'set', 'dev', on, 'up'));
      for (const address of missing) {
        const now = address.includes(':') ? ['nodad'] : [];
        await mustRun(run, 'interface_add', ip('address', 'replace', withPrefix(address), 'dev', on, ...now));
      }
      return { missing, on };
    },
    async remove() {
      const links = await readLinks(run);
      for (const link of links.filter((each) => each.name === name || each.name === 'lo')) {
        if (link.name === name && link.isDummy) {
          await mustRun(run, 'interface_add', ip('link', 'delete', 'dev', name));
          continue;
        }
        for (const address of addresses.map(withPrefix).filter((each) => link.addresses.includes(each))) {
          await mustRun(run, 'interface_add', ip('address', 'delete', address, 'dev', link.name));
        }
      }
      return 'removed';
    },
  };
}

interface IpLink {
  readonly ifname?: unknown;
  readonly flags?: readonly unknown[];
  readonly linkinfo?: { readonly info_kind?: unknown };
  readonly addr_info?: readonly { readonly local?: unknown; readonly prefixlen?: unknown }[];
}

async function readLinks(run: RunCommand): Promise<FoundLink[]> {
  const call = { program: 'ip', parameters: ['-json', '-details', 'address', 'show'] };
  const text = await mustRun(run, 'interface_check', call);
  try {
    return (JSON.parse(text) as IpLink[]).map(({ ifname, flags, linkinfo, addr_info: found }) => ({
      name: String(ifname),
      isDummy: linkinfo?.info_kind === 'dummy',
      isUp: flags?.includes('UP') === true,
      addresses: (found ?? []).map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    }));
  } catch {
    throw new HostError(
      'interface_check',
      `ip did not print JSON; is iproute2 installed? It printed: ${text.slice(0, 80)}`,
    );
  }
}
