/**
 * Whether an answer is cached, as what, and for how long (RFC 2308, RFC 2181 8): an upstream's or another instance's.
 */
import { type Keep, type Kind, kindDenial, kindServfail, kindSuccess } from '../cache/blocks.js';
import type { Cache, Store } from '../cache/cache.js';
import type { CacheConfig, StoreConfig } from '../config/config.js';
import { isInZone, wireToName } from '../dns/names.js';
import { leaveFirst, type Normalised, Normaliser, ttlSeconds } from '../dns/normalise.js';
import {
  atAuthorities,
  rcodeNoError,
  rcodeNotImp,
  rcodeNxDomain,
  rcodeServFail,
  setU32,
  typeNs,
  typeRrsig,
  u16,
  u32,
} from '../dns/wire.js';
import { headerBytes } from '../limits.js';

type TtlBounds = Pick<StoreConfig, 'ttlMinSeconds' | 'ttlMaxSeconds'>;
export type KeepPolicy = Pick<CacheConfig, 'servfailMs'> & Readonly<Record<'success' | 'denial', TtlBounds>>;

export interface KeepRoute {
  readonly policy: KeepPolicy;
  /** How long clients wait while a stale answer is available; Infinity: until the upstream fails. */
  readonly staleTimerMs: number;
  /** After a failed refresh the upstream is not asked again for this long. */
  readonly recheckMs: number;
  /** An answer with records, even a stale one, is not replaced by a denial while it may be used. */
  readonly preferPositive: boolean;
  /** Whether `disable` lets an answer of this kind be cached whose name is at `nameAt`. */
  keeps(kind: Kind, bytes: Uint8Array, nameAt: number): boolean;
}

export interface Kept {
  readonly kind: Kind;
  readonly lifetimeMs: number;
  /** How many records are kept, from the first one: the others end sooner. */
  readonly records: number;
}

/**
 * Sets the message's TTLs to what the policy allows and returns how to keep the message; null: not at all. `wallMs` is
 * the wall-clock time of its arrival. The message lives no longer than any of its records (RFC 1035 3.2.1), a denial no
 * longer than its SOA's MINIMUM (RFC 2308 5); records that the answer can do without are left out if they would end
 * first. Not kept: denials without a SOA, also behind an alias (RFC 2308 2.2), truncated answers, referrals, and rcodes
 * about this one exchange (REFUSED, FORMERR).
 */
export function keeping(message: Normalised, policy: KeepPolicy, wallMs: number): Kept | null {
  const { rcode, answers } = message;
  const denies = rcode === rcodeNxDomain || (rcode === rcodeNoError && !message.relevant);
  const isDenial = denies && message.negativeTtlSeconds >= 0;
  setStoredTtls(message, policy, isDenial);
  const authorityEnd = answers + u16(message.message, atAuthorities);
  const answersLast = leastSeconds(message, 0, answers, wallMs);
  const authoritiesLast = leastSeconds(message, answers, authorityEnd, wallMs);
  const canDoWithout = rcode === rcodeNoError && !denies && isOnlyNs(message, answers, authorityEnd);
  const seconds = canDoWithout ? answersLast : Math.min(answersLast, authoritiesLast);
  const additionalsLast = leastSeconds(message, authorityEnd, message.records, wallMs);
  let { records } = message;
  if (additionalsLast < seconds) records = authorityEnd;
  if (authoritiesLast < seconds) records = answers;
  if (isDenial) {
    // Clients take the SOA's own TTL for that of the whole answer (RFC 2308 3).
    setU32(message.message, message.soaTtlOffset, Math.max(0, seconds));
    return keep(message, kindDenial, seconds * 1000, records);
  }
  if (rcode === rcodeServFail || rcode === rcodeNotImp) {
    return keep(message, kindServfail, Math.min(policy.servfailMs, seconds * 1000), records);
  }
  return denies || rcode !== rcodeNoError ? null : keep(message, kindSuccess, seconds * 1000, records);
}

function keep({ truncated }: Normalised, kind: Kind, lifetimeMs: number, records: number): Kept | null {
  return truncated || lifetimeMs <= 0 ? null : { kind, lifetimeMs, records };
}

/** The lowest TTL of these records; Infinity when there are none. */
function leastSeconds({ message, ttlOffsets }: Normalised, from: number, end: number, wallMs: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let index = from; index < end; index++) {
    const at = ttlOffsets[index];
    least = Math.min(least, ttlSeconds(message, at));
    if (u16(message, at - 4) === typeRrsig) least = Math.min(least, signatureSeconds(message, at, wallMs));
  }
  return least;
}

/** How long the signature whose TTL is at `at` is valid; its end is in serial arithmetic (RFC 4034 3.1.5). */
function signatureSeconds(message: Uint8Array, at: number, wallMs: number): number {
  const data = at + 6;
  if (u16(message, at + 4) < 12) return Number.POSITIVE_INFINITY;
  return (u32(message, data + 8) - Math.floor(wallMs / 1000)) | 0;
}

/** Whether these records only name servers. Records that prove something belong to the answer (RFC 4035 3.1.3). */
function isOnlyNs({ message, ttlOffsets }: Normalised, from: number, end: number): boolean {
  for (let index = from; index < end; index++) {
    const at = ttlOffsets[index];
    const type = u16(message, at - 4);
    const covers = type === typeRrsig && u16(message, at + 4) >= 2 ? u16(message, at + 6) : type;
    if (covers !== typeNs) return false;
  }
  return true;
}

/** The SOA of a denial gets the smaller of its TTL and MINIMUM. */
function setStoredTtls(message: Normalised, policy: KeepPolicy, isDenial: boolean): void {
  const { ttlMinSeconds: min, ttlMaxSeconds: max } = isDenial ? policy.denial : policy.success;
  for (let index = 0; index < message.records; index++) {
    const at = message.ttlOffsets[index];
    setU32(message.message, at, clamp(ttlSeconds(message.message, at), min, max));
  }
  if (isDenial) setU32(message.message, message.soaTtlOffset, clamp(message.negativeTtlSeconds, min, max));
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}

export function keepRoute(cache: CacheConfig): KeepRoute {
  const { stale, preferPositive, successDisabled, denialDisabled } = cache;
  return {
    policy: cache,
    staleTimerMs: stale?.patienceMs ?? Number.POSITIVE_INFINITY,
    recheckMs: stale?.recheckMs ?? 0,
    preferPositive,
    keeps(kind, bytes, nameAt) {
      const disabled = kind === kindSuccess ? successDisabled : denialDisabled;
      if (disabled === null) return true;
      const name = wireToName(bytes, nameAt);
      return !disabled.some((zone) => isInZone(name, zone));
    },
  };
}

/** `kept` is null for a message that is only lent. Not made by spreading, which takes a tenth of a miss. */
export function keepOf(out: Normalised, kept: Kept | null, { zoneId, key }: { zoneId: number; key: number }): Keep {
  return {
    message: out.message,
    messageBytes: out.messageBytes,
    questionEnd: out.questionEnd,
    ttlOffsets: out.ttlOffsets,
    records: out.records,
    kind: kept === null ? kindSuccess : kept.kind,
    zoneId,
    key,
    lifetimeMs: kept === null ? 0 : kept.lifetimeMs,
  };
}

export interface AdoptingZone {
  readonly zoneId: number;
  readonly store: Store;
  readonly keep: KeepRoute;
  /** How long past its expiry an answer may be used. */
  readonly staleMaxMs: number;
}

interface ForeignAnswer {
  /** The message is from `from` to `end` in them. */
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly end: number;
  /** The bits of the cache key that are not in the question. */
  readonly key: number;
  /** When it came from its upstream, by our clock. */
  readonly storedAtMs: number;
}

type Moment = Readonly<Record<'nowMs' | 'wallMs', number>>;

export class Adopter {
  readonly #cache: Cache;
  readonly #normaliser: Normaliser;

  constructor(cache: Cache) {
    this.#cache = cache;
    this.#normaliser = new Normaliser(cache.blocks.hashKey);
  }

  /**
   * Keeps the answer with its age, checked and limited by our own rules, unless it is broken, a failure, or older than
   * ours. A newer answer that may not be kept ends ours. Borrows the answer until it returns.
   */
  adopt(zone: AdoptingZone, answer: ForeignAnswer, { nowMs, wallMs }: Moment): 'kept' | 'passed over' {
    if (!this.#read(answer)) return 'passed over';
    const { out } = this.#normaliser;
    if (out.rcode !== rcodeNoError && out.rcode !== rcodeNxDomain) return 'passed over';
    const storedAtMs = Math.min(answer.storedAtMs, nowMs);
    const kept = keeping(out, zone.keep.policy, wallMs - (nowMs - storedAtMs));
    if (kept !== null) leaveFirst(out, kept.records);
    const keep = keepOf(out, kept, { zoneId: zone.zoneId, key: answer.key });
    const hash = this.#cache.blocks.hashOf(keep);
    const ours = this.#cache.existing(keep, hash);
    if (ours !== 0 && this.#cache.blocks.storedAtMs(ours) >= storedAtMs) return 'passed over';
    const mayKeep =
      kept !== null &&
      zone.keep.keeps(kept.kind, out.message, headerBytes) &&
      nowMs < storedAtMs + kept.lifetimeMs + zone.staleMaxMs;
    if (mayKeep && this.#cache.keep(zone.store, keep, storedAtMs, hash, ours) !== 0) return 'kept';
    // The cache may have evicted ours to make room.
    const left = this.#cache.existing(keep);
    if (left !== 0) this.#cache.end(left);
    return 'passed over';
  }

  #read({ bytes, from, end }: ForeignAnswer): boolean {
    return this.#normaliser.readStored(bytes, from, end - from) || this.#normaliser.read(bytes.subarray(from, end));
  }
}
