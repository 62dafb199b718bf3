/**
 * Where a fresh NXDOMAIN also answers the names below it (RFC 8020): what `nxdomain_cut` says, and where it says nothing,
 * in the zone of the cluster domain. A block in which anything but its one upstream may decide about a name has no cuts.
 */
import { isInZone } from '../dns/names.js';
import { rcodeNxDomain } from '../dns/wire.js';
import type { BlockConfig, Config, ForwardConfig } from './config.js';

/** Why denials of this block say nothing about the names below, for the warning; null: they do. */
export function whyNoCut(block: BlockConfig): string | null {
  const { cache, forwards, leavesDenials, traits, zones } = block;
  if (cache === null) return 'the server block has no cache';
  const { sees, judges, access, translation, asksOtherNames, answersAll } = traits;
  const isPlain = sees === 0 && !judges && access.length === 0 && translation === null;
  // A plugin that forgot that its traits do not go with it is overruled.
  if (!leavesDenials || !isPlain || asksOtherNames || answersAll !== null) {
    return 'another directive of the server block changes names or makes answers';
  }
  const [forward, ...others] = forwards;
  if (forward === undefined || others.length > 0) return 'the server block has not exactly one forward';
  const takesAll = zones.every(({ zone }) => isInZone(zone, forward.from)) && forward.except.length === 0;
  return takesAll && !asksOn(forward) ? null : 'its forward leaves some names or denials to others';
}

function asksOn({ next, nextOnNodata, failover }: ForwardConfig): boolean {
  return nextOnNodata || next.length > 0 || failover.includes(rcodeNxDomain);
}

/** The domain of almost every cluster, and of a template whose placeholder nobody has replaced. */
const domainOfMost = 'cluster.local.';
const reverseOfIpv4 = 'in-addr.arpa.';
const reverseRoots = [reverseOfIpv4, 'ip6.arpa.'];

export function isReverseZone(zone: string): boolean {
  return reverseRoots.some((reverse) => isInZone(zone, reverse));
}

/**
 * The zones that are the cluster domain. Where a block serves `cluster.local`, that one. Elsewhere the domain has another
 * name, which no setting tells: as in node-cache's Corefile it is then a zone that goes where all of `in-addr.arpa` goes,
 * the cluster DNS, while the names of the root go elsewhere.
 */
export function clusterZones({ blocks }: Pick<Config, 'blocks'>): ReadonlySet<string> {
  const all = blocks.flatMap((block) => block.zones.map(({ zone }) => ({ zone, block })));
  if (all.some(({ zone }) => zone === domainOfMost)) return new Set([domainOfMost]);
  const targetsOf = (wanted: string) =>
    new Set(all.flatMap(({ zone, block }) => (zone === wanted ? [targets(block)] : [])));
  const ofReverse = targetsOf(reverseOfIpv4);
  const ofRoot = targetsOf('.');
  const isDomain = (zone: string, block: BlockConfig): boolean => {
    const to = targets(block);
    return zone !== '.' && !isReverseZone(zone) && to !== '' && ofReverse.has(to) && !ofRoot.has(to);
  };
  return new Set(all.flatMap(({ zone, block }) => (isDomain(zone, block) ? [zone] : [])));
}

/** The upstreams of a block as text; empty without any. */
function targets({ forwards }: BlockConfig): string {
  return forwards.length === 0 ? '' : JSON.stringify(forwards.map(({ to }) => to));
}
