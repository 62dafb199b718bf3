/**
 * Answers that another process or an earlier one has kept, taken in as if they had come from an upstream when they
 * did: read, checked and limited by our own rules, and no younger than they are. What is not good is passed over.
 */
import type { Cache, Store } from '../cache/cache.js';
import { leaveFirst, Normaliser } from '../dns/normalise.js';
import { rcodeNoError, rcodeNxDomain } from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import { keeping, keepOf } from './cacheability.js';
import type { KeepRoute } from './route.js';

/** A zone that is served here, with a cache. */
export interface AdoptingZone {
  readonly zoneId: number;
  readonly store: Store;
  readonly keep: KeepRoute;
  /** How long past its expiry an answer may be used. */
  readonly staleMaxMs: number;
}

interface ForeignAnswer {
  readonly message: Uint8Array;
  /** The cache key's bits that are not in the question. */
  readonly key: number;
  /** When it came, by our clock. */
  readonly storedAtMs: number;
}

/** One moment by both clocks. */
interface Moment {
  readonly nowMs: number;
  readonly wallMs: number;
}

export class Adopter {
  readonly #cache: Cache;
  readonly #normaliser: Normaliser;

  constructor(cache: Cache) {
    this.#cache = cache;
    this.#normaliser = new Normaliser(cache.blocks.hashKey);
  }

  /**
   * Keeps the answer, unless it is broken, a failure, or older than ours. A newer answer that may not be kept ends ours.
   * Borrows the answer until it returns.
   */
  adopt(zone: AdoptingZone, answer: ForeignAnswer, { nowMs, wallMs }: Moment): 'kept' | 'passed over' {
    if (!this.#normaliser.read(answer.message)) return 'passed over';
    const { out } = this.#normaliser;
    if (out.rcode !== rcodeNoError && out.rcode !== rcodeNxDomain) return 'passed over';
    const storedAtMs = Math.min(answer.storedAtMs, nowMs);
    const kept = keeping(out, zone.keep.policy, wallMs - (nowMs - storedAtMs));
    if (kept !== null) leaveFirst(out, kept.records);
    const keep = keepOf(out, kept, { zoneId: zone.zoneId, key: answer.key });
    const ours = this.#cache.existing(keep);
    if (ours !== 0 && this.#cache.blocks.storedAtMs(ours) >= storedAtMs) return 'passed over';
    const mayKeep =
      kept !== null &&
      zone.keep.keeps(kept.kind, out.message.subarray(headerBytes, out.questionEnd)) &&
      nowMs < storedAtMs + kept.lifetimeMs + zone.staleMaxMs;
    if (mayKeep && this.#cache.keep(zone.store, keep, storedAtMs) !== 0) return 'kept';
    // To make room the cache may have dropped ours already.
    const left = this.#cache.existing(keep);
    if (left !== 0) this.#cache.end(left);
    return 'passed over';
  }
}
