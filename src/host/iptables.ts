/**
 * Our rules in iptables, listed with iptables-save and changed with iptables-restore, which is atomic per table.
 * Missing rules go to the head of their chain. Duplicates, from two instances that added a rule at once, become one in
 * a single step, so the rule is never absent.
 */
import { ruleRoundsMax, xtablesWaitSeconds } from '../limits.js';
import type { RunCommand } from '../os/commands.js';
import {
  type Family,
  type FoundRule,
  isMarked,
  type Rule,
  type RuleTable,
  readRule,
  ruleFamily,
  ruleKey,
  ruleTables,
  ruleText,
} from './rules.js';
import { failureText, HostError, mustRun, runTool } from './tools.js';

/** These throw a HostError. */
export interface RuleWriter {
  readonly name: string;
  /** Repairs the rules; the number of changes. */
  repair(): Promise<number>;
  /**
   * Removes the rules that bring queries past kube-proxy to us and keeps those that our answers need: a tracked answer
   * to an untracked query may collide with an earlier connection from the same port and be lost.
   */
  divert(): Promise<number>;
  /** Removes all our rules, duplicates included; their number. */
  remove(): Promise<number>;
}

/** The two kinds use different parts of the kernel; `default` is the node's `iptables`. */
export type IptablesBackend = 'nft' | 'legacy' | 'default';

/** `rules`: all wanted ones, of both families. */
export function newIptables(run: RunCommand, rules: readonly Rule[], backend: IptablesBackend): RuleWriter {
  const families = [...new Set(rules.map(ruleFamily))];

  async function inFamilies(change: (family: Family) => Promise<number>): Promise<number> {
    let changed = 0;
    for (const family of families) changed += await change(family);
    return changed;
  }

  return {
    name: backend === 'default' ? 'iptables' : `iptables-${backend}`,
    repair: () =>
      inFamilies((family) => {
        const wanted = rules.filter((rule) => ruleFamily(rule) === family);
        return untilRight(run, program(family, backend), (found) => changesFor(wanted, found));
      }),
    divert: () =>
      inFamilies((family) => {
        const bringing = new Set(rules.filter(isBringing).map(ruleKey));
        const brings = ({ rule }: FoundRule): boolean => bringing.has(ruleKey(rule));
        return untilRight(run, program(family, backend), (found) => found.filter(brings).map(takeOut));
      }),
    remove: () =>
      inFamilies((family) => {
        const addresses = new Set(rules.map(({ address }) => address));
        const ours = ({ rule }: FoundRule): boolean => addresses.has(rule.address);
        return untilRight(run, program(family, backend), (found) => found.filter(ours).map(takeOut));
      }),
  };
}

function isBringing({ table, end }: Rule): boolean {
  return table === 'raw' && end === 'destination';
}

/** `iptables-nft`, `ip6tables-legacy`, `iptables`. */
export function program(family: Family, backend: IptablesBackend): string {
  const name = family === 'ipv4' ? 'iptables' : 'ip6tables';
  return backend === 'default' ? name : `${name}-${backend}`;
}

interface Change {
  readonly table: RuleTable;
  readonly line: string;
}

/**
 * Repeats until nothing is left to change. Another program may have overtaken a failed change; the next listing shows
 * it.
 */
async function untilRight(
  run: RunCommand,
  iptables: string,
  changesFor: (found: readonly FoundRule[]) => readonly Change[],
): Promise<number> {
  let changed = 0;
  let failure: HostError | null = null;
  for (let round = 0; round < ruleRoundsMax; round++) {
    const changes = changesFor(await look(run, iptables));
    if (changes.length === 0) return changed;
    failure = await restore(run, iptables, changes);
    if (failure === null) changed += changes.length;
    else if (failure.errortype === 'iptables_lock') throw failure;
  }
  throw failure ?? new HostError('iptables', `${iptables}: another program keeps changing the rules`);
}

async function look(run: RunCommand, iptables: string): Promise<FoundRule[]> {
  const found: FoundRule[] = [];
  for (const table of ruleTables) {
    const call = { program: `${iptables}-save`, parameters: ['-t', table], keep: isMarked };
    const lines = (await mustRun(run, 'iptables', call)).split('\n');
    found.push(...lines.flatMap((line) => readRule(table, line) ?? []));
  }
  return found;
}

function changesFor(wanted: readonly Rule[], found: readonly FoundRule[]): Change[] {
  return wanted.flatMap((rule) => {
    const copies = found.filter((each) => ruleKey(each.rule) === ruleKey(rule));
    if (copies.length === 1) return [];
    return [...copies.map(takeOut), { table: rule.table, line: `-I ${rule.chain} ${ruleText(rule)}` }];
  });
}

function takeOut({ rule, text }: FoundRule): Change {
  return { table: rule.table, line: `-D ${rule.chain} ${text}` };
}

/** exit(4) is RESOURCE_PROBLEM: the lock is held, or the tables have changed in between. */
const busyStatus = 4;

/**
 * Tables change at their COMMIT, in the order of the lines. An untracked packet must already be accepted, so filter is
 * filled first and emptied last.
 */
async function restore(run: RunCommand, iptables: string, changes: readonly Change[]): Promise<HostError | null> {
  const isFilling = changes.some(({ line }) => line.startsWith('-I '));
  const tables: readonly RuleTable[] = isFilling ? ['filter', 'raw'] : ['raw', 'filter'];
  const input = tables
    .map((table) => ({ table, lines: changes.filter((each) => each.table === table).map(({ line }) => line) }))
    .filter(({ lines }) => lines.length > 0)
    .map(({ table, lines }) => `*${table}\n${lines.join('\n')}\nCOMMIT\n`)
    .join('');
  const call = {
    program: `${iptables}-restore`,
    parameters: ['-w', String(xtablesWaitSeconds), '--noflush'],
    input,
  };
  const end = await runTool(run, call);
  if (end.ran && end.status === 0) return null;
  const isBusy = end.ran && end.status === busyStatus;
  return new HostError(isBusy ? 'iptables_lock' : 'iptables', failureText(call, end));
}
