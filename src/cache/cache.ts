/**
 * What stays in memory: two stores for each server block with a cache, success and denial. They hold block references, so
 * a name is held once, in its block. Only the main thread writes the index.
 */
import { answerSourcesMax, chainEntriesMax, entriesPerSlice } from '../limits.js';
import { Allocator } from './allocator.js';
import {
  atRecheck,
  type BlockRef,
  type Blocks,
  blockBytesOf,
  type Keep,
  type Kind,
  kindSuccess,
  onFailureOnly,
} from './blocks.js';
import type { Epochs } from './epochs.js';
import { SegmentedLru } from './segmented-lru.js';

/** The entries of one server block; `success` holds kindSuccess, `denial` the rest. */
export interface Store {
  readonly success: SegmentedLru;
  readonly denial: SegmentedLru;
  /** Entries evicted for lack of room, not replaced or expired ones. */
  evictedSuccess: number;
  evictedDenial: number;
}

interface Capacities {
  readonly successEntriesMax: number;
  readonly denialEntriesMax: number;
}

interface CacheEvents {
  /** An entry was evicted because another size class needed its memory. */
  readonly evictedForMemory?: (() => void) | undefined;
  /** An answer was not stored because its hash chain is full. */
  readonly crowded?: (() => void) | undefined;
  readonly kept?: (ref: BlockRef) => void;
  /** The entry has left its store; its memory is not used again before this returns. */
  readonly left?: ((ref: BlockRef) => void) | undefined;
  /** A newer answer, which is not stored, ends this one. */
  readonly ended?: (ref: BlockRef) => void;
}

export class Cache {
  readonly blocks: Blocks;
  readonly #allocator: Allocator;
  readonly #told: CacheEvents;
  /** Stores that have held something since they were dissolved. */
  readonly #stores = new Set<Store>();
  /** By their number; 0 is nobody. */
  readonly #sources: string[] = [''];
  readonly #evictForMemory = (ref: BlockRef): void => {
    if (this.#drop(ref)) this.#told.evictedForMemory?.();
  };

  /** `epochs` of the workers; without workers nothing waits. */
  constructor(blocks: Blocks, bytesMax?: number, epochs?: Epochs, told: CacheEvents = {}) {
    this.blocks = blocks;
    this.#allocator = new Allocator(blocks, bytesMax, epochs);
    this.#told = told;
  }

  newStore(capacities: Capacities): Store {
    const store: Store = {
      success: this.#newLru(capacities.successEntriesMax, () => store.evictedSuccess++),
      denial: this.#newLru(capacities.denialEntriesMax, () => store.evictedDenial++),
      evictedSuccess: 0,
      evictedDenial: 0,
    };
    return store;
  }

  /**
   * Stores a copy in place of the answer to the same question; 0 without memory or with a full chain. Callers that have
   * the question's hash, and have looked for the old answer, give both.
   */
  keep(
    store: Store,
    answer: Keep,
    nowMs: number,
    hash = this.blocks.hashOf(answer),
    old = this.existing(answer, hash),
  ): BlockRef {
    const { blocks } = this;
    const oldLru = old === 0 ? null : lruOf(store, blocks.kind(old));
    const lru = lruOf(store, answer.kind);
    const ref = this.borrow(answer, nowMs, hash);
    if (ref === 0) return 0;
    // A replacement makes the chain no longer.
    if (oldLru === null && blocks.chainBlocks(ref) >= chainEntriesMax) {
      this.#allocator.release(ref);
      this.#told.crowded?.();
      return 0;
    }
    if (lru.size === 0) this.#stores.add(store);
    if (oldLru === lru) lru.succeed(old, ref);
    else lru.add(ref);
    blocks.publish(ref);
    // After the new one, so that readers find either. Making room may already have evicted the old one, and the new one
    // may be in its memory.
    if (oldLru !== null && old !== ref && !oldLru.delete(old)) this.#drop(old);
    this.#told.kept?.(ref);
    return ref;
  }

  /** Notes which upstream sent the cached answer, for those who ask; of very many upstreams the last are not noted. */
  cameFrom(ref: BlockRef, upstream: string): void {
    let source = this.#sources.indexOf(upstream);
    if (source < 0 && this.#sources.length < answerSourcesMax) source = this.#sources.push(upstream) - 1;
    if (source > 0) this.blocks.setSource(ref, source);
  }

  /** The upstream that sent the answer; null: nobody has noted it. */
  sourceOf(ref: BlockRef): string | null {
    const source = this.blocks.source(ref);
    return source === 0 ? null : this.#sources[source];
  }

  /** Writes the answer into unpublished memory, for `release`; 0 without memory. */
  borrow(answer: Keep, nowMs: number, hash = this.blocks.hashOf(answer)): BlockRef {
    const bytes = blockBytesOf(answer);
    const ref = this.#allocator.allocate(bytes, this.#evictForMemory);
    if (ref !== 0) this.blocks.write(ref, answer, nowMs, hash);
    return ref;
  }

  release(ref: BlockRef): void {
    this.#allocator.release(ref);
  }

  /** The block for the same question; 0 without one. */
  existing(answer: Keep, hash = this.blocks.hashOf(answer)): BlockRef {
    return this.blocks.findForWriter(hash, answer);
  }

  /** Records a failed refresh; the next one not before `recheckAtMs`. */
  refreshFailed(ref: BlockRef, recheckAtMs: number): void {
    this.blocks.doubles[(ref + atRecheck) >> 3] = recheckAtMs;
  }

  /** Records that the upstream has newer answers that do not replace this one; expired, it serves failures only. */
  leaveForFailure(ref: BlockRef): void {
    this.blocks.doubles[(ref + atRecheck) >> 3] = onFailureOnly;
  }

  /** Drops an answer that a newer one, which is not stored, has ended. */
  end(ref: BlockRef): void {
    this.#told.ended?.(ref);
    this.#drop(ref);
  }

  /**
   * Moves the entries for which `to` names another store, some per slice; their blocks stay, so every query finds them
   * meanwhile. If all go to one store of the same capacity, as in most reloads, they go at once, and only those that
   * it has got meanwhile are moved.
   */
  *move(store: Store, to: (zoneId: number) => Store | null): Generator<void, void> {
    for (const side of ['success', 'denial'] as const) {
      const all = yield* this.#homeOfAll(store[side], (zoneId) => to(zoneId) ?? store);
      if (all !== null && all !== store && all[side].entriesMax === store[side].entriesMax) {
        this.#stores.add(all);
        all[side].exchange(store[side]);
      }
      for (const ref of inSlices(store[side])) {
        if (ref === null) {
          yield;
          continue;
        }
        const home = to(this.blocks.zoneId(ref)) ?? store;
        if (home === store) continue;
        this.#stores.add(home);
        store[side].move(ref, home[side]);
      }
    }
  }

  /** The store that is the home of all these entries; null without one. */
  *#homeOfAll(lru: SegmentedLru, homeOf: (zoneId: number) => Store): Generator<void, Store | null> {
    let all: Store | null = null;
    for (const ref of inSlices(lru)) {
      if (ref === null) {
        yield;
        continue;
      }
      const home = homeOf(this.blocks.zoneId(ref));
      if (all !== null && home !== all) return null;
      all = home;
    }
    return all;
  }

  /** Drops the entries for which `isGone` is true, oldest first, some per slice; new entries stay. */
  *forget(store: Store, isGone: (ref: BlockRef) => boolean): Generator<void, void> {
    for (const lru of [store.success, store.denial]) {
      for (const ref of inSlices(lru)) {
        if (ref === null) yield;
        else if (isGone(ref)) lru.delete(ref);
      }
    }
  }

  /** Drops all entries, some per slice; the store gets no new ones. */
  *dissolve(store: Store): Generator<void, void> {
    yield* this.forget(store, () => true);
    this.#stores.delete(store);
  }

  /** The entries of every store in slices, those about to be evicted first; each may be gone when its turn comes. */
  *refs(): Generator<readonly BlockRef[], void> {
    for (const { success, denial } of this.#stores) {
      yield* slicesOf(success);
      yield* slicesOf(denial);
    }
  }

  /** Whether the block is an entry's; only the block tells which. */
  holds(ref: BlockRef): boolean {
    for (const { success, denial } of this.#stores) if (success.has(ref) || denial.has(ref)) return true;
    return false;
  }

  get usedBytes(): number {
    return this.#allocator.usedBytes;
  }

  /** However an entry leaves its store, its block is unpublished and freed. */
  #newLru(entriesMax: number, evicted: () => void): SegmentedLru {
    return new SegmentedLru({
      entriesMax,
      words: this.blocks.words,
      evicted,
      left: (ref) => {
        this.blocks.unpublish(ref);
        this.#told.left?.(ref);
        this.#allocator.retire(ref);
      },
    });
  }

  #drop(ref: BlockRef): boolean {
    for (const { success, denial } of this.#stores) if (success.delete(ref) || denial.delete(ref)) return true;
    return false;
  }
}

/** The entries that are still there when their turn comes, and null at the end of a slice. */
function* inSlices(lru: SegmentedLru): Generator<BlockRef | null, void> {
  for (const slice of slicesOf(lru)) {
    yield null;
    // The entry may be gone, or its memory reused.
    for (const ref of slice) if (lru.has(ref)) yield ref;
  }
}

function* slicesOf(lru: SegmentedLru): Generator<readonly BlockRef[], void> {
  for (const part of lru.oldestFirst()) {
    for (let at = 0; at < part.length; at += entriesPerSlice) yield part.slice(at, at + entriesPerSlice);
  }
}

function lruOf(store: Store, kind: Kind): SegmentedLru {
  return kind === kindSuccess ? store.success : store.denial;
}
