/**
 * Chooses the rule writer. Kubernetes' own rules show which one the node uses: chains KUBE-* in one of the two
 * iptables, or a table kube-proxy in nftables. Rules elsewhere would work, but a node with both confuses people.
 * Without such a mark the node's `iptables` is used, and the choice repeated.
 */
import type { Firewall } from '../config/serve-options.js';
import type { RunCommand } from '../os/commands.js';
import { type IptablesBackend, program } from './iptables.js';
import { type Family, familyOf } from './rules.js';
import { failureText, HostError, runTool } from './tools.js';

export type WriterKind = 'nftables' | IptablesBackend;

interface Choice {
  readonly writer: WriterKind;
  /** A guess, without a mark of Kubernetes, is repeated. */
  readonly isGuess: boolean;
}

export interface ChoiceDeps {
  readonly run: RunCommand;
  /** The text of a file, undefined when it cannot be read. */
  readonly readFile: (path: string) => string | undefined;
}

/**
 * Chooses for `-firewall` and these addresses. Throws a HostError when tables of iptables-legacy exist that we may not
 * read, because they may be those of Kubernetes; other failures show when the writer runs.
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

/** kube-proxy's table in nftables mode, one per family. */
async function hasKubeProxyTable({ run }: ChoiceDeps): Promise<boolean> {
  const keep = (line: string): boolean => /^table ip6? kube-proxy$/u.test(line);
  const end = await runTool(run, { program: 'nft', parameters: ['list', 'tables'], keep });
  return end.ran && end.status === 0 && end.stdout !== '';
}

/** The kubelet's canary and hint chains are in mangle, those of old versions only in filter. */
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

/** Merely listing a legacy table makes the kernel create it. */
export function hasLegacyTable({ readFile }: Pick<ChoiceDeps, 'readFile'>, family: Family, table: string): boolean {
  const names = readFile(family === 'ipv4' ? '/proc/net/ip_tables_names' : '/proc/net/ip6_tables_names') ?? '';
  return names.split('\n').includes(table);
}

async function runs({ run }: ChoiceDeps, name: string): Promise<boolean> {
  const end = await runTool(run, { program: name, parameters: ['--version'] });
  return end.ran && end.status === 0;
}
