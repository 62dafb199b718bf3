/**
 * Chooses the rule writer, again after a guess, and removes rules of others, as after a start with another -firewall.
 */
import type { Firewall } from '../config/serve-options.js';
import type { RunCommand } from '../os/commands.js';
import type { Log } from '../os/log.js';
import { type IptablesBackend, newIptables, program, type RuleWriter } from './iptables.js';
import { newNftables } from './nftables.js';
import { type AddressFamily, familyOf, type RulesOptions, rulesOf } from './rules.js';
import { failureText, HostError, runTool } from './tools.js';

/** All of these throw a HostError; `repair` returns a log line when it changed something. */
export interface Rules {
  repair(): Promise<string | null>;
  divert(): Promise<'removed'>;
  remove(): Promise<'removed'>;
}

interface RuleKeeperOptions extends RulesOptions {
  readonly firewall: Exclude<Firewall, 'none'>;
}

interface RuleKeeperDeps extends ChoiceDeps {
  readonly run: RunCommand;
  readonly log: Log;
}

export function newRules(deps: RuleKeeperDeps, wish: RuleKeeperOptions): Rules {
  const { run, log } = deps;
  let chosen: { readonly kind: WriterKind; readonly writer: RuleWriter; readonly isGuess: boolean } | null = null;
  let isFirst = true;

  function writerOf(kind: WriterKind): RuleWriter {
    return kind === 'nftables' ? newNftables(run, wish, log) : newIptables(run, rulesOf(wish), kind);
  }

  async function choose(): Promise<RuleWriter> {
    if (chosen !== null && !chosen.isGuess) return chosen.writer;
    const { writer: kind, isGuess } = await chooseWriter(deps, wish.firewall, wish.addresses);
    if (chosen?.kind !== kind) {
      chosen = { kind, writer: writerOf(kind), isGuess };
      isFirst = true;
    } else chosen = { ...chosen, isGuess };
    return chosen.writer;
  }

  /** The writers that may have rules of ours. A legacy table that does not exist is not listed. */
  function others(kind: WriterKind): WriterKind[] {
    const families = [...new Set(wish.addresses.map(familyOf))];
    const hasLegacy = families.some((family) => hasLegacyTable(deps, family, 'raw'));
    const candidates: readonly WriterKind[] = hasLegacy ? ['nftables', 'nft', 'legacy'] : ['nftables', 'nft'];
    // `default` is one of the two iptables.
    return candidates.filter((each) => each !== kind && (kind !== 'default' || each === 'nftables'));
  }

  async function removeOthers(kind: WriterKind): Promise<void> {
    for (const other of others(kind)) {
      try {
        const writer = writerOf(other);
        const removed = await writer.remove();
        if (removed > 0) log.info(`${writer.name}: removed the rules of an earlier run`);
      } catch (error) {
        // Without the other tool there are no rules of it.
        if (!(error instanceof HostError)) throw error;
        log.debug(error.message);
      }
    }
  }

  return {
    async repair() {
      const writer = await choose();
      const changed = await writer.repair();
      const wasFirst = isFirst;
      isFirst = false;
      if (wasFirst) await removeOthers(chosen!.kind);
      const rules = changed === 1 ? '1 firewall rule' : `${changed} firewall rules`;
      if (changed > 0) return `${writer.name}: ${rules} changed`;
      return wasFirst ? `${writer.name}: the firewall rules are in place` : null;
    },
    async divert() {
      await (chosen?.writer ?? (await choose())).divert();
      return 'removed';
    },
    async remove() {
      await (chosen?.writer ?? (await choose())).remove();
      return 'removed';
    },
  };
}

type WriterKind = 'nftables' | IptablesBackend;

interface Choice {
  readonly writer: WriterKind;
  /** A guess, without a mark of Kubernetes, is repeated. */
  readonly isGuess: boolean;
}

interface ChoiceDeps {
  readonly run: RunCommand;
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
async function hasKubeChains(deps: ChoiceDeps, family: AddressFamily, backend: 'nft' | 'legacy'): Promise<boolean> {
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
export function hasLegacyTable(
  { readFile }: Pick<ChoiceDeps, 'readFile'>,
  family: AddressFamily,
  table: string,
): boolean {
  const names = readFile(family === 'ipv4' ? '/proc/net/ip_tables_names' : '/proc/net/ip6_tables_names') ?? '';
  return names.split('\n').includes(table);
}

async function runs({ run }: ChoiceDeps, name: string): Promise<boolean> {
  const end = await runTool(run, { program: name, parameters: ['--version'] });
  return end.ran && end.status === 0;
}
