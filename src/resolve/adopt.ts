/**
 * Answers that another process or an earlier one has kept, taken in as if they had come from an upstream when they
 * did: read, checked and limited by our own rules, and no younger than they are. What is not good is passed over.
 */
import { kindServfail } from '../cache/blocks.js';
import type { Cache, Store } from '../cache/cache.js';
import { Normaliser } from '../dns/normalise.js';
import { headerBytes } from '../limits.js';
import { keeping, keepOf } from './keeping.js';
import type { KeepRoute } from './route.js';

/** A zone that is served here, with a cache. */
export interface AdoptingZone {
  readonly zoneId: number;
  readonly store: Store;
  readonly keep: KeepRoute;
  /** How long past its expiry an answer may be used. */
  readonly staleMaxMs: number;
}

export interface ForeignAnswer {
  readonly message: Uint8Array;
  /** The cache key's bits that are not in the question. */
  readonly key: number;
  /** When it came, by our clock. */
  readonly storedAtMs: number;
}

export class Adopter {
  readonly #cache: Cache;
  readonly #normaliser = new Normaliser();

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  /** Keeps the answer, unless it is broken, too old, or older than what we have. Borrows it until it returns. */
  adopt(zone: AdoptingZone, answer: ForeignAnswer, nowMs: number): 'kept' | 'passed over' {
    if (!this.#normaliser.read(answer.message)) return 'passed over';
    const { out } = this.#normaliser;
    const kept = keeping(out, zone.keep.policy);
    if (kept === null || kept.kind === kindServfail) return 'passed over';
    if (!zone.keep.keeps(kept.kind, out.message.subarray(headerBytes, out.questionEnd))) return 'passed over';
    const storedAtMs = Math.min(answer.storedAtMs, nowMs);
    if (nowMs >= storedAtMs + kept.lifetimeMs + zone.staleMaxMs) return 'passed over';
    const keep = keepOf(out, kept.kind, kept.lifetimeMs, { zoneId: zone.zoneId, key: answer.key });
    const ours = this.#cache.existing(keep);
    if (ours !== 0 && this.#cache.blocks.storedAtMs(ours) >= storedAtMs) return 'passed over';
    return this.#cache.keep(zone.store, keep, storedAtMs) === 0 ? 'passed over' : 'kept';
  }
}
