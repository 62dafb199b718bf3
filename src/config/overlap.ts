/**
 * Rules on addresses between server blocks: a zone is on one address once (nobody could say which block answers), HTTP
 * servers of different kinds and DNS over TCP share no port, servers of one kind are opened once at each address, and
 * there are no more listeners than there are places for.
 */
import { clientKindsMax, listenersMax } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import { addressCovers, addressesOverlap, formatEndpoint } from './addresses.js';
import type { Placed, ReadBlock } from './block.js';
import { clientKinds } from './client-kinds.js';
import type { BlockConfig, Findings } from './config.js';

/** Finds the second of two blocks that serve the same zone on overlapping addresses and one port. */
export function refuseOverlaps(blocks: readonly BlockConfig[], findings: Findings): void {
  const taken = new Map<string, BlockConfig[]>();
  const listeners = new Set<string>();
  for (const block of blocks) {
    for (const { port } of block.zones) for (const address of block.addresses) listeners.add(`${address} ${port}`);
    if (listeners.size > listenersMax) {
      findings.error(block.at, `more than ${listenersMax} addresses and ports to listen on; use fewer.`);
      return;
    }
    const shared = block.zones.flatMap(({ zone, port }) => {
      const key = `${zone}:${port}`;
      const others = taken.get(key) ?? [];
      taken.set(key, [...others, block]);
      return others.flatMap((other) => {
        const address = block.addresses.find((one) => other.addresses.some((two) => addressesOverlap(one, two)));
        return address === undefined ? [] : [{ zone, port, other, address }];
      });
    });
    // One is enough of a block that stands there twice.
    const [first] = shared;
    if (first !== undefined) findings.error(block.at, servedTwice(block, first));
  }
}

interface Shared {
  readonly zone: string;
  readonly port: number;
  readonly other: BlockConfig;
  readonly address: string;
}

function servedTwice(block: BlockConfig, { zone, port, other, address }: Shared): string {
  const where = other.at.file === block.at.file ? `line ${other.at.line}` : `${other.at.file}:${other.at.line}`;
  const on = address === '::' ? 'all addresses' : address;
  return (
    `the zone ${zone} on port ${port} of ${on} is already served by the server block on ${where}; ` +
    'remove one, or bind them to different addresses.'
  );
}

/**
 * Finds where the rules of `acl` on one listener tell more kinds of clients apart than there may be, and some block there
 * asks other names than its clients do: answers are kept for each kind.
 */
export function refuseManyKinds(blocks: readonly BlockConfig[], findings: Findings): void {
  const places = new Set(blocks.flatMap((block) => placesOf(block)));
  for (const place of places) {
    const here = blocks.filter((block) => placesOf(block).includes(place));
    const acls = here.flatMap(({ traits }) => traits.access);
    if (acls.length === 0 || !here.some(({ traits }) => traits.asksOtherNames)) continue;
    const kinds = clientKinds(acls).length;
    if (kinds <= clientKindsMax) continue;
    findings.error(
      acls[0].at,
      `acl: the rules on ${place} distinguish ${kinds} groups of clients; with rewrite, autopath, template or dns64 ` +
        `at most ${clientKindsMax} are allowed; put networks with the same access into one rule.`,
    );
  }
}

function placesOf({ addresses, zones }: BlockConfig): string[] {
  return addresses.flatMap((address) => zones.map(({ port }) => formatEndpoint({ address, port })));
}

/**
 * Finds the second of `health`, `ready`, `prometheus` and `pprof` that would listen on one address, and one
 * that would listen where a server block does: the kernel would share connections out between the two.
 */
export function refuseSharedPorts(read: readonly ReadBlock[], findings: Findings): void {
  const servers: readonly Server[] = read.flatMap(({ health, ready, metrics, pprof }) => [
    { name: 'health', placed: health },
    { name: 'ready', placed: ready },
    { name: 'prometheus', placed: metrics },
    { name: 'pprof', placed: pprof },
  ]);
  const before: Server[] = [];
  for (const server of servers) {
    const here = server.placed;
    if (here === null) continue;
    const why = dnsPortOf(server, here, read) ?? takenBy(server.name, here, before);
    if (why === undefined) before.push(server);
    else findings.error(here.at, `${server.name}: ${formatEndpoint(here.value)} is ${why}`);
  }
}

/** What is to be listened on: each address once, and none that another one means as well (`:8080`, `10.0.0.1:8080`). */
export function distinctEndpoints(placed: readonly (Placed<Endpoint> | null)[]): Endpoint[] {
  const all = placed.flatMap((each) => (each === null ? [] : [{ address: each.value.address, port: each.value.port }]));
  const isAgain = (one: Endpoint, index: number): boolean =>
    all.some((other, at) => means(other, one) || (at < index && formatEndpoint(other) === formatEndpoint(one)));
  return all.filter((one, index) => !isAgain(one, index));
}

/** Whether who listens on all addresses listens there, too; two sockets on port 0 have two ports. */
function means(all: Endpoint, one: Endpoint): boolean {
  return one.port !== 0 && one.port === all.port && addressCovers(all.address, one.address);
}

interface Server {
  readonly name: string;
  readonly placed: Placed<Endpoint> | null;
}

function takenBy(own: string, { value }: Placed<Endpoint>, before: readonly Server[]): string | undefined {
  for (const { name, placed } of before) {
    if (name === own || placed === null || placed.value.port !== value.port) continue;
    if (value.port === 0 || !addressesOverlap(placed.value.address, value.address)) continue;
    return `used by ${name} on line ${placed.at.line}; change one of the ports.`;
  }
  return undefined;
}

/** Where DNS is answered at this endpoint. */
function dnsPortOf({ name }: Server, { value }: Placed<Endpoint>, read: readonly ReadBlock[]): string | undefined {
  if (value.port === 0) return undefined;
  const block = read.find(
    ({ config: { zones, addresses } }) =>
      zones.some(({ port }) => port === value.port) &&
      addresses.some((address) => addressesOverlap(address, value.address)),
  );
  return block && `the DNS port of the server block on line ${block.config.at.line}; give ${name} another port.`;
}
