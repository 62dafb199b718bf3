/**
 * Our rules in nftables: one table that keeps DNS from being tracked. Its rules look addresses up in sets, so instances
 * with different addresses share the table. A repair is one transaction.
 *
 * Nothing in it accepts packets: an nftables accept does not bind later tables, so where another table drops by policy
 * only that table can admit DNS. The log says so once.
 */
import type { RunCommand } from '../os/commands.js';
import type { Log } from '../os/log.js';
import type { RuleWriter } from './iptables.js';
import { familyOf, type RulesOptions, skipComment } from './rules.js';
import { failureText, HostError, mustRun, runTool } from './tools.js';

const nftTable = 'inet zerohop';
const setNames = ['to4', 'to6', 'from4', 'from6', 'health4', 'health6'] as const;
type SetName = (typeof setNames)[number];

/** The hooks, before tracking, at the priority of the table raw. */
const nftChains: Readonly<Record<string, readonly string[]>> = {
  prerouting: [...lookups('daddr', 'dport', 'to', ['tcp', 'udp'])],
  output: [
    ...lookups('saddr', 'sport', 'from', ['tcp', 'udp']),
    ...lookups('daddr', 'dport', 'to', ['tcp', 'udp']),
    ...lookups('daddr', 'dport', 'health', ['tcp']),
    ...lookups('saddr', 'sport', 'health', ['tcp']),
  ],
};

function lookups(address: string, port: string, set: string, protocols: readonly string[]): string[] {
  return protocols.flatMap((protocol) => [
    `ip ${address} . ${protocol} ${port} @${set}4 notrack comment "${skipComment}"`,
    `ip6 ${address} . ${protocol} ${port} @${set}6 notrack comment "${skipComment}"`,
  ]);
}

export function newNftables(run: RunCommand, wish: RulesOptions, log: Log): RuleWriter {
  const wanted = elementsOf(wish);
  /** The chains as nft prints them right after our write; its versions differ. */
  let chainsWritten: string | null = null;
  let hasLookedForDrops = false;

  async function list(): Promise<string | null> {
    const call = { program: 'nft', parameters: ['-nn', 'list', 'table', ...nftTable.split(' ')] };
    const end = await runTool(run, call);
    if (end.ran && end.status === 0) return end.stdout;
    if (end.ran && end.stderr.includes('No such file or directory')) return null;
    throw new HostError('iptables', failureText(call, end));
  }

  function transaction(lines: readonly string[]): Promise<string> {
    return mustRun(run, 'iptables', { program: 'nft', parameters: ['-f', '-'], input: `${lines.join('\n')}\n` });
  }

  async function sayWhoDrops(): Promise<void> {
    if (hasLookedForDrops) return;
    hasLookedForDrops = true;
    for (const chain of await droppingChains(run)) {
      log.warn(
        `${chain} has policy drop, which other tables cannot override: accept in it UDP and TCP port ` +
          `${wish.dnsPort} to ${wish.addresses.join(', ')}`,
      );
    }
  }

  return {
    name: 'nftables',
    async repair() {
      const listed = await list();
      const found = listed === null ? [] : readElements(listed);
      const missing = wanted.filter((element) => !found.includes(element));
      const areChainsRight = listed !== null && chainsOf(listed) === chainsWritten;
      if (missing.length === 0 && areChainsRight) return 0;
      // With leftovers of another run the chains may only seem wrong.
      const isTakeover = chainsWritten === null && missing.length === 0;
      await transaction([...skeleton(), ...missing.map((element) => `add element ${nftTable} ${element}`)]);
      chainsWritten = chainsOf((await list()) ?? '');
      await sayWhoDrops();
      return isTakeover ? 0 : missing.length + (areChainsRight ? 0 : 1);
    },
    async divert() {
      const found = readElements((await list()) ?? '');
      const bringing = found.filter((element) => element.startsWith('to') && wanted.includes(element));
      if (bringing.length > 0) await transaction(bringing.map((element) => `delete element ${nftTable} ${element}`));
      return bringing.length;
    },
    async remove() {
      const listed = await list();
      if (listed === null) return 0;
      const found = readElements(listed);
      const ours = found.filter((element) => wish.addresses.some((address) => element.includes(`{ ${address} . `)));
      if (ours.length === found.length) await transaction([`delete table ${nftTable}`]);
      else if (ours.length > 0) await transaction(ours.map((element) => `delete element ${nftTable} ${element}`));
      return Math.max(ours.length, 1);
    },
  };
}

/** `to4 { 169.254.20.10 . 53 }`: a set and its element. */
function elementsOf({ addresses, dnsPort, healthPort }: RulesOptions): string[] {
  return addresses.flatMap((address) => {
    const bits = familyOf(address) === 'ipv4' ? '4' : '6';
    const dns = `{ ${address} . ${dnsPort} }`;
    return [`to${bits} ${dns}`, `from${bits} ${dns}`, `health${bits} { ${address} . ${healthPort} }`];
  });
}

function skeleton(): string[] {
  const keyType = (set: SetName): string => (set.endsWith('4') ? 'ipv4_addr' : 'ipv6_addr');
  return [
    `add table ${nftTable}`,
    ...setNames.map((set) => `add set ${nftTable} ${set} { type ${keyType(set)} . inet_service; }`),
    ...Object.entries(nftChains).flatMap(([chain, rules]) => [
      `add chain ${nftTable} ${chain} { type filter hook ${chain} priority -300; policy accept; }`,
      `flush chain ${nftTable} ${chain}`,
      ...rules.map((rule) => `add rule ${nftTable} ${chain} ${rule}`),
    ]),
  ];
}

function readElements(listed: string): string[] {
  return setNames.flatMap((set) => {
    const [, elements = ''] = new RegExp(`set ${set} \\{[^{}]*elements = \\{([^}]*)\\}`, 'u').exec(listed) ?? [];
    return [...elements.matchAll(/(\S+) \. (\d+)/gu)].map(([, address, port]) => `${set} { ${address} . ${port} }`);
  });
}

function chainsOf(listed: string): string {
  return listed.slice(Math.max(0, listed.indexOf('\tchain ')));
}

/** Chains of other tables whose policy drops packets to or from this node. */
async function droppingChains(run: RunCommand): Promise<string[]> {
  const isWorthKeeping = (line: string): boolean => /^table |^\tchain |hook (?:input|output) .*policy drop/u.test(line);
  const end = await runTool(run, { program: 'nft', parameters: ['list', 'chains'], keep: isWorthKeeping });
  if (!end.ran) return [];
  let owner = '';
  let chain = '';
  return end.stdout.split('\n').flatMap((line) => {
    const [, kind, name] = /^\t?(table|chain) (.*?) \{/u.exec(line) ?? [];
    if (kind === 'table') owner = name;
    else if (kind === 'chain') chain = name;
    else if (line.includes('policy drop')) return [`nftables chain ${chain} of table ${owner}`];
    return [];
  });
}
