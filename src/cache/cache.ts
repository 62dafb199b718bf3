/**
 * What stays in memory. Each server block with a cache has two stores, success and denial; each is an lru-cache
 * whose keys are places in the shared memory, so that a name is held once, in its block, and an entry costs lru-cache
 * nothing but a number. The one writer of the index: answering code finds blocks, this puts them there.
 */
import { LRUCache } from 'lru-cache';
import { hashQuestion } from '../dns/hash.js';
import { chainEntriesMax, entriesSparedMax, headerBytes } from '../limits.js';
import { Allocator } from './allocator.js';
import {
  atExpires,
  atHits,
  atKey,
  atKind,
  atLastHit,
  atLifetime,
  atMessage,
  atMessageBytes,
  atNext,
  atRecheck,
  atRecords,
  atStored,
  atTouched,
  atZone,
  type BlockRef,
  type Blocks,
  type Kind,
  kindSuccess,
  onFailureOnly,
  touchedForOrder,
} from './blocks.js';
import type { Epochs } from './epochs.js';

/** The entries of one server block; `success` also holds what `kindSuccess` says, `denial` all else. */
export interface Store {
  readonly success: LRUCache<BlockRef, BlockRef>;
  readonly denial: LRUCache<BlockRef, BlockRef>;
  /** Entries thrown out for want of room, not those replaced or outlived. */
  evictedSuccess: number;
  evictedDenial: number;
}

/** An answer to be kept: a message in stored form, its records' TTL offsets, and when it is good. */
export interface Keep {
  readonly message: Uint8Array;
  readonly messageBytes: number;
  readonly questionEnd: number;
  readonly ttlOffsets: Uint16Array;
  readonly records: number;
  readonly kind: Kind;
  readonly zoneId: number;
  readonly key: number;
  readonly lifetimeMs: number;
}

/** What an entry counts in an lru-cache whose size is its number of entries. */
const oneEntry = { size: 1 } as const;

export interface Capacities {
  readonly successEntriesMax: number;
  readonly denialEntriesMax: number;
}

export interface Cache {
  readonly blocks: Blocks;
  /** An empty store. */
  newStore(capacities: Capacities): Store;
  /** Keeps a copy of the answer in place of the one for the same question; 0 when there is no memory for it, or its chain is full. */
  keep(store: Store, answer: Keep, nowMs: number): BlockRef;
  /** Writes the answer into memory that nobody can find, for `release`; 0 when there is none. */
  borrow(answer: Keep, nowMs: number): BlockRef;
  release(ref: BlockRef): void;
  /** The block for the same question, to be replaced; 0 when there is none. */
  existing(answer: Keep): BlockRef;
  /** Notes that a refresh failed: no other is worth trying before `recheckAtMs`. */
  refreshFailed(ref: BlockRef, recheckAtMs: number): void;
  /** Notes that the upstream has newer answers that do not replace this one: once expired it is given on failure alone. */
  leaveForFailure(ref: BlockRef): void;
  /** Drops an answer because a newer one, which is not kept, has ended it. */
  end(ref: BlockRef): void;
  /** Moves the entries for which `to` names another store, oldest first; the others stay. */
  move(store: Store, to: (zoneId: number) => Store | null): void;
  /** Drops what a store holds. */
  dissolve(store: Store): void;
  /** Drops of a store what `isGone` says, from its oldest to its youngest, some each time. What comes meanwhile stays. */
  forgetInSlices(store: Store, isGone: (ref: BlockRef) => boolean): Generator<void, void>;
  /** All that is kept, of each store from the least to the most recently used. */
  refs(): BlockRef[];
  /** Whether something is kept in this block; what, only the block says. */
  holds(ref: BlockRef): boolean;
  readonly usedBytes: number;
}

/** What others want to know as it happens. */
export interface CacheEvents {
  /** An entry was thrown out so that its memory could be used for another size of answer. */
  readonly evictedForMemory?: (() => void) | undefined;
  /** An answer is not kept: the chain of its hash has as many blocks as a reader may have to walk. */
  readonly crowded?: (() => void) | undefined;
  /** An answer is kept from now on. */
  readonly kept?: (ref: BlockRef) => void;
  /** An answer is about to be dropped because a newer one, which is not kept, has ended it. */
  readonly ended?: (ref: BlockRef) => void;
}

/** Entries looked at in one go: half a millisecond of work. */
const forgottenPerSlice = 100;

/**
 * `epochs` are those in which answering threads read; without threads there is nobody to wait for.
 */
export function createCache(blocks: Blocks, bytesMax?: number, epochs?: Epochs, told: CacheEvents = {}): Cache {
  const allocator = new Allocator(blocks, bytesMax, epochs);
  /** Those that have held something, since they were last dissolved. */
  const stores = new Set<Store>();
  /** Entries leave one lru-cache for another; their blocks stay. */
  let moving = false;

  function newStore(capacities: Capacities): Store {
    const store: Store = {
      success: newLru(capacities.successEntriesMax, () => store.evictedSuccess++),
      denial: newLru(capacities.denialEntriesMax, () => store.evictedDenial++),
      evictedSuccess: 0,
      evictedDenial: 0,
    };
    return store;
  }

  /** However an entry leaves an lru-cache, its block leaves the index and its memory is free. */
  function newLru(max: number, evicted: () => void): LRUCache<BlockRef, BlockRef> {
    return new LRUCache<BlockRef, BlockRef>({
      // By `max` it would take the memory for all entries at once: 2.8 MB for 100,000, whether they ever come or not.
      maxSize: max,
      dispose(ref, _key, reason) {
        if (moving) return;
        if (reason === 'evict') evicted();
        letGo(ref);
      },
    });
  }

  function evictForMemory(ref: BlockRef): void {
    if (drop(ref)) told.evictedForMemory?.();
  }

  function drop(ref: BlockRef): boolean {
    for (const { success, denial } of stores) if (success.delete(ref) || denial.delete(ref)) return true;
    return false;
  }

  function borrow(answer: Keep, nowMs: number): BlockRef {
    const bytes = ((atMessage + answer.messageBytes + 1) & ~1) + 2 * answer.records;
    const ref = allocator.allocate(bytes, evictForMemory);
    if (ref !== 0) write(ref, answer, nowMs);
    return ref;
  }

  function write(ref: BlockRef, answer: Keep, nowMs: number): void {
    const { bytes, halves, words, doubles } = blocks;
    const salt = (answer.zoneId << 2) | answer.key;
    words[ref >> 2] = hashQuestion(answer.message, headerBytes, answer.questionEnd, blocks.hashKey, salt);
    doubles[(ref + atStored) >> 3] = nowMs;
    doubles[(ref + atExpires) >> 3] = nowMs + answer.lifetimeMs;
    doubles[(ref + atRecheck) >> 3] = 0;
    doubles[(ref + atLastHit) >> 3] = nowMs;
    words[(ref + atHits) >> 2] = 0;
    words[(ref + atTouched) >> 2] = 0;
    halves[(ref + atZone) >> 1] = answer.zoneId;
    bytes[ref + atKey] = answer.key;
    bytes[ref + atKind] = answer.kind;
    halves[(ref + atMessageBytes) >> 1] = answer.messageBytes;
    halves[(ref + atRecords) >> 1] = answer.records;
    words[(ref + atLifetime) >> 2] = Math.min(answer.lifetimeMs, 2 ** 31 - 1);
    bytes.set(answer.message.subarray(0, answer.messageBytes), ref + atMessage);
    halves.set(answer.ttlOffsets.subarray(0, answer.records), blocks.ttlOffsets(ref));
  }

  function keep(store: Store, answer: Keep, nowMs: number): BlockRef {
    const old = existing(answer);
    const oldLru = old === 0 ? null : storeOf(store, old);
    const lru = answer.kind === kindSuccess ? store.success : store.denial;
    if (lru.size >= lru.maxSize) spareTouched(lru);
    const ref = borrow(answer, nowMs);
    if (ref === 0) return 0;
    // One that takes an older one's place makes the chain no longer.
    if (oldLru === null && blocks.chainBlocks(ref) >= chainEntriesMax) {
      allocator.release(ref);
      told.crowded?.();
      return 0;
    }
    if (lru.size === 0) stores.add(store);
    lru.set(ref, ref, oneEntry);
    publish(ref);
    // Only now, so that a reader finds one or the other. Making room may have let go of the old one already, and
    // the new one may even stand in its place.
    if (oldLru !== null && old !== ref) oldLru.delete(old);
    told.kept?.(ref);
    return ref;
  }

  function storeOf(store: Store, ref: BlockRef): LRUCache<BlockRef, BlockRef> {
    return blocks.kind(ref) === kindSuccess ? store.success : store.denial;
  }

  /**
   * Brings what was used since it was last looked at to the young end, until the oldest is one that was not. Where nearly
   * all is in use, one of them has to go whatever is looked at: a few are spared, not a whole store walked.
   */
  function spareTouched(lru: LRUCache<BlockRef, BlockRef>): void {
    for (let left = Math.min(lru.size, entriesSparedMax); left > 0; left--) {
      const oldest = lru.rkeys().next().value as BlockRef;
      const touched = (oldest + atTouched) >> 2;
      if ((blocks.words[touched] & touchedForOrder) === 0) return;
      blocks.words[touched] &= ~touchedForOrder;
      lru.get(oldest);
    }
  }

  function existing(answer: Keep): BlockRef {
    const { message, questionEnd, zoneId, key } = answer;
    return blocks.find(message, questionEnd, zoneId, key);
  }

  function publish(ref: BlockRef): void {
    const head = blocks.chain(ref);
    blocks.words[(ref + atNext) >> 2] = blocks.words[head];
    Atomics.store(blocks.words, head, ref);
  }

  function unpublish(ref: BlockRef): void {
    let link = blocks.chain(ref);
    while (blocks.words[link] !== 0 && blocks.words[link] !== ref) link = (blocks.words[link] + atNext) >> 2;
    if (blocks.words[link] === ref) Atomics.store(blocks.words, link, blocks.words[(ref + atNext) >> 2]);
  }

  function move(store: Store, to: (zoneId: number) => Store | null): void {
    for (const side of ['success', 'denial'] as const) {
      const moved = [...store[side].rkeys()].map((ref) => ({ ref, home: to(blocks.zoneId(ref)) ?? store }));
      moving = true;
      try {
        store[side].clear();
      } finally {
        moving = false;
      }
      for (const { ref, home } of moved) {
        stores.add(home);
        home[side].set(ref, ref, oneEntry);
      }
    }
  }

  function dissolve(store: Store): void {
    stores.delete(store);
    store.success.clear();
    store.denial.clear();
  }

  function* forgetInSlices(store: Store, isGone: (ref: BlockRef) => boolean): Generator<void, void> {
    for (const lru of [store.success, store.denial]) {
      for (const [index, ref] of [...lru.rkeys()].entries()) {
        if (index % forgottenPerSlice === 0) yield;
        // It may have gone, or something else may be in the block by now.
        if (lru.has(ref) && isGone(ref)) lru.delete(ref);
      }
    }
  }

  function letGo(ref: BlockRef): void {
    unpublish(ref);
    allocator.retire(ref);
  }

  return {
    blocks,
    newStore,
    keep,
    borrow,
    release: (ref) => allocator.release(ref),
    existing,
    refreshFailed(ref, recheckAtMs) {
      blocks.doubles[(ref + atRecheck) >> 3] = recheckAtMs;
    },
    leaveForFailure(ref) {
      blocks.doubles[(ref + atRecheck) >> 3] = onFailureOnly;
    },
    end(ref) {
      told.ended?.(ref);
      drop(ref);
    },
    move,
    dissolve,
    forgetInSlices,
    refs: () => [...stores].flatMap(({ success, denial }) => [...success.rkeys(), ...denial.rkeys()]),
    holds(ref) {
      for (const { success, denial } of stores) if (success.has(ref) || denial.has(ref)) return true;
      return false;
    },
    get usedBytes() {
      return allocator.usedBytes;
    },
  };
}
