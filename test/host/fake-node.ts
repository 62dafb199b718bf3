/**
 * A node's programs in memory: `ip`, both iptables, nft, as far as we use them, with the words of the real ones.
 * Tests look at the node, change it by hand, take tools away or let them fail.
 */
import type { Command, CommandEnd, RunCommand } from '../../src/os/commands.js';

export interface FakeLink {
  kind: 'dummy' | 'loopback' | 'ether';
  up: boolean;
  addresses: string[];
}

export interface FakeNode {
  readonly run: RunCommand;
  /** Command lines so far, without their input. */
  readonly ran: string[];
  readonly links: Map<string, FakeLink>;
  /** Rules by `iptables-nft raw`, `ip6tables-legacy filter`: lines behind `-A `; chains of others begin with `:`. */
  readonly rules: Map<string, string[]>;
  /** The table of ours in nftables: chains, and elements by set; null when there is none. */
  nft: { chains: Map<string, string[]>; elements: string[] } | null;
  /** What `nft list tables` and `nft list chains` print beside ours. */
  nftTables: string;
  nftChains: string;
  hasDummies: boolean;
  /** Programs that are not installed; `iptables` without suffix is iptables-nft. */
  readonly missing: Set<string>;
  /** What a program does instead, once for each entry, by the beginning of its command line. */
  readonly instead: { start: string; end: CommandEnd }[];
  /** Runs before a command takes effect: another program that is quicker. */
  before: ((command: Command) => void) | null;
}

export const worked = (stdout = ''): CommandEnd => ({ ran: true, status: 0, stdout, stderr: '' });
export const failed = (status: number, stderr: string): CommandEnd => ({ ran: true, status, stdout: '', stderr });

export function newFakeNode(): FakeNode {
  const node: FakeNode = {
    run: async (command) => runOn(node, command),
    ran: [],
    links: new Map([['lo', { kind: 'loopback', up: true, addresses: ['127.0.0.1/8', '::1/128'] }]]),
    rules: new Map(),
    nft: null,
    nftTables: '',
    nftChains: '',
    hasDummies: true,
    missing: new Set(),
    instead: [],
    before: null,
  };
  return node;
}

function runOn(node: FakeNode, command: Command): CommandEnd {
  const { program, parameters } = command;
  const line = [program, ...parameters].join(' ');
  node.ran.push(line);
  const at = node.instead.findIndex(({ start }) => line.startsWith(start));
  if (at >= 0) return node.instead.splice(at, 1)[0].end;
  if (node.missing.has(program)) return { ran: false, why: 'missing', text: `${program} is not installed` };
  node.before?.(command);
  const end =
    program === 'ip' ? ip(node, parameters) : program === 'nft' ? nft(node, command) : iptables(node, command);
  if (!end.ran || command.keep === undefined) return end;
  return { ...end, stdout: end.stdout.split('\n').filter(command.keep).join('\n') };
}

function ip(node: FakeNode, words: readonly string[]): CommandEnd {
  if (words[0] === '-json') return worked(JSON.stringify([...node.links].map(ipLink)));
  const [object, verb, third] = words;
  if (object === 'link' && verb === 'add') {
    if (!node.hasDummies) return failed(2, 'Error: Unknown device type.\n');
    if (node.links.has(third)) return failed(2, 'RTNETLINK answers: File exists\n');
    node.links.set(third, { kind: 'dummy', up: false, addresses: [] });
    return worked();
  }
  const name = words[words.indexOf('dev') + 1];
  const link = node.links.get(name);
  if (link === undefined) return failed(1, `Cannot find device "${name}"\n`);
  if (object === 'link' && verb === 'set') link.up = true;
  else if (object === 'link') node.links.delete(name);
  else if (verb === 'replace') link.addresses = [...link.addresses.filter((each) => each !== third), third];
  else if (!link.addresses.includes(third)) return failed(2, 'RTNETLINK answers: Cannot assign requested address\n');
  else link.addresses = link.addresses.filter((each) => each !== third);
  return worked();
}

function ipLink([ifname, { kind, up, addresses }]: [string, FakeLink]): object {
  return {
    ifname,
    flags: up ? ['UP', 'LOWER_UP'] : [],
    ...(kind === 'dummy' ? { linkinfo: { info_kind: 'dummy' } } : {}),
    addr_info: addresses.map((each) => ({ local: each.split('/')[0], prefixlen: Number(each.split('/')[1]) })),
  };
}

function iptables(node: FakeNode, { program, parameters, input = '' }: Command): CommandEnd {
  if (parameters[0] === '--version') return worked('iptables v1.8.9 (nf_tables)\n');
  const [, name, backend = 'nft', verb] = /^(ip6?tables)(?:-(nft|legacy))?-(save|restore)$/.exec(program) ?? [];
  const key = (table: string): string => `${name}-${backend} ${table}`;
  if (verb === 'save') {
    const table = parameters[1];
    const lines = (node.rules.get(key(table)) ?? []).map((line) => (line.startsWith(':') ? line : `-A ${line}`));
    return worked(`*${table}\n${lines.join('\n')}\nCOMMIT\n`);
  }
  for (const [, table, text] of input.matchAll(/\*(\w+)\n([\s\S]*?)COMMIT\n/g)) {
    const rules = [...(node.rules.get(key(table)) ?? [])];
    for (const [index, line] of text.trim().split('\n').entries()) {
      const rule = line.slice(3);
      if (line.startsWith('-I ')) rules.unshift(rule);
      else if (rules.includes(rule)) rules.splice(rules.indexOf(rule), 1);
      else
        return failed(
          1,
          `${program}: line ${index + 2} failed: Bad rule (does a matching rule exist in that chain?).\n`,
        );
    }
    node.rules.set(key(table), rules);
  }
  return worked();
}

function nft(node: FakeNode, { parameters, input = '' }: Command): CommandEnd {
  const line = parameters.join(' ');
  if (line === '--version') return worked('nftables v1.0.6\n');
  if (line === 'list tables') return worked(node.nftTables);
  if (line === 'list chains') return worked(node.nftChains);
  if (line.startsWith('-nn list table')) {
    return node.nft === null ? failed(1, 'Error: No such file or directory\n') : worked(listed(node.nft));
  }
  const next = node.nft === null ? null : { chains: new Map(node.nft.chains), elements: [...node.nft.elements] };
  node.nft = input.trim().split('\n').reduce(applied, next);
  return worked();
}

function applied(table: FakeNode['nft'], line: string): FakeNode['nft'] {
  const [, verb, object, rest] = /^(\w+) (\w+) inet zerohop ?(.*)$/.exec(line) ?? [];
  if (object === 'table') return verb === 'delete' ? null : (table ?? { chains: new Map(), elements: [] });
  if (table === null) throw new Error(`${line}: there is no table`);
  const [name] = rest.split(' ');
  if (object === 'chain' && verb === 'flush') table.chains.set(name, []);
  else if (object === 'chain') table.chains.set(name, table.chains.get(name) ?? []);
  else if (object === 'rule') table.chains.get(name)?.push(rest.slice(name.length + 1));
  else if (object === 'element') {
    table.elements = table.elements.filter((each) => each !== rest);
    if (verb === 'add') table.elements.push(rest);
  }
  return table;
}

function listed({ chains, elements }: NonNullable<FakeNode['nft']>): string {
  const sets = ['to4', 'to6', 'from4', 'from6', 'health4', 'health6'].map((set) => {
    const its = elements.filter((each) => each.startsWith(`${set} `)).map((each) => each.slice(set.length + 3, -2));
    const text = its.length === 0 ? '' : `\n\t\telements = { ${its.join(',\n\t\t\t     ')} }`;
    return `\tset ${set} {\n\t\ttype ipv4_addr . inet_service${text}\n\t}\n`;
  });
  const bodies = [...chains].map(([name, rules]) => `\tchain ${name} {\n\t\t${rules.join('\n\t\t')}\n\t}\n`);
  return `table inet zerohop {\n${sets.join('\n')}\n${bodies.join('\n')}}\n`;
}
