/**
 * Who may ask what, as CoreDNS's `acl` has it: of each directive whose zones hold the name, in the order written, the
 * first rule that fits the address and the type counts; who fits none may ask. It judges and counts.
 */

import { isInNetwork } from '../../config/addresses.js';
import { clientBytes } from '../../config/client-kinds.js';
import type { AccessRule, AccessRules } from '../../config/config.js';
import { byAcl } from '../../counters.js';
import { isInZone } from '../../dns/names.js';
import { askedBy } from '../../dns/query.js';
import { rcodeNoError, rcodeRefused } from '../../dns/wire.js';
import { edeBlocked, edeFiltered } from '../../resolve/lane.js';
import type { AccessQuery, Guard, PluginAtWork, Verdict } from '../../resolve/route.js';

/** How often something was said of queries to one zone on one server; `zone` is the acl's, and empty for `allow`. */
export interface AclCount {
  readonly ordinal: number;
  readonly action: AccessRule['action'];
  readonly zone: string;
  count: number;
}

/** The rules of one block, with their numbers: no more of them than zones and servers. */
export interface Acl extends PluginAtWork {
  readonly guard: Guard;
  /** What they say to a question of ours that is asked for a client; only what is not allowed is counted. */
  judge(query: AccessQuery): AccessRule['action'];
  readonly counts: ReadonlyMap<string, AclCount>;
}

const verdicts: Readonly<Record<AccessRule['action'], Verdict>> = {
  allow: { kind: 'pass' },
  block: { kind: 'empty', rcode: rcodeRefused, extendedError: edeBlocked, by: byAcl },
  filter: { kind: 'empty', rcode: rcodeNoError, extendedError: edeFiltered, by: byAcl },
  drop: { kind: 'drop' },
};

/** The rules ready to be asked. */
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

function fits({ types, networks }: AccessRule, address: Uint8Array, type: number): boolean {
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
