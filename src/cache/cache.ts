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

interface Capacities {
  readonly successEntriesMax: number;
  readonly denialEntriesMax: number;
}

/** What others want to know as it happens. */
interface CacheEvents {
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

/** The stores and the memory that their entries share. */
export class Cache {
  readonly blocks: Blocks;
  readonly #allocator: Allocator;
  readonly #told: CacheEvents;
  /** Those that have held something, since they were last dissolved. */
  readonly #stores = new Set<Store>();
  readonly #evictForMemory = (ref: BlockRef): void => {
    if (this.#drop(ref)) this.#told.evictedForMemory?.();
  };
  /** Entries leave one lru-cache for another; their blocks stay. */
  #isMoving = false;

  /** `epochs` are those in which answering threads read; without threads there is nobody to wait for. */
  constructor(blocks: Blocks, bytesMax?: number, epochs?: Epochs, told: CacheEvents = {}) {
    this.blocks = blocks;
    this.#allocator = new Allocator(blocks, bytesMax, epochs);
    this.#told = told;
  }

  /** An empty store. */
  newStore(capacities: Capacities): Store {
    const store: Store = {
      success: this.#newLru(capacities.successEntriesMax, () => store.evictedSuccess++),
      denial: this.#newLru(capacities.denialEntriesMax, () => store.evictedDenial++),
      evictedSuccess: 0,
      evictedDenial: 0,
    };
    return store;
  }

  /** Keeps a copy of the answer in place of the one for the same question; 0 when there is no memory for it, or its chain is full. */
  keep(store: Store, answer: Keep, nowMs: number): BlockRef {
    const { blocks } = this;
    const old = this.existing(answer);
    const oldLru = old === 0 ? null : lruOf(store, blocks.kind(old));
    const lru = lruOf(store, answer.kind);
    if (lru.size >= lru.maxSize) spareTouched(lru, blocks.words);
    const ref = this.borrow(answer, nowMs);
    if (ref === 0) return 0;
    // One that takes an older one's place makes the chain no longer.
    if (oldLru === null && blocks.chainBlocks(ref) >= chainEntriesMax) {
      this.#allocator.release(ref);
      this.#told.crowded?.();
      return 0;
    }
    if (lru.size === 0) this.#stores.add(store);
    lru.set(ref, ref, oneEntry);
    publish(blocks, ref);
    // Only now, so that a reader finds one or the other. Making room may have let go of the old one already, and
    // the new one may even stand in its place.
    if (oldLru !== null && old !== ref) oldLru.delete(old);
    this.#told.kept?.(ref);
    return ref;
  }

  /** Writes the answer into memory that nobody can find, for `release`; 0 when there is none. */
  borrow(answer: Keep, nowMs: number): BlockRef {
    const bytes = ((atMessage + answer.messageBytes + 1) & ~1) + 2 * answer.records;
    const ref = this.#allocator.allocate(bytes, this.#evictForMemory);
    if (ref !== 0) write(this.blocks, ref, answer, nowMs);
    return ref;
  }

  release(ref: BlockRef): void {
    this.#allocator.release(ref);
  }

  /** The block for the same question, to be replaced; 0 when there is none. */
  existing({ message, questionEnd, zoneId, key }: Keep): BlockRef {
    return this.blocks.find(message, questionEnd, zoneId, key);
  }

  /** Notes that a refresh failed: no other is worth trying before `recheckAtMs`. */
  refreshFailed(ref: BlockRef, recheckAtMs: number): void {
    this.blocks.doubles[(ref + atRecheck) >> 3] = recheckAtMs;
  }

  /** Notes that the upstream has newer answers that do not replace this one: once expired it is given on failure alone. */
  leaveForFailure(ref: BlockRef): void {
    this.blocks.doubles[(ref + atRecheck) >> 3] = onFailureOnly;
  }

  /** Drops an answer because a newer one, which is not kept, has ended it. */
  end(ref: BlockRef): void {
    this.#told.ended?.(ref);
    this.#drop(ref);
  }

  /** Moves the entries for which `to` names another store, oldest first; the others stay. */
  move(store: Store, to: (zoneId: number) => Store | null): void {
    for (const side of ['success', 'denial'] as const) {
      const moved = [...store[side].rkeys()].map((ref) => ({ ref, home: to(this.blocks.zoneId(ref)) ?? store }));
      this.#isMoving = true;
      try {
        store[side].clear();
      } finally {
        this.#isMoving = false;
      }
      for (const { ref, home } of moved) {
        this.#stores.add(home);
        home[side].set(ref, ref, oneEntry);
      }
    }
  }

  /** Drops what a store holds. */
  dissolve(store: Store): void {
    this.#stores.delete(store);
    store.success.clear();
    store.denial.clear();
  }

  /** Drops of a store what `isGone` says, from its oldest to its youngest, some each time. What comes meanwhile stays. */
  *forgetInSlices(store: Store, isGone: (ref: BlockRef) => boolean): Generator<void, void> {
    for (const lru of [store.success, store.denial]) {
      for (const [index, ref] of [...lru.rkeys()].entries()) {
        if (index % forgottenPerSlice === 0) yield;
        // It may have gone, or something else may be in the block by now.
        if (lru.has(ref) && isGone(ref)) lru.delete(ref);
      }
    }
  }

  /** All that is kept, of each store from the least to the most recently used. */
  refs(): BlockRef[] {
    return [...this.#stores].flatMap(({ success, denial }) => [...success.rkeys(), ...denial.rkeys()]);
  }

  /** Whether something is kept in this block; what, only the block says. */
  holds(ref: BlockRef): boolean {
    for (const { success, denial } of this.#stores) if (success.has(ref) || denial.has(ref)) return true;
    return false;
  }

  get usedBytes(): number {
    return this.#allocator.usedBytes;
  }

  /** However an entry leaves an lru-cache, its block leaves the index and its memory is free. */
  #newLru(max: number, evicted: () => void): LRUCache<BlockRef, BlockRef> {
    return new LRUCache<BlockRef, BlockRef>({
      // By `max` it would take the memory for all entries at once: 2.8 MB for 100,000, whether they ever come or not.
      maxSize: max,
      dispose: (ref, _key, reason) => {
        if (this.#isMoving) return;
        if (reason === 'evict') evicted();
        unpublish(this.blocks, ref);
        this.#allocator.retire(ref);
      },
    });
  }

  #drop(ref: BlockRef): boolean {
    for (const { success, denial } of this.#stores) if (success.delete(ref) || denial.delete(ref)) return true;
    return false;
  }
}

function lruOf(store: Store, kind: Kind): LRUCache<BlockRef, BlockRef> {
  return kind === kindSuccess ? store.success : store.denial;
}

/**
 * Brings what was used since it was last looked at to the young end, until the oldest is one that was not. Where nearly
 * all is in use, one of them has to go whatever is looked at: a few are spared, not a whole store walked.
 */
function spareTouched(lru: LRUCache<BlockRef, BlockRef>, words: Blocks['words']): void {
  for (let left = Math.min(lru.size, entriesSparedMax); left > 0; left--) {
    const oldest = lru.rkeys().next().value as BlockRef;
    const touched = (oldest + atTouched) >> 2;
    if ((words[touched] & touchedForOrder) === 0) return;
    words[touched] &= ~touchedForOrder;
    lru.get(oldest);
  }
}

function write(blocks: Blocks, ref: BlockRef, answer: Keep, nowMs: number): void {
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

function publish(blocks: Blocks, ref: BlockRef): void {
  const head = blocks.chain(ref);
  blocks.words[(ref + atNext) >> 2] = blocks.words[head];
  Atomics.store(blocks.words, head, ref);
}

function unpublish(blocks: Blocks, ref: BlockRef): void {
  let link = blocks.chain(ref);
  while (blocks.words[link] !== 0 && blocks.words[link] !== ref) link = (blocks.words[link] + atNext) >> 2;
  if (blocks.words[link] === ref) Atomics.store(blocks.words, link, blocks.words[(ref + atNext) >> 2]);
}
