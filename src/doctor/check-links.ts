/**
 * Check of the links that carry routes of pods. A link that is bound again, as an ENI is, comes back DOWN while rules and
 * routes of pod addresses still name it: such a pod answers on its node and nowhere else.
 */
import { isInNetwork, readNetwork } from '../config/addresses.js';
import type { Check, Finding } from './check.js';
import { fineFinding, howMany, otherNetwork, skippedFinding, someOf } from './found.js';
import { isPhysical, linksOf, type NodeLink, type NodeRoute, type NodeRule, routesOf, rulesOfNode } from './links.js';

const mtuLeast = 1280;

export const linksCheck: Check = {
  about: 'links that are down',
  isCheap: true,
  async run(outsides) {
    const codes = ['link-down', 'mtu'];
    const away = otherNetwork(outsides);
    if (away !== null) return codes.map((code) => skippedFinding(code, away));
    const links = await linksOf(outsides);
    if (!links.ok) return codes.map((code) => skippedFinding(code, links.why));
    const small = smallMtu(links.items);
    const down = links.items.filter((link) => isPhysical(link) && !(link.isUp && link.hasCarrier));
    if (down.length === 0) return [fineFinding('link-down', 'no hardware link is down'), small];
    const [routes, rules] = [await routesOf(outsides), await rulesOfNode(outsides)];
    if (!routes.ok) return [skippedFinding('link-down', routes.why), small];
    return [downFinding(down, routes.items, rules.ok ? rules.items : []), small];
  },
};

/** What pods lose with links that are down; an unused link is down on many healthy nodes. */
export function downFinding(
  down: readonly NodeLink[],
  routes: readonly NodeRoute[],
  rules: readonly NodeRule[],
): Finding {
  const code = 'link-down';
  const unicast = routes.filter(({ type, table }) => type === 'unicast' && table !== 'local');
  const ofAddresses = rules.filter(({ from, to, table }) => (from !== 'all' || to !== 'all') && table !== 'local');
  // The kernel takes the routes of an IPv4 link that goes down away: the rules are what is left. Only those of addresses to
  // which this node has a route are of pods here; others may be of a tunnel that is closed.
  const orphans = ofAddresses.filter(
    ({ from, table }) =>
      table !== 'main' && !unicast.some((route) => route.table === table) && isReached(from, unicast),
  );
  for (const link of down) {
    const by = unicast.filter(({ device }) => device === link.name);
    const tables = new Set(by.map(({ table }) => table).filter((table) => table !== 'main' && table !== 'default'));
    const ruled = ofAddresses.filter(({ table }) => tables.has(table));
    const hosts = by.filter(({ to, table }) => table === 'main' && isHostRoute(to));
    const pods = new Set([...ruled.flatMap(namedBy), ...hosts.map(({ to }) => to)]);
    if (pods.size > 0) return linkDown(link, [...pods], [...tables]);
  }
  if (orphans.length > 0) {
    const pods = new Set(orphans.flatMap(namedBy));
    return linkDown(down[0], [...pods], [...new Set(orphans.map(({ table }) => table))]);
  }
  return fineFinding(code, `${someOf(down.map(({ name }) => name))} is down and carries no route of a pod`);
}

function isReached(from: string, routes: readonly NodeRoute[]): boolean {
  const network = readNetwork(from);
  if (network === undefined) return false;
  const address = Uint8Array.from(network.bytes);
  return routes.some(({ to, table }) => {
    const target = table === 'main' ? readNetwork(to) : undefined;
    return target !== undefined && isInNetwork(address, target);
  });
}

function isHostRoute(to: string): boolean {
  return /^[\d.]+(?:\/32)?$|^[\da-f:]+(?:\/128)?$/iu.test(to);
}

function namedBy({ from, to }: NodeRule): string[] {
  return [from, to].filter((each) => each !== 'all');
}

function linkDown(link: NodeLink, pods: readonly string[], tables: readonly string[]): Finding {
  const where = tables.length === 0 ? '' : ` (table ${someOf(tables)})`;
  const state = link.isUp ? 'has no carrier' : 'is DOWN';
  return {
    code: 'link-down',
    verdict: 'fail',
    seen: `${link.name} ${state}, and ${howMany(pods.length, 'pod address', 'pod addresses')} ${pods.length === 1 ? 'is' : 'are'} routed by it${where}: ${someOf(pods)}`,
    meaning:
      'These pods answer on this node and nowhere else: an endpoint of the cluster DNS among them is dead for other nodes.',
    command: link.isUp ? `ip -s link show ${link.name}` : `ip link set ${link.name} up`,
  };
}

function smallMtu(links: readonly NodeLink[]): Finding {
  const small = links.filter(
    (link) => isPhysical(link) && link.isUp && link.addresses.length > 0 && link.mtu < mtuLeast,
  );
  if (small.length === 0) return fineFinding('mtu', `every hardware link takes packets of ${mtuLeast} bytes`);
  return {
    code: 'mtu',
    verdict: 'warn',
    seen: `${someOf(small.map(({ name, mtu }) => `${name} takes ${mtu} bytes`))}`,
    meaning: 'DNS answers of up to 1,232 bytes over UDP are cut into fragments there, which firewalls like to drop.',
    command: `ip link set ${small[0].name} mtu 1500`,
  };
}
