/**
 * Which questions return to the server block that asks them. A forward to one of our own listeners is no loop as long as
 * the block there asks another server: only a question that reaches the asking block again circles for ever. Zones, `from`,
 * `except`, `next` and renamed questions decide where a question goes; answers made on the way are not considered.
 *
 *     block asks ─> own listener ─> zone ─> block ─> renamed? ─> forward ─> own listener ─> … ─> the first block
 */
import { isIPv4 } from 'node:net';
import { isInZone } from '../dns/names.js';
import { typeA, typeDs } from '../dns/wire.js';
import { hostAddressesMs } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import type { BlockConfig, ForwardConfig, NamedQuestion, UpstreamEndpoint } from './config.js';

/** All server blocks, and where their questions go. */
export interface Ways extends OwnPlaces {
  readonly blocks: readonly BlockConfig[];
  /** By `address port`, the longest first. */
  readonly served: ReadonlyMap<string, readonly Served[]>;
  /** The upstreams of a forward as far as they are known. */
  endpoints(forward: ForwardConfig): readonly UpstreamEndpoint[];
}

interface Served {
  readonly zone: string;
  readonly block: BlockConfig;
}

/** An upstream of a block. */
interface Way {
  readonly block: BlockConfig;
  readonly forward: ForwardConfig;
  readonly endpoint: UpstreamEndpoint;
}

/** A label that no name has. */
const someLabel = 'q7-0k9-zz1';
/** A question that becomes more names than this is not answered. */
const statesMax = 64;

/** The ways of a configuration; without knowledge from run time, with the upstreams that are written in it. */
export function waysOf(
  blocks: readonly BlockConfig[],
  known: Pick<Ways, 'hostAddresses' | 'endpoints'> = { hostAddresses: () => [], endpoints: writtenEndpoints },
): Ways {
  const served = new Map<string, Served[]>();
  for (const block of blocks) {
    for (const { zone, port } of block.zones) {
      for (const address of block.addresses) {
        const key = `${address} ${port}`;
        served.set(key, [...(served.get(key) ?? []), { zone, block }]);
      }
    }
  }
  for (const zones of served.values()) zones.sort((one, other) => other.zone.length - one.zone.length);
  const listening = blocks.flatMap(listenersOf);
  return { blocks, served, listening, ...known };
}

function writtenEndpoints({ to }: ForwardConfig): readonly UpstreamEndpoint[] {
  return to.flatMap((target) => (target.kind === 'endpoint' ? [target.endpoint] : []));
}

/** Where the block listens; zones with one port repeat it. */
export function listenersOf({ zones, addresses }: BlockConfig): Endpoint[] {
  return addresses.flatMap((address) => zones.map(({ port }) => ({ address, port })));
}

/** Whether a listener of ours receives what is sent to the endpoint; none serves DNS over TLS. */
export function isOurs({ overTls, ...endpoint }: UpstreamEndpoint, ways: OwnPlaces): boolean {
  return overTls !== true && ownListener(endpoint, ways) !== null;
}

/**
 * Whether the question, sent there by the block, returns to it. Of a circle, the last block that has another upstream
 * leaves out the step within the circle; if no block of the circle has another upstream, all its steps are left out.
 */
export function comesBack(ways: Ways, { block, forward, endpoint }: Way, asked: NamedQuestion): boolean {
  const graph = graphFrom(ways, block, asked);
  if (graph === null) return true;
  const leftOut = leftOutOf(graph);
  return graph
    .get(graphState(ways, block, asked))!
    .some((step) => step.forward === forward && isSame(step.endpoint, endpoint) && leftOut.has(step));
}

function isSame(one: UpstreamEndpoint, other: UpstreamEndpoint): boolean {
  return one.address === other.address && one.port === other.port && one.overTls === other.overTls;
}

/** One upstream of a block that has a question. */
interface ForwardStep {
  /** Index of the block. */
  readonly block: number;
  readonly forward: ForwardConfig;
  readonly endpoint: UpstreamEndpoint;
  /** States, by `stateOf`; the question leaves this server if `to` is null. */
  readonly from: string;
  readonly to: string | null;
}

/** By `stateOf`: which block asks for which name. */
type Graph = ReadonlyMap<string, readonly ForwardStep[]>;

/** Where a question may go from the block on; null if it becomes more than `statesMax` names. */
function graphFrom(ways: Ways, first: BlockConfig, firstAsked: NamedQuestion): Graph | null {
  const graph = new Map<string, ForwardStep[]>();
  const left = [{ block: first, asked: firstAsked }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { block, asked } = next;
    const from = graphState(ways, block, asked);
    if (graph.has(from)) continue;
    if (graph.size >= statesMax) return null;
    const steps: ForwardStep[] = [];
    for (const forward of responsible(block, asked.name)) {
      for (const endpoint of ways.endpoints(forward)) {
        const there = arriving(ways, endpoint, asked);
        if (there !== null) left.push(there);
        const to = there === null ? null : graphState(ways, there.block, there.asked);
        steps.push({ block: ways.blocks.indexOf(block), forward, endpoint, from, to });
      }
    }
    graph.set(from, steps);
  }
  return graph;
}

/** Leaves out one step after the other until no circle is left; the result is the same for every block of a circle. */
function leftOutOf(graph: Graph): ReadonlySet<ForwardStep> {
  const leftOut = new Set<ForwardStep>();
  const all = [...graph.values()].flat();
  for (;;) {
    const circling = new Set(all.filter((step) => !leftOut.has(step) && circles(graph, step, leftOut)));
    if (circling.size === 0) return leftOut;
    const isElse = (step: ForwardStep) => !leftOut.has(step) && !circling.has(step);
    const spared = [...circling].filter(({ from }) => graph.get(from)!.some(isElse));
    if (spared.length === 0) return new Set([...leftOut, ...circling]);
    leftOut.add(spared.reduce((last, step) => (step.block > last.block ? step : last)));
  }
}

/** Whether steps lead from the end of this one to its beginning. */
function circles(graph: Graph, { from, to }: ForwardStep, without: ReadonlySet<ForwardStep>): boolean {
  const seen = new Set<string>();
  const left = to === null ? [] : [to];
  for (let state = left.pop(); state !== undefined; state = left.pop()) {
    if (state === from) return true;
    if (seen.has(state)) continue;
    seen.add(state);
    for (const step of graph.get(state)!) if (step.to !== null && !without.has(step)) left.push(step.to);
  }
  return false;
}

/** The names that the block asks there and that return, by zone: each zone stands for the names below it. */
export function returning(ways: Ways, way: Way): { readonly zones: readonly string[]; readonly isAll: boolean } {
  const { block, forward } = way;
  const back: string[] = [];
  let isAll = true;
  for (const zone of zonesInForwards(ways)) {
    const name = zone === '.' ? `${someLabel}.` : `${someLabel}.${zone}`;
    const isServed = listenersOf(block).some((at) => serving(ways, at, { name, type: typeA }) === block);
    const asked = isServed ? askedFor(block, { name, type: typeA }) : null;
    if (asked === null || !responsible(block, asked.name).includes(forward)) continue;
    if (comesBack(ways, way, asked)) back.push(zone);
    else isAll = false;
  }
  return { zones: back, isAll: isAll && back.length > 0 };
}

/** Every zone that decides where a question goes. */
function zonesInForwards({ blocks }: Ways): ReadonlySet<string> {
  return new Set(
    blocks.flatMap(({ zones, forwards }) => [
      ...zones.map(({ zone }) => zone),
      ...forwards.flatMap(({ from, except }) => [from, ...except]),
    ]),
  );
}

function graphState({ blocks }: Ways, block: BlockConfig, { name, type }: NamedQuestion): string {
  return `${blocks.indexOf(block)} ${name} ${type}`;
}

/** The block that receives the question there, and the question that it asks; null if no block of ours asks one. */
function arriving(
  ways: Ways,
  endpoint: UpstreamEndpoint,
  asked: NamedQuestion,
): { block: BlockConfig; asked: NamedQuestion } | null {
  const address = endpoint.overTls === true ? null : ownListener(endpoint, ways);
  const block = address === null ? null : serving(ways, { address, port: endpoint.port }, asked);
  const own = block === null ? null : askedFor(block, asked);
  return own === null ? null : { block: block!, asked: own };
}

/** The block with the longest zone of the name on this listener; DS at the apex belongs to the parent zone. */
function serving({ served }: Ways, { address, port }: Endpoint, { name, type }: NamedQuestion): BlockConfig | null {
  const zones = served.get(`${address} ${port}`) ?? [];
  const [own, parent] = zones.filter(({ zone }) => isInZone(name, zone));
  if (own === undefined) return null;
  return type === typeDs && own.zone === name && parent !== undefined ? parent.block : own.block;
}

/** The forwards that the name may use: the first that matches it, and those that its `next` leads to. */
function responsible({ forwards }: BlockConfig, name: string): ForwardConfig[] {
  const all = forwards.filter(
    ({ from, except }) => isInZone(name, from) && !except.some((zone) => isInZone(name, zone)),
  );
  const last = all.findIndex(({ next, nextOnNodata }) => next.length === 0 && !nextOnNodata);
  return last === -1 ? all : all.slice(0, last + 1);
}

/** The question that the block asks upstream; null: none. */
function askedFor({ traits }: BlockConfig, asked: NamedQuestion): NamedQuestion | null {
  return traits.onward.reduce<NamedQuestion | null>((one, onward) => (one === null ? null : onward(one)), asked);
}

interface OwnPlaces {
  /** `::` is all addresses of both families, `0.0.0.0` all of IPv4. */
  readonly listening: readonly Endpoint[];
  /** Addresses of the host's interfaces; read when an unspecified address is listened on. */
  hostAddresses(): readonly string[];
}

/** The host's addresses by `read`, at most once in `ageMs`: they change seldom, and each question needs them. */
export function rememberedAddresses(
  read: () => readonly string[],
  nowMs: () => number,
  ageMs = hostAddressesMs,
): () => readonly string[] {
  let addresses: readonly string[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (nowMs() - readAtMs >= ageMs) {
      addresses = read();
      readAtMs = nowMs();
    }
    return addresses;
  };
}

/** The address of our listener that receives what is sent to `to`; null: none does. */
export function ownListener(to: Endpoint, { listening, hostAddresses }: OwnPlaces): string | null {
  const here = listening.filter(({ port }) => port === to.port).map(({ address }) => address);
  if (here.length === 0 || here.includes(to.address)) return here.length === 0 ? null : to.address;
  // As a destination the unspecified address is the host itself.
  const address = to.address === '0.0.0.0' ? '127.0.0.1' : to.address === '::' ? '::1' : to.address;
  // The kernel prefers a socket on the address itself to one on all.
  const candidates = isIPv4(address) ? [address, '0.0.0.0', '::'] : [address, '::'];
  const taking = candidates.find((each) => here.includes(each));
  if (taking === undefined || taking === address) return taking ?? null;
  const isLoopback = address === '::1' || (isIPv4(address) && address.startsWith('127.'));
  return isLoopback || hostAddresses().includes(address) ? taking : null;
}
