/**
 * What the running cache would do with a question, without asking it: which server block has it on which listener, what is
 * cached, and where it would go. It takes the decisions of resolve/fast-path.ts in its order, and changes nothing: no
 * mark of use, no counter.
 */
import { type BlockRef, type Blocks, kindServfail, kindSuccess, onFailureOnly } from '../cache/blocks.js';
import type { Store } from '../cache/cache.js';
import type { BlockConfig, ForwardConfig } from '../config/config.js';
import { rcodeName, wireOf, wireToName } from '../dns/names.js';
import { ownQuery } from '../dns/own-queries.js';
import { Query, readQuery } from '../dns/query.js';
import { rcodeNoError, rcodeNxDomain, setU16, typeA, typeAaaa } from '../dns/wire.js';
import { findCut, isForCuts, mayBeCut, newCutLookup } from '../resolve/cut.js';
import type { PlannedListener } from '../resolve/zone-plan.js';
import {
  aaaaForward,
  aaaaNodata,
  aaaaNxdomain,
  findZone,
  type ServedZone,
  type ZoneTable,
  zoneOfClient,
} from '../resolve/zones.js';
import { isResponsible, responsibility } from '../upstream/forward.js';
import type { UpstreamState } from '../upstream/forwards.js';

/** A server block at work. */
interface ServedBlock {
  readonly config: BlockConfig;
  readonly store: Store | null;
  readonly forwards: { states(): readonly UpstreamState[] };
}

/** The configuration in force, as it is asked about. */
export interface Serving {
  readonly listeners: readonly PlannedListener[];
  /** In the order of the configuration. */
  readonly blocks: readonly ServedBlock[];
  readonly cached: Blocks;
  readonly nowMs: number;
}

/** What happens first to a plain query, one without DO and CD. */
export type Outlook =
  /** A cached answer is given. */
  | 'cache'
  /** An expired answer is given, and refreshed. */
  | 'stale'
  /** The policy for AAAA answers. */
  | 'policy'
  /** The cached denial of a name above it answers, too (`nxdomain_cut`). */
  | 'cut'
  /** It goes upstream, unless a plugin of the block answers it. */
  | 'upstream'
  /** Plugins of the block answer it, or nobody: no upstream is asked. */
  | 'plugins'
  /** No server block has the name: REFUSED. */
  | 'refused';

/** What is known, without asking, of whether the name has such records. */
export type KnownOfName = 'exists' | 'no record' | 'no name' | 'unknown';

/** One question to one zone. */
interface Prospect {
  readonly zone: ServedZone | null;
  readonly outlook: Outlook;
  readonly known: KnownOfName;
  /** The entry for a plain query, fresh or not, or the denial that cuts; 0: none. */
  readonly entry: BlockRef;
}

/** A query as a pod sends it: RD, no DO, no CD. */
export function plainQuery(question: Uint8Array): { readonly packet: Uint8Array; readonly query: Query } {
  const packet = ownQuery({ question, recursionDesired: true, checkingDisabled: false, dnssecOk: false });
  const query = new Query();
  readQuery(packet, packet.length, query);
  return { packet, query };
}

/** The prospect of a client's question, IPv4 clients' with family 0. */
export function prospectOf(serving: Serving, table: ZoneTable, question: Uint8Array, family: 0 | 1): Prospect {
  const { packet, query } = plainQuery(question);
  const zone = findZone(table, packet, query);
  if (zone === null) return { zone, outlook: 'refused', known: 'unknown', entry: 0 };
  const byPolicy = policyOf(serving, zone, packet, query);
  if (byPolicy !== null) return { zone, ...byPolicy, entry: 0 };
  const own = zoneOfClient(zone, query, family);
  const entry = own.cache === null ? 0 : serving.cached.find(packet, query.questionEnd, own.zoneId, 0);
  const given = entry === 0 ? null : givenFrom(serving, own, entry);
  if (given !== null) return { zone: own, outlook: given, known: knownOf(serving.cached, entry), entry };
  const isCutFirst = own.isCut && isForCuts(query) && mayBeCut(serving.cached, own, entry);
  const cut = isCutFirst ? cutOf(serving, own, packet, query) : 0;
  if (cut !== 0) return { zone: own, outlook: 'cut', known: 'no name', entry: cut };
  const { config } = serving.blocks[own.block];
  const isAnsweredHere = config.traits.answersAll !== null || forwardOf(config, question) === null;
  const outlook = isAnsweredHere ? 'plugins' : 'upstream';
  return { zone: own, outlook, known: 'unknown', entry };
}

function cutOf({ cached, nowMs }: Serving, zone: ServedZone, packet: Uint8Array, query: Query): BlockRef {
  return findCut({ blocks: cached, query, lookup: newCutLookup() }, zone, packet, nowMs);
}

/** Null where the policy for AAAA leaves the question to the rest, or cannot tell yet. */
function policyOf(
  { cached, nowMs }: Serving,
  zone: ServedZone,
  packet: Uint8Array,
  query: Query,
): Pick<Prospect, 'outlook' | 'known'> | null {
  if (query.type !== typeAaaa || zone.aaaa === aaaaForward) return null;
  if (zone.aaaa === aaaaNxdomain) return { outlook: 'policy', known: 'no name' };
  if (zone.aaaa === aaaaNodata) return { outlook: 'policy', known: 'no record' };
  const asked = packet.slice();
  setU16(asked, query.nameEnd, typeA);
  const ref = zone.cache === null ? 0 : cached.find(asked, query.questionEnd, zone.zoneId, 0);
  const isUsable = ref !== 0 && nowMs < cached.expiresAtMs(ref) && cached.kind(ref) !== kindServfail;
  if (!isUsable) return null;
  return { outlook: 'policy', known: cached.rcode(ref) === rcodeNxDomain ? 'no name' : 'no record' };
}

/** As the cache gives this entry now; null: it does not. */
function givenFrom({ cached, nowMs }: Serving, { cache }: ServedZone, ref: BlockRef): 'cache' | 'stale' | null {
  const expiresAtMs = cached.expiresAtMs(ref);
  if (nowMs < expiresAtMs) return 'cache';
  if (cache === null || nowMs >= expiresAtMs + cache.staleMaxMs || cached.kind(ref) === kindServfail) return null;
  const recheckAtMs = cached.recheckAtMs(ref);
  return nowMs < recheckAtMs || (cache.staleAtOnce && recheckAtMs !== onFailureOnly) ? 'stale' : null;
}

function knownOf(cached: Blocks, ref: BlockRef): KnownOfName {
  if (cached.kind(ref) === kindSuccess) return 'exists';
  if (cached.rcode(ref) === rcodeNxDomain) return 'no name';
  return cached.rcode(ref) === rcodeNoError ? 'no record' : 'unknown';
}

/** The `forward` that takes the question; null: none does. */
export function forwardOf({ forwards }: BlockConfig, question: Uint8Array): ForwardConfig | null {
  return forwards.find((each) => isResponsible(responsibility(each), question, question.length - 4)) ?? null;
}

/** What commands say of a server block. */
export interface BlockItem {
  /** `Corefile:3`. */
  readonly at: string;
  readonly zones: readonly string[];
  readonly addresses: readonly string[];
  /** `forward` asks upstream as for other types. */
  readonly aaaa: string;
  /** As they are written. */
  readonly directives: readonly string[];
}

export function blockItem({ at, zones, addresses, aaaa, directives }: BlockConfig): BlockItem {
  const isOnUsualPort = zones.every(({ port }) => port === 53);
  return {
    at: at.line === 0 ? at.file : `${at.file}:${at.line}`,
    zones: zones.map(({ zone, port }) => (isOnUsualPort ? zone : `${zone}:${port}`)),
    addresses,
    aaaa: aaaa ?? 'forward',
    directives,
  };
}

/** What commands say of an upstream. */
export interface UpstreamItem {
  readonly address: string;
  /** The zones whose names it gets: those of the server block, or the one of its `forward`. */
  readonly zones: readonly string[];
  readonly state: 'up' | 'failing' | 'down' | 'looping' | 'not asked yet';
  readonly isTls: boolean;
  readonly connections: number;
  /** Connections whose answers are overdue. */
  readonly suspects: number;
  /** A moving average of queries; null before the first answer. */
  readonly roundTripMs: number | null;
  readonly heardAgoMs: number | null;
}

export function upstreamItem({ to, from, ...state }: UpstreamState, { zones: all }: BlockConfig): UpstreamItem {
  const { isLooping, isDown, isFailing, isTls, open: connections, suspects, averageMs, heardAgoMs } = state;
  const isUnasked = heardAgoMs === null && !isFailing;
  const word = isLooping ? 'looping' : isDown ? 'down' : isFailing ? 'failing' : isUnasked ? 'not asked yet' : 'up';
  const roundTripMs = averageMs === 0 ? null : Math.round(averageMs * 100) / 100;
  const zones = from === '.' ? all.map(({ zone }) => zone) : [from];
  return {
    address: to,
    zones,
    state: word,
    isTls,
    connections,
    suspects,
    roundTripMs,
    heardAgoMs: heardAgoMs && Math.round(heardAgoMs),
  };
}

/** The upstreams that would be asked. */
export function upstreamsFor({ config, forwards }: ServedBlock, question: Uint8Array): UpstreamItem[] {
  const forward = forwardOf(config, question);
  if (forward === null) return [];
  return forwards
    .states()
    .filter(({ from }) => from === forward.from)
    .map((state) => upstreamItem(state, config));
}

/** `cluster.local.`; the zone itself, or one below it that `cache` lists. */
export function zoneName({ wire }: ServedZone): string {
  return wireToName(wire, 0);
}

/** `NOERROR`, `NXDOMAIN`. */
export function entryRcode(cached: Blocks, ref: BlockRef): string {
  return rcodeName(cached.rcode(ref));
}

/** The question in wire form, class IN; null for what is too long for a name. */
export function wireQuestion(name: string, type: number): Uint8Array | null {
  const wire = wireOf(name);
  return wire === null ? null : Buffer.concat([wire, Uint8Array.of(type >> 8, type & 0xff, 0, 1)]);
}
