/**
 * Dropping what is cached of some names, so that what a hosts file says now is what clients get. Part of the composition
 * root: between the cache, which knows blocks, and hosts files, which know names.
 */
import { atMessage } from '../cache/blocks.js';
import type { Cache, Store } from '../cache/cache.js';
import { wireToName } from '../dns/names.js';
import { headerBytes } from '../limits.js';
import type { Clock } from '../os/clock.js';
import { finishNow, inTurns } from '../scheduling/slices.js';

export class Forgetting {
  readonly #cache: Cache;
  readonly #clock: Clock;
  readonly #underWay = new Set<Generator<void, void>>();

  constructor(cache: Cache, clock: Clock) {
    this.#cache = cache;
    this.#clock = clock;
  }

  /** Drops what is kept of them some at a time: all that a store holds is looked at. */
  names(store: Store, isAbout: (name: string) => boolean): void {
    const { bytes } = this.#cache.blocks;
    const slices = this.#cache.forgetInSlices(store, (ref) =>
      isAbout(wireToName(bytes, ref + atMessage + headerBytes)),
    );
    this.#underWay.add(slices);
    void inTurns(this.#clock, slices).finally(() => this.#underWay.delete(slices));
  }

  /** Does at once what is left to do: what is kept is about to be moved to where nobody would look for it. */
  finish(): void {
    for (const slices of this.#underWay) finishNow(slices);
  }
}
