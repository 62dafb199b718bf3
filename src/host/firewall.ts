/**
 * Who writes the rules. Kubernetes leaves marks where it writes its own: chains named KUBE-* in one of the two
 * iptables, or a table kube-proxy in nftables. Rules in the other one would work, but a node with both is a node that
 * nobody understands. Where there is no mark (yet) the node's own `iptables` is taken, and looked again next time.
 */
import type { Firewall } from '../config/serve-options.js';
import type { RunCommand } from '../os/commands.js';
import { type IptablesBackend, program } from './iptables.js';
import { type Family, familyOf } from './rules.js';
import { failureText, HostError, runTool } from './tools.js';

export type WriterKind = 'nftables' | IptablesBackend;

interface Choice {
  readonly writer: WriterKind;
  /** Without a mark of Kubernetes it is a guess, to be made again. */
  readonly isGuess: boolean;
}

export interface ChoiceDeps {
  readonly run: RunCommand;
  /** The text of a file, undefined when it cannot be read. */
  readonly readFile: (path: string) => string | undefined;
}

/**
 * Chooses for `-firewall` and these addresses. Throws a HostError where there are tables of iptables-legacy that we
 * may not see, since nobody knows then whether they are those of Kubernetes; all else says itself why it fails.
 */
export async function chooseWriter(
  deps: ChoiceDeps,
  firewall: Exclude<Firewall, 'none'>,
  addresses: readonly string[],
): Promise<Choice> {
  if (firewall === 'nftables') return { writer: 'nftables', isGuess: false };
  if (firewall === 'auto' && (await hasKubeProxyTable(deps))) return { writer: 'nftables', isGuess: false };
  const families = [...new Set(addresses.map(familyOf))];
  for (const backend of ['nft', 'legacy'] as const) {
    for (const family of families) {
      if (await hasKubeChains(deps, family, backend)) return { writer: backend, isGuess: false };
    }
  }
  if (await runs(deps, 'iptables')) return { writer: 'default', isGuess: true };
  const isNftAllThereIs = firewall === 'auto' && (await runs(deps, 'nft'));
  return { writer: isNftAllThereIs ? 'nftables' : 'default', isGuess: true };
}

/** kube-proxy in its nftables mode has a table of this name in each family. */
async function hasKubeProxyTable({ run }: ChoiceDeps): Promise<boolean> {
  const keep = (line: string): boolean => /^table ip6? kube-proxy$/u.test(line);
  const end = await runTool(run, { program: 'nft', parameters: ['list', 'tables'], keep });
  return end.ran && end.status === 0 && end.stdout !== '';
}

/** The kubelet's canary and hint chains are in mangle; old versions have some in filter only. */
async function hasKubeChains(deps: ChoiceDeps, family: Family, backend: 'nft' | 'legacy'): Promise<boolean> {
  for (const table of ['mangle', 'filter']) {
    if (backend === 'legacy' && !hasLegacyTable(deps, family, table)) continue;
    const keep = (line: string): boolean => line.startsWith(':KUBE-');
    const call = { program: `${program(family, backend)}-save`, parameters: ['-t', table], keep };
    const end = await runTool(deps.run, call);
    if (!end.ran) return false;
    if (end.stdout !== '') return true;
    if (backend === 'legacy' && end.status !== 0) throw new HostError('iptables', failureText(call, end));
  }
  return false;
}

/** Only looking at a table of the legacy kind makes the kernel create it. */
export function hasLegacyTable({ readFile }: Pick<ChoiceDeps, 'readFile'>, family: Family, table: string): boolean {
  const names = readFile(family === 'ipv4' ? '/proc/net/ip_tables_names' : '/proc/net/ip6_tables_names') ?? '';
  return names.split('\n').includes(table);
}

async function runs({ run }: ChoiceDeps, name: string): Promise<boolean> {
  const end = await runTool(run, { program: name, parameters: ['--version'] });
  return end.ran && end.status === 0;
}
