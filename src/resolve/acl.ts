/**
 * Who may ask what, as CoreDNS's `acl` has it: of each directive whose zones hold the name, in the order written, the
 * first rule that fits the address and the type counts; who fits none may ask. It judges and counts.
 */
import type { AclConfig, AclRule } from '../config/config.js';
import { isInNetwork } from '../config/networks.js';
import { byAcl } from '../counters.js';
import { isInZone } from '../dns/names.js';
import { Query } from '../dns/query.js';
import { rcodeNoError, rcodeRefused } from '../dns/wire.js';
import { addressBytes } from '../os/addresses.js';
import { edeBlocked, edeFiltered } from './lane.js';
import type { AclQuery, Guard, Route, Verdict } from './route.js';
import { askedBy } from './template-data.js';
import { type ZoneTable, zoneOfQuestion } from './zones.js';

/** How often something was said of queries to one zone on one server; `zone` is the acl's, and empty for `allow`. */
interface AclCount {
  readonly ordinal: number;
  readonly action: AclRule['action'];
  readonly zone: string;
  count: number;
}

/** The rules of one block, with their numbers: no more of them than zones and servers. */
export interface Acl {
  readonly guard: Guard;
  /** What they say to a question of ours that is asked for a client; only what is not allowed is counted. */
  judge(query: AclQuery): AclRule['action'];
  readonly counts: ReadonlyMap<string, AclCount>;
}

const verdicts: Readonly<Record<AclRule['action'], Verdict>> = {
  allow: { kind: 'pass' },
  block: { kind: 'empty', rcode: rcodeRefused, extendedError: edeBlocked, by: byAcl },
  filter: { kind: 'empty', rcode: rcodeNoError, extendedError: edeFiltered, by: byAcl },
  drop: { kind: 'drop' },
};

/** The rules ready to be asked; null when there are none. */
export function newAcl(configs: readonly AclConfig[]): Acl | null {
  if (configs.length === 0) return null;
  const counts = new Map<string, AclCount>();
  function count(ordinal: number, action: AclRule['action'], zone: string): void {
    const key = `${ordinal} ${action} ${zone}`;
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { ordinal, action, zone, count: 1 });
    else known.count++;
  }
  function judge({ question, remote, ordinal }: AclQuery): AclRule['action'] {
    const { name, type } = askedBy(question);
    const address = clientBytes(remote);
    for (const { zones, rules } of configs) {
      const zone = closestZone(zones, name);
      const rule = zone === undefined ? undefined : rules.find((each) => fits(each, address, type));
      if (rule === undefined) continue;
      if (rule.action !== 'allow') count(ordinal, rule.action, zone!);
      return rule.action;
    }
    return 'allow';
  }
  return {
    counts,
    judge,
    guard(query) {
      const action = judge(query);
      if (action === 'allow') count(query.ordinal, action, '');
      return verdicts[action];
    },
  };
}

/**
 * Judges names that are asked in the place of a client's, by the rules of the block that asks and of the block that serves
 * the name in this table; null where nobody there has rules.
 */
export function judgeIn(table: ZoneTable, aclOf: (block: number) => Acl | null): Route['judge'] {
  const blocks = new Set(table.byBytes.flat().map(({ block }) => block));
  if (![...blocks].some((block) => aclOf(block) !== null)) return null;
  const read = new Query();
  return (query) => {
    const home = zoneOfQuestion(table, query.question, read);
    const acls = new Set([query.block, home?.block ?? query.block].map(aclOf));
    for (const acl of acls) {
      const action = acl?.judge(query) ?? 'allow';
      if (action !== 'allow') return action;
    }
    return 'allow';
  };
}

/** A client's address as rules look at it: a scope is no part of it. */
export function clientBytes(remote: string): Uint8Array {
  return addressBytes(remote.replace(/%.*$/u, ''));
}

function fits({ types, networks }: AclRule, address: Uint8Array, type: number): boolean {
  if (types !== null && !types.includes(type)) return false;
  return networks === null || networks.some((network) => isInNetwork(address, network));
}

/** The longest of the zones that contain the name. */
function closestZone(zones: readonly string[], name: string): string | undefined {
  let closest: string | undefined;
  for (const zone of zones) {
    if (isInZone(name, zone) && (closest === undefined || zone.length > closest.length)) closest = zone;
  }
  return closest;
}
