/**
 * Chooses the rule writer, again while the choice was a guess, and removes rules of other writers, as after a start
 * with another -firewall.
 */
import type { Firewall } from '../config/serve-options.js';
import type { RunCommand } from '../os/commands.js';
import type { Log } from '../os/log.js';
import { type ChoiceDeps, chooseWriter, hasLegacyTable, type WriterKind } from './firewall.js';
import { newIptables, type RuleWriter } from './iptables.js';
import { newNftables } from './nftables.js';
import { familyOf, type RulesOptions, rulesOf } from './rules.js';
import { HostError } from './tools.js';

export interface Rules {
  /** Repairs the rules; a log line when something changed. Throws a HostError. */
  mend(): Promise<string | null>;
  /** Removes the rules that bring queries to us. Throws a HostError. */
  divert(): Promise<'removed'>;
  /** Removes all rules. Throws a HostError. */
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
    async mend() {
      const writer = await choose();
      const changed = await writer.mend();
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
