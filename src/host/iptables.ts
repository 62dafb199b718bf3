/**
 * Our rules in iptables, listed with iptables-save and changed with iptables-restore, which is atomic per table.
 * Missing rules go to the head of their chain. Duplicates, from two instances that added a rule at once, become one in
 * a single step, so the rule is never absent.
 */
import { ruleRoundsMax, xtablesWaitSeconds } from '../limits.js';
import type { RunCommand } from '../os/commands.js';
import {
  type AddressFamily,
  type FirewallRule,
  type FoundRule,
  isMarked,
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
export function newIptables(run: RunCommand, rules: readonly FirewallRule[], backend: IptablesBackend): RuleWriter {
  const families = [...new Set(rules.map(ruleFamily))];

  async function change(
    changes: (found: readonly FoundRule[], family: AddressFamily) => readonly Change[],
  ): Promise<number> {
    let changed = 0;
    for (const family of families) {
      changed += await untilRight(run, program(family, backend), (found) => changes(found, family));
    }
    return changed;
  }

  const wantedIn = (family: AddressFamily): FirewallRule[] => rules.filter((rule) => ruleFamily(rule) === family);
  const takeOutAll = (isMeant: (rule: FirewallRule) => boolean): Promise<number> =>
    change((found) => found.filter(({ rule }) => isMeant(rule)).map(takeOut));

  return {
    name: backend === 'default' ? 'iptables' : `iptables-${backend}`,
    repair: () => change((found, family) => changesFor(wantedIn(family), found)),
    divert() {
      const bringing = new Set(rules.filter(isBringing).map(ruleKey));
      return takeOutAll((rule) => bringing.has(ruleKey(rule)));
    },
    remove() {
      const addresses = new Set(rules.map(({ address }) => address));
      return takeOutAll(({ address }) => addresses.has(address));
    },
  };
}

function isBringing({ table, end }: FirewallRule): boolean {
  return table === 'raw' && end === 'destination';
}

/** `iptables-nft`, `ip6tables-legacy`, `iptables`. */
export function program(family: AddressFamily, backend: IptablesBackend): string {
  const name = family === 'ipv4' ? 'iptables' : 'ip6tables';
  return backend === 'default' ? name : `${name}-${backend}`;
}

interface Change {
  readonly table: RuleTable;
  readonly line: string;
}

/** Repeats until nothing is left to change: another program may overtake a change, which the next listing shows. */
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

function changesFor(wanted: readonly FirewallRule[], found: readonly FoundRule[]): Change[] {
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

/** Tables change at their COMMIT. Untracked packets must be accepted, so filter is filled first and emptied last. */
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
