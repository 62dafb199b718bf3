/**
 * Access rules as in CoreDNS's `acl`: of each directive whose zones hold the name, in the order written, the first rule that
 * fits the client's address and the query type decides. Clients that match no rule are allowed.
 */

import { isInNetwork } from '../../config/addresses.js';
import { clientBytes } from '../../config/client-kinds.js';
import type { AccessRule, AccessRules } from '../../config/config.js';
import { byAcl } from '../../counters.js';
import { closestZone } from '../../dns/names.js';
import { askedBy } from '../../dns/query.js';
import { rcodeNoError, rcodeRefused } from '../../dns/wire.js';
import type { AccessQuery, Guard, GuardVerdict, PluginAtWork } from '../../resolve/route.js';
import { edeBlocked, edeFiltered } from '../../resolve/worker-context.js';

/** A verdict's count for one zone on one server; `zone` is the acl's, and empty for `allow`. */
export interface AclCount {
  readonly ordinal: number;
  readonly action: AccessRule['action'];
  readonly zone: string;
  count: number;
}

/** The rules of one block with their counts, at most one per zone, server and action. */
export interface Acl extends PluginAtWork {
  readonly guard: Guard;
  /** The verdict on a query of our own for a client; only refusals are counted. */
  judge(query: AccessQuery): AccessRule['action'];
  readonly counts: ReadonlyMap<string, AclCount>;
}

const verdicts: Readonly<Record<AccessRule['action'], GuardVerdict>> = {
  allow: { kind: 'pass' },
  block: { kind: 'empty', rcode: rcodeRefused, extendedError: edeBlocked, by: byAcl },
  filter: { kind: 'empty', rcode: rcodeNoError, extendedError: edeFiltered, by: byAcl },
  drop: { kind: 'drop' },
};

export function newAcl(configs: readonly AccessRules[]): Acl {
  const counts = new Map<string, AclCount>();
  function count(ordinal: number, action: AccessRule['action'], zone: string): void {
    const key = `${ordinal} ${action} ${zone}`;
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { ordinal, action, zone, count: 1 });
    else known.count++;
  }
  function judge({ question, remote, ordinal }: AccessQuery): AccessRule['action'] {
    const { name, type } = askedBy(question);
    const address = clientBytes(remote);
    for (const { zones, rules } of configs) {
      const zone = closestZone(zones, name);
      const rule = zone === undefined ? undefined : rules.find((each) => ruleFits(each, address, type));
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

function ruleFits({ types, networks }: AccessRule, address: Uint8Array, type: number): boolean {
  if (types !== null && !types.includes(type)) return false;
  return networks === null || networks.some((network) => isInNetwork(address, network));
}
