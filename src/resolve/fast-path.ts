/**
 * The spine: every decision about a packet that can be taken at once, in order. Workers and the main thread call it. It
 * reads no clock, waits for nothing and allocates nothing; `miss.ts` handles what it defers.
 */
import {
  type BlockRef,
  type Blocks,
  keyCheckingDisabled,
  keyDnssecOk,
  kindServfail,
  kindSuccess,
  onFailureOnly,
} from '../cache/blocks.js';
import { byCache, byNobody, byTemplate, zonePlaces } from '../counters.js';
import { extendRcode, writeHeader } from '../dns/answer.js';
import { isOwnQuestion } from '../dns/own-queries.js';
import { type Query, type Refusal, readQuery } from '../dns/query.js';
import {
  flagCd,
  rcodeBadVers,
  rcodeFormErr,
  rcodeNoError,
  rcodeNotImp,
  rcodeNxDomain,
  rcodeRefused,
  rcodeServFail,
  typeA,
  typeAaaa,
  typeAxfr,
  typeIxfr,
} from '../dns/wire.js';
import type { AnswerOrigin } from '../listen/client.js';
import type { WorkerContext } from './worker-context.js';
import {
  aaaaForward,
  aaaaNodata,
  aaaaNxdomain,
  type CachePolicy,
  findZone,
  isToBeSeen,
  type ServedZone,
  type ZoneTable,
  zoneOfClient,
} from './zones.js';

/** The packet gets no answer. */
export const dropped = 0;
/** The packet has to wait for an answer, or is for the main thread. */
export const deferred = -1;

/**
 * Answers the first `length` bytes of `packet` into the context's slot; returns the answer's bytes, `dropped` or
 * `deferred`. The context's `query` and `zone` then tell what was asked. The context's transport and family must be the
 * packet's. Borrows the packet until it returns.
 */
export function answerNow(
  context: WorkerContext,
  table: ZoneTable,
  packet: Uint8Array,
  length: number,
  nowMs: number,
): number {
  context.zone = null;
  context.refreshDue = false;
  const { query } = context;
  const reading = readQuery(packet, length, query);
  if (reading !== 'ok') return refuse(context, table, packet, length, reading);
  let zone = findZone(table, packet, query);
  if (zone === null) {
    context.counters.count('refusedNoZone');
    return refuse(context, table, packet, length, 'refused');
  }
  context.zone = zone;
  if (zone.defers !== 0 && context.role === 'worker' && isToBeSeen(zone.defers, packet, query)) return deferred;
  const base = context.counters.zoneBase(zone.ordinal);
  if (query.type === typeAaaa) {
    if (zone.aaaa !== aaaaForward) {
      const rcode = rcodeForAaaa(context, packet, zone, nowMs);
      return rcode < 0 ? deferred : denyAaaa(context, packet, length, zone, rcode);
    }
    zone = context.zone = zoneOfClient(zone, query, context.family);
  }
  if (zone.cache === null) return deferred;
  const bytes = answerCached(context, zone.cache, packet, nowMs);
  if (bytes === deferred) return deferred;
  const numbers = context.counters.zones;
  numbers[base + zonePlaces.cacheRequests]++;
  numbers[
    base + (context.blocks.kind(context.block) === kindSuccess ? zonePlaces.hitsSuccess : zonePlaces.hitsDenial)
  ]++;
  context.count(base, byCache, length, bytes, 0);
  return bytes;
}

/** Answers the query that the context has read from its zone's cache, or returns `deferred`; counts only stale answers. */
export function answerCached(context: WorkerContext, policy: CachePolicy, packet: Uint8Array, nowMs: number): number {
  const { blocks, query } = context;
  const ref = blocks.find(packet, query.questionEnd, context.zone!.zoneId, keyOf(query));
  context.block = ref;
  if (ref === 0 || context.isTooLarge(ref)) return deferred;
  return answerFrom(context, packet, ref, policy, nowMs);
}

/** The rcode of the zone's policy for an AAAA question, or -1 when the name's A must be asked for first. */
export function rcodeForAaaa(context: WorkerContext, packet: Uint8Array, zone: ServedZone, nowMs: number): number {
  if (zone.aaaa === aaaaNxdomain) return rcodeNxDomain;
  if (zone.aaaa === aaaaNodata) return rcodeNoError;
  if (zone.cache === null) return -1;
  const { blocks, query } = context;
  const typeAt = query.nameEnd + 1;
  packet[typeAt] = typeA;
  const ref = blocks.find(packet, query.questionEnd, zone.zoneId, keyOf(query));
  packet[typeAt] = typeAaaa;
  if (ref === 0 || nowMs >= blocks.expiresAtMs(ref) || blocks.kind(ref) === kindServfail) return -1;
  return blocks.rcode(ref) === rcodeNxDomain ? rcodeNxDomain : rcodeNoError;
}

/** Answers an AAAA question by policy, with a SOA, and counts it. */
export function denyAaaa(
  context: WorkerContext,
  packet: Uint8Array,
  length: number,
  zone: ServedZone,
  rcode: number,
): number {
  context.counters.count('aaaaSynthesized');
  const bytes = context.answerDenial(packet, zone, rcode);
  context.count(context.counters.zoneBase(zone.ordinal), byTemplate, length, bytes, 0);
  return bytes;
}

/** The part of the cache key that comes from the header and the OPT. */
export function keyOf(query: Query): number {
  return (query.dnssecOk ? keyDnssecOk : 0) | ((query.flags & flagCd) !== 0 ? keyCheckingDisabled : 0);
}

/** Answers from a fresh block, or from a stale one where the policy allows it now. */
function answerFrom(
  context: WorkerContext,
  packet: Uint8Array,
  ref: BlockRef,
  policy: CachePolicy,
  nowMs: number,
): number {
  const { blocks } = context;
  const expiresAtMs = blocks.expiresAtMs(ref);
  if (nowMs < expiresAtMs) {
    const hits = blocks.touch(ref, nowMs, policy.prefetchGapMs, policy.prefetchHits);
    if (policy.prefetchHits > 0 && hits >= policy.prefetchHits) {
      context.refreshDue = expiresAtMs - nowMs <= Math.max(1000, blocks.lifetimeMs(ref) * policy.prefetchShare);
    }
    const ageSeconds = policy.keepTtl ? 0 : Math.floor((nowMs - blocks.storedAtMs(ref)) / 1000);
    return context.answerStored(packet, ref, ageSeconds, null);
  }
  if (!isStaleAnswer(blocks, ref, policy, nowMs)) return deferred;
  blocks.touch(ref, nowMs, policy.prefetchGapMs, policy.prefetchHits);
  context.refreshDue = nowMs >= blocks.recheckAtMs(ref);
  context.counters.count(policy.staleAtOnce ? 'staleImmediate' : 'staleOnFailure');
  context.counters.zones[context.counters.zoneBase(context.zone!.ordinal) + zonePlaces.servedStale]++;
  return context.answerStale(packet, ref, policy.staleTtlSeconds);
}

/** Whether an expired block is the answer without asking upstream first. */
function isStaleAnswer(blocks: Blocks, ref: BlockRef, policy: CachePolicy, nowMs: number): boolean {
  if (nowMs >= blocks.expiresAtMs(ref) + policy.staleMaxMs || blocks.kind(ref) === kindServfail) return false;
  const recheckAtMs = blocks.recheckAtMs(ref);
  return nowMs < recheckAtMs || (policy.staleAtOnce && recheckAtMs !== onFailureOnly);
}

/**
 * Where the answer came from that `answerNow` has just written for the context's query, or that stands for one; `rcode` is
 * the answer's. It looks at the conditions once more, so that an answer of which nobody is told costs nothing.
 */
export function originOf({ zone, query, block, blocks }: WorkerContext, rcode: number, nowMs: number): AnswerOrigin {
  if (zone === null) return 'refused';
  const hasBlock = zone.cache !== null && block !== 0;
  if (rcode === rcodeServFail && !(hasBlock && blocks.kind(block) === kindServfail)) return 'failure';
  if (query.type === typeAaaa && zone.aaaa !== aaaaForward) return 'policy';
  const isStale = hasBlock && nowMs >= blocks.expiresAtMs(block) && isStaleAnswer(blocks, block, zone.cache, nowMs);
  return isStale ? 'stale' : 'hit';
}

/** Refuses from the header where the question could not be read, else with question and OPT. */
function refuse(
  context: WorkerContext,
  table: ZoneTable,
  packet: Uint8Array,
  length: number,
  refusal: Refusal,
): number {
  const { counters, slot, query } = context;
  if (refusal === 'drop') {
    counters.count(length < 12 ? 'droppedShort' : 'droppedResponse');
    return dropped;
  }
  if (refusal === 'formerr') {
    counters.count('refusedFormerr');
    return writeHeader(slot, packet, rcodeFormErr);
  }
  if (refusal === 'notimp') {
    if (!isOwnQuestion(packet, length, context.ownMark)) counters.count('refusedNotimp');
    return writeHeader(slot, packet, rcodeNotImp);
  }
  if (refusal === 'badvers') {
    counters.count('refusedBadvers');
    const bytes = context.answerEmpty(packet, rcodeBadVers, null);
    extendRcode(slot, query, rcodeBadVers);
    return bytes;
  }
  if (query.type === typeAxfr || query.type === typeIxfr) counters.count('refusedTransfer');
  const bytes = context.answerEmpty(packet, rcodeRefused, null);
  context.count(counters.zoneBase(table.droppedOrdinal), byNobody, length, bytes, 0);
  return bytes;
}
