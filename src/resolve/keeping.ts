/**
 * What is kept of an upstream's answer, as what, and for how long (RFC 2308, RFC 2181 8). Pure: it reads the facts
 * of a normalised message and the zone's settings, and sets the TTLs that clients will see.
 */

import { type Kind, kindDenial, kindServfail, kindSuccess } from '../cache/blocks.js';
import type { Keep } from '../cache/cache.js';
import type { CacheConfig } from '../config/config.js';
import { isInZone, wireToName } from '../dns/names.js';
import { type Normalised, ttlSeconds } from '../dns/normalise.js';
import { rcodeNoError, rcodeNotImp, rcodeNxDomain, rcodeServFail, setU32 } from '../dns/wire.js';

/** The settings of a `cache` directive that decide about keeping. */
export interface KeepPolicy {
  readonly successTtlMinSeconds: number;
  readonly successTtlMaxSeconds: number;
  readonly denialTtlMinSeconds: number;
  readonly denialTtlMaxSeconds: number;
  readonly servfailMs: number;
}

export interface Kept {
  readonly kind: Kind;
  readonly lifetimeMs: number;
}

/**
 * Sets the message's TTLs to what the policy allows, and says how it is to be kept; null: not at all. Negative
 * answers live as long as the smaller of their SOA's TTL and MINIMUM (RFC 2308 5), and not without a SOA;
 * truncated ones, referrals and rcodes that speak of this one exchange only (REFUSED, FORMERR) are not kept.
 */
export function keeping(message: Normalised, policy: KeepPolicy): Kept | null {
  const negative = message.rcode === rcodeNxDomain || (message.rcode === rcodeNoError && !message.relevant);
  if (negative && message.negativeTtlSeconds >= 0) {
    const ttl = clamp(message.negativeTtlSeconds, policy.denialTtlMinSeconds, policy.denialTtlMaxSeconds);
    clampTtls(message, policy.denialTtlMinSeconds, policy.denialTtlMaxSeconds);
    // Clients take the SOA record's own TTL for the whole answer's (RFC 2308 3).
    setU32(message.message, message.soaTtlOffset, ttl);
    return keep(message, kindDenial, ttl * 1000);
  }
  clampTtls(message, policy.successTtlMinSeconds, policy.successTtlMaxSeconds);
  if (message.rcode === rcodeServFail || message.rcode === rcodeNotImp) {
    return keep(message, kindServfail, policy.servfailMs);
  }
  if (message.rcode !== rcodeNoError || message.answers === 0) return null;
  const ttl = clamp(message.answerTtlSeconds, policy.successTtlMinSeconds, policy.successTtlMaxSeconds);
  return keep(message, kindSuccess, ttl * 1000);
}

function keep(message: Normalised, kind: Kind, lifetimeMs: number): Kept | null {
  return message.truncated || lifetimeMs <= 0 ? null : { kind, lifetimeMs };
}

function clampTtls(message: Normalised, minSeconds: number, maxSeconds: number): void {
  for (let index = 0; index < message.records; index++) {
    const at = message.ttlOffsets[index];
    setU32(message.message, at, clamp(ttlSeconds(message.message, at), minSeconds, maxSeconds));
  }
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}

/** The part of a `cache` directive that decides about keeping. */
export function keepPolicy(cache: CacheConfig): KeepPolicy {
  return {
    successTtlMinSeconds: cache.success.ttlMinSeconds,
    successTtlMaxSeconds: cache.success.ttlMaxSeconds,
    denialTtlMinSeconds: cache.denial.ttlMinSeconds,
    denialTtlMaxSeconds: cache.denial.ttlMaxSeconds,
    servfailMs: cache.servfailMs,
  };
}

/** Whether `disable` lets an answer of this kind to this question be kept. */
export function keepsFor(cache: CacheConfig): (kind: Kind, question: Uint8Array) => boolean {
  const success = cache.successDisabled;
  const denial = cache.denialDisabled;
  if (success === null && denial === null) return () => true;
  return (kind, question) => {
    const disabled = kind === kindSuccess ? success : denial;
    if (disabled === null) return true;
    const name = wireToName(question, 0);
    return !disabled.some((zone) => isInZone(name, zone));
  };
}

/** The message as the cache takes it. Written out, because spreading objects into one takes a tenth of a miss. */
export function keepOf(
  out: Normalised,
  kind: Kind,
  lifetimeMs: number,
  { zoneId, key }: { zoneId: number; key: number },
): Keep {
  return {
    message: out.message,
    messageBytes: out.messageBytes,
    questionEnd: out.questionEnd,
    ttlOffsets: out.ttlOffsets,
    records: out.records,
    kind,
    zoneId,
    key,
    lifetimeMs,
  };
}
