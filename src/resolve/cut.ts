/**
 * NXDOMAIN cuts (RFC 8020): a miss is answered from the fresh denial of a name above it. Workers and the main thread try
 * this with what `answerNow` has deferred, before anything is asked upstream.
 *
 *   www.example.com.default.svc.cluster.local   the question: not cached
 *                   com.default.svc.cluster.local   NXDOMAIN, 3 s left: the answer, with these 3 s
 *
 * Not every denial of a cluster DNS is about the names below: CoreDNS's kubernetes plugin denies what has no records of
 * its own. `mayCut` has the names that it denies though there are names below.
 */
import { type BlockRef, type Blocks, kindDenial } from '../cache/blocks.js';
import { byCache, zonePlaces } from '../counters.js';
import type { Query } from '../dns/query.js';
import { classIn, lower, rcodeNxDomain, sameName, setU16, typeA, typeAaaa, typeSoa, typeTxt } from '../dns/wire.js';
import { cutAncestorsMax, cutQuestionsRemembered, headerBytes, nameBytesMax } from '../limits.js';
import { deferred, denyAaaa, keyOf } from './fast-path.js';
import { typeHinfo } from './loop.js';
import type { WorkerContext } from './worker-context.js';
import { aaaaForward, type ServedZone } from './zones.js';

/**
 * First labels of names that CoreDNS denies although there are names below: of ports and protocols, with the underscore
 * or without; `dns`, because of `ns.dns`; the wildcards of CoreDNS before 1.9.
 */
const neverCut = ['tcp', 'udp', 'sctp', 'dns', 'any', '*'].map((label) => Buffer.from(label));
const underscore = 0x5f;
/**
 * `X.SERVICE.NS.svc` is an endpoint, whose denial says nothing: before a service CoreDNS reads two labels as a port and
 * a protocol, as an endpoint and a cluster, or as a topology zone.
 */
const endpointLabels = 4;
/** Of the first two some versions of CoreDNS deny no name; HINFO may be a loop probe, or be answered by a template. */
const neverDenied = [typeTxt, typeSoa, typeHinfo];

/** Whether a denial of the name at `at` is about the names below. */
export function mayCut(bytes: Uint8Array, at: number): boolean {
  const length = bytes[at];
  if (length === 0 || bytes[at + 1] === underscore) return false;
  for (const label of neverCut) if (label.length === length && isLabel(bytes, at + 1, label)) return false;
  return true;
}

function isLabel(bytes: Uint8Array, at: number, label: Uint8Array): boolean {
  for (let index = 0; index < label.length; index++) if (lower[bytes[at + index]] !== label[index]) return false;
  return true;
}

/** The label that has namespaces below it; it exists. */
export const serviceLabel = Buffer.from('\x03svc');
/** The label below which names are of addresses. */
export const podLabel = Buffer.from('\x03pod');

/** Whether the label at `at` is this one, with its length before it. */
export function isSameLabel(name: Uint8Array, at: number, label: Uint8Array): boolean {
  return name[at] === label[0] && sameName(name, at, label, 0, label.length);
}

export class DenialCuts {
  readonly #context: WorkerContext;
  readonly #cached: Cached;

  constructor(context: WorkerContext) {
    const { blocks, query } = context;
    this.#context = context;
    this.#cached = { blocks, query, lookup: newCutLookup() };
  }

  /** Whether the packet that the context's `answerNow` has just deferred would be answered from a cut, if there is one. */
  isOpenFor(packet: Uint8Array): boolean {
    const { zone, query, block, blocks, role } = this.#context;
    if (zone === null || !zone.isCut || (zone.defers !== 0 && role === 'worker') || !isForCuts(query)) return false;
    const own = isByPolicy(zone, query) ? findAddress(this.#cached, zone, packet, headerBytes) : block;
    return mayBeCut(blocks, zone, own);
  }

  /** Answers that packet from a cut, or returns `deferred`. `sinceMs` not null: it has waited for the cut since then. */
  answer(packet: Uint8Array, length: number, nowMs: number, sinceMs: number | null): number {
    if (!this.isOpenFor(packet)) return deferred;
    const context = this.#context;
    const { query, blocks, counters } = context;
    const zone = context.zone!;
    const ref = findCut(this.#cached, zone, packet, nowMs);
    if (ref === 0) return deferred;
    if (isByPolicy(zone, query)) return denyAaaa(context, packet, length, zone, rcodeNxDomain);
    const ageSeconds = zone.cache!.keepTtl ? 0 : Math.floor((nowMs - blocks.storedAtMs(ref)) / 1000);
    const bytes = context.answerBelow(packet, ref, ageSeconds);
    if (bytes === 0) return deferred;
    context.block = ref;
    if (sinceMs === null) blocks.touchForOther(ref, nowMs);
    const base = counters.zoneBase(zone.ordinal);
    counters.zones[base + zonePlaces.cacheRequests]++;
    counters.zones[base + (sinceMs === null ? zonePlaces.hitsDenial : zonePlaces.misses)]++;
    counters.zones[base + zonePlaces.cutAnswers]++;
    context.count(base, byCache, length, bytes, sinceMs === null ? 0 : (nowMs - sinceMs) / 1000);
    return bytes;
  }
}

/** At each of the places of a hash: with one, two questions in turns would never be known. */
const waysPerPlace = 4;

/** Remembers questions that were answered from cuts: each thread those that it has seen, the last ones at each place. */
export class AskedAgain {
  readonly #context: WorkerContext;
  readonly #hashes = new Int32Array(cutQuestionsRemembered);

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  /**
   * Whether the context's question was seen before, and the kernel lane might give a denial of its own. It counts as seen from
   * now on.
   */
  isAgain(packet: Uint8Array): boolean {
    const { blocks, query, zone } = this.#context;
    if (blocks.firstHits === null || !zone!.isForKernel || isByPolicy(zone!, query)) return false;
    const hash = blocks.hash(packet, query.questionEnd, zone!.zoneId, 0) | 0;
    const first = ((hash >>> 0) * waysPerPlace) % cutQuestionsRemembered;
    for (let way = 0; way < waysPerPlace; way++) if (this.#hashes[first + way] === hash) return true;
    this.#hashes.copyWithin(first + 1, first, first + waysPerPlace - 1);
    this.#hashes[first] = hash;
    return false;
  }
}

type StepKind = 'first' | 'last' | 'none';

/**
 * Which step of a walk through the cluster's search domains a query looks like: two labels or more in front of a namespace
 * (`www.com.default.svc`; the second step of a longer name looks so too), or in front of the zone (`www.com`).
 */
export function stepOf({ zone, query }: Pick<WorkerContext, 'zone' | 'query'>, packet: Uint8Array): StepKind {
  if (zone === null || !zone.learnsCuts || (query.type !== typeA && query.type !== typeAaaa)) return 'none';
  const { labels, labelCount, nameEnd } = query;
  const zoneAt = nameEnd - zone.wire.length;
  let below = labelCount;
  while (below > 0 && labels[below - 1] >= zoneAt) below--;
  if (below < 2) return 'none';
  const last = labels[below - 1];
  // `web.default.svc` is a service.
  if (isSameLabel(packet, last, serviceLabel)) return below < 4 ? 'none' : 'first';
  return isSameLabel(packet, last, podLabel) ? 'none' : 'last';
}

function isByPolicy({ aaaa }: ServedZone, { type }: Query): boolean {
  return type === typeAaaa && aaaa !== aaaaForward;
}

/**
 * Whether a cut may answer a question whose own entry, which answers it no more, is `own`; 0: there is none. An answer that
 * has expired may still be used, or be preferred to a denial.
 */
export function mayBeCut(blocks: Blocks, zone: ServedZone, own: BlockRef): boolean {
  return own === 0 || (blocks.kind(own) === kindDenial && !isForKernelAgain(blocks, zone, own));
}

/**
 * Whether the question had an answer that the kernel lane may have given. The kernel gives only what is a question's own, so
 * from a cut it would not be given there again, and not at all while no process is there.
 */
function isForKernelAgain(blocks: Blocks, { isForKernel }: ServedZone, own: BlockRef): boolean {
  return isForKernel && blocks.firstHits !== null && blocks.wasHit(own);
}

/** Whether a cut may answer this query. */
export function isForCuts(query: Query): boolean {
  return query.class === classIn && keyOf(query) === 0 && !neverDenied.includes(query.type);
}

/** Memory for `findCut`: a packet with nothing but a question. */
export function newCutLookup(): Uint8Array {
  return new Uint8Array(headerBytes + nameBytesMax + 4);
}

/** A fresh denial of a name between the zone and the name of the query, which is the packet's, from the zone down; or 0. */
export function findCut(cached: Cached, zone: ServedZone, packet: Uint8Array, nowMs: number): BlockRef {
  const { blocks, query } = cached;
  const zoneAt = query.nameEnd - zone.wire.length;
  let below = query.labelCount;
  while (below > 0 && query.labels[below - 1] >= zoneAt) below--;
  const isService = below > 0 && isSameLabel(packet, query.labels[below - 1], serviceLabel);
  const least = Math.max(1, below - cutAncestorsMax);
  for (let label = below - 1; label >= least; label--) {
    const at = query.labels[label];
    if (!mayCut(packet, at) || (below - label === endpointLabels && isService)) continue;
    const ref = findAddress(cached, zone, packet, at);
    if (ref !== 0 && isCutBy(blocks, ref, nowMs)) return ref;
  }
  return 0;
}

interface Cached {
  readonly blocks: Blocks;
  readonly query: Query;
  readonly lookup: Uint8Array;
}

/** What is cached for A of the name that begins at `at` of the packet's; denials of other types are no cuts. */
function findAddress(
  { blocks, query, lookup }: Cached,
  { zoneId }: ServedZone,
  packet: Uint8Array,
  at: number,
): BlockRef {
  const { nameEnd } = query;
  let end = headerBytes;
  for (let from = at; from < nameEnd; from++) lookup[end++] = packet[from];
  setU16(lookup, end, typeA);
  setU16(lookup, end + 2, classIn);
  return blocks.find(lookup, end + 4, zoneId, 0);
}

/** Whether this answer says now that its name does not exist. */
export function isCutBy(blocks: Blocks, ref: BlockRef, nowMs: number): boolean {
  return nowMs < blocks.expiresAtMs(ref) && blocks.kind(ref) === kindDenial && blocks.rcode(ref) === rcodeNxDomain;
}
