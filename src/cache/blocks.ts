/**
 * The shared memory of answers, and how any thread finds one. A block has a header of 64 bytes, the message as it will
 * be sent (question in lower case), and the offset of each record's TTL. A published block does not change, except for
 * its marks. `heads` are the chains of a hash index whose links are in the blocks, so readers need no locks while one
 * writer adds and removes.
 *
 *   block: | hash next | stored expires recheck lastHit | hits touched | zone key kind | sizes source | message … | TTL offsets |
 *
 * allocator.ts reuses memory, cache.ts decides what stays.
 */
import { type HashKey, hashQuestion } from '../dns/hash.js';
import { copyPart, lower } from '../dns/wire.js';
import {
  assert,
  blockHeaderBytes,
  cacheBytesLeast,
  cacheBytesMax,
  cacheBytesPerEntry,
  headerBytes,
  hitMarkShare,
} from '../limits.js';

/** The kind of answer, which selects its store. */
export const kindSuccess = 0;
export const kindDenial = 1;
export const kindServfail = 2;
export type Kind = typeof kindSuccess | typeof kindDenial | typeof kindServfail;

/** The key besides the question. */
export const keyDnssecOk = 1;
export const keyCheckingDisabled = 2;

/** A recheck time of: the upstream has newer answers, and once expired this one is only for failures. */
export const onFailureOnly = -1;

/** Marks of use: since its store was last reordered, and since its slab was last looked at. */
export const touchedForOrder = 1;
export const touchedForSlab = 2;
/** … and since the kernel lane has let it go. */
const touchedForKernel = 4;
const touchedForAll = touchedForOrder | touchedForSlab | touchedForKernel;

/** What is written into a block. */
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

/** A block's byte offset; 0 is none. */
export type BlockRef = number;

/** The index has room for the chains of the largest cache; a smaller one uses, and touches, the beginning. */
const indexBytes = (cacheBytesMax / cacheBytesPerEntry) * 4;
/**
 * glibc's malloc returns memory of this size 16 bytes after the beginning of a page. From here on blocks begin on cache
 * lines or in the middle of one, so marks, which every worker writes, share no line with another block.
 */
export const firstBlockByte = indexBytes + 48;

/** Chains of an index for so many bytes of blocks: a power of two, one for each 512 bytes. */
export function chainsFor(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, bytes / cacheBytesPerEntry)));
}

// Byte offsets in a block's header.
export const atHash = 0;
const atNext = 4;
const atStored = 8;
const atExpires = 16;
export const atRecheck = 24;
export const atLastHit = 32;
const atHits = 40;
export const atTouched = 44;
const atZone = 48;
const atKey = 50;
const atKind = 51;
export const atState = 52;
export const atSizeClass = 53;
const atMessageBytes = 54;
const atRecords = 56;
const atSource = 58;
const atLifetime = 60;
export const atMessage = blockHeaderBytes;

export class Blocks {
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  /** Of all blocks. */
  readonly bytesMax: number;
  readonly #lastChain: number;
  /** Where a block goes whose marks a hit changes, as its first one does; null: nobody wants to know. */
  firstHits: { add(ref: BlockRef): void } | null = null;

  /** `hashKey` keeps clients, who choose names, from choosing chains. */
  constructor(
    readonly memory: SharedArrayBuffer,
    readonly hashKey: HashKey,
  ) {
    this.bytes = new Uint8Array(memory);
    this.halves = new Uint16Array(memory);
    this.words = new Int32Array(memory);
    this.doubles = new Float64Array(memory);
    this.bytesMax = memory.byteLength - firstBlockByte;
    assert(this.bytesMax >= 0 && this.bytesMax <= cacheBytesMax, 'the index has room for the chains of this memory');
    this.#lastChain = chainsFor(this.bytesMax) - 1;
  }

  /** The block for the packet's question, which ends at `questionEnd`, fresh or not; or 0. */
  find(packet: Uint8Array, questionEnd: number, zoneId: number, key: number): BlockRef {
    return this.findHashed(this.hash(packet, questionEnd, zoneId, key), packet, questionEnd, zoneId, key);
  }

  /** Of the packet's question, in any case, with the rest of its key. */
  hash(packet: Uint8Array, questionEnd: number, zoneId: number, key: number): number {
    return hashQuestion(packet, headerBytes, questionEnd, this.hashKey, (zoneId << 2) | key);
  }

  /** Of the answer's question and the rest of its key. */
  hashOf({ message, questionEnd, zoneId, key }: Keep): number {
    return this.hash(message, questionEnd, zoneId, key);
  }

  /** `find` for a question whose hash is known. */
  findHashed(hash: number, packet: Uint8Array, questionEnd: number, zoneId: number, key: number): BlockRef {
    let ref = Atomics.load(this.words, hash & this.#lastChain);
    while (ref !== 0) {
      if (this.words[ref >> 2] === hash && this.#answers(ref, packet, questionEnd, zoneId, key)) return ref;
      ref = Atomics.load(this.words, (ref + atNext) >> 2);
    }
    return 0;
  }

  /**
   * The same for the only thread that writes the index, which needs no atomic loads: V8 calls out of compiled code for
   * each.
   */
  findForWriter(hash: number, { message, questionEnd, zoneId, key }: Keep): BlockRef {
    let ref = this.words[hash & this.#lastChain];
    while (ref !== 0) {
      if (this.words[ref >> 2] === hash && this.#answers(ref, message, questionEnd, zoneId, key)) return ref;
      ref = this.words[(ref + atNext) >> 2];
    }
    return 0;
  }

  #answers(ref: BlockRef, packet: Uint8Array, questionEnd: number, zoneId: number, key: number): boolean {
    const { bytes } = this;
    if (this.halves[(ref + atZone) >> 1] !== zoneId || bytes[ref + atKey] !== key) return false;
    const message = ref + atMessage;
    const typeAt = questionEnd - 4;
    // The stored question is in lower case. Names of different lengths differ at a length byte.
    for (let at = headerBytes; at < typeAt; at++) {
      if (bytes[message + at] !== lower[packet[at]]) return false;
    }
    for (let at = typeAt; at < questionEnd; at++) {
      if (bytes[message + at] !== packet[at]) return false;
    }
    return true;
  }

  storedAtMs(ref: BlockRef): number {
    return this.doubles[(ref + atStored) >> 3];
  }

  expiresAtMs(ref: BlockRef): number {
    return this.doubles[(ref + atExpires) >> 3];
  }

  /** No refresh before this time; 0 unless one failed. May be `onFailureOnly`. */
  recheckAtMs(ref: BlockRef): number {
    return this.doubles[(ref + atRecheck) >> 3];
  }

  kind(ref: BlockRef): Kind {
    return this.bytes[ref + atKind] as Kind;
  }

  rcode(ref: BlockRef): number {
    return this.bytes[ref + atMessage + 3] & 0x0f;
  }

  zoneId(ref: BlockRef): number {
    return this.halves[(ref + atZone) >> 1];
  }

  key(ref: BlockRef): number {
    return this.bytes[ref + atKey];
  }

  /** The stored message, a view of the shared memory. */
  message(ref: BlockRef): Uint8Array {
    return this.bytes.subarray(ref + atMessage, ref + atMessage + this.messageBytes(ref));
  }

  messageBytes(ref: BlockRef): number {
    return this.halves[(ref + atMessageBytes) >> 1];
  }

  records(ref: BlockRef): number {
    return this.halves[(ref + atRecords) >> 1];
  }

  /** Who sent the answer, as the cache numbers them; 0: not known. For those who look, so not a part of the answer. */
  source(ref: BlockRef): number {
    return this.halves[(ref + atSource) >> 1];
  }

  setSource(ref: BlockRef, source: number): void {
    this.halves[(ref + atSource) >> 1] = source;
  }

  /** Index in `halves` of the TTL offsets, which count from the message's first byte. */
  ttlOffsets(ref: BlockRef): number {
    return (ref + atMessage + this.messageBytes(ref) + 1) >> 1;
  }

  /** The TTL at storage time, in milliseconds. */
  lifetimeMs(ref: BlockRef): number {
    return this.words[(ref + atLifetime) >> 2];
  }

  /**
   * Records a hit; the number of hits without a gap above `gapMs`, up to `enough`, of which 0 counts none. Writes only
   * what changes: every worker reads a hot block's line, and each write takes the line from the others. So a gap is
   * measured from up to a sixteenth of it too early. Threads race here; a lost mark does no harm.
   */
  touch(ref: BlockRef, nowMs: number, gapMs: number, enough = 2 ** 31 - 1): number {
    const { words, doubles } = this;
    const mark = (ref + atTouched) >> 2;
    if (words[mark] !== touchedForAll) {
      words[mark] = touchedForAll;
      if (this.firstHits !== null) this.firstHits.add(ref);
    }
    if (enough === 0) return 0;
    const last = (ref + atLastHit) >> 3;
    const idleMs = nowMs - doubles[last];
    const before = words[(ref + atHits) >> 2];
    const hits = idleMs > gapMs ? 1 : Math.min(before + 1, enough);
    if (hits !== before) words[(ref + atHits) >> 2] = hits;
    if (idleMs > gapMs * hitMarkShare) doubles[last] = nowMs;
    return hits;
  }

  /**
   * Records that the block answered another question than its own: as a hit, but not for the kernel lane, which gives
   * answers to the block's own.
   */
  touchForOther(ref: BlockRef, nowMs: number): void {
    const { words } = this;
    words[(ref + atTouched) >> 2] |= touchedForOrder | touchedForSlab;
    words[(ref + atHits) >> 2]++;
    this.doubles[(ref + atLastHit) >> 3] = nowMs;
  }

  /** Hits in a row, up to as many as `touch` was told to count, and those of `touchForOther`; 0 where nobody counts. */
  hits(ref: BlockRef): number {
    return this.words[(ref + atHits) >> 2];
  }

  /** Counts as hit where the kernel lane is concerned: it has the place of one that was. */
  markForKernel(ref: BlockRef): void {
    this.words[(ref + atTouched) >> 2] |= touchedForKernel;
  }

  /** Whether it was hit since it was stored, or marked, or since `forgetFirstHit`. */
  wasHit(ref: BlockRef): boolean {
    return (this.words[(ref + atTouched) >> 2] & touchedForKernel) !== 0;
  }

  /** The next hit is one of `firstHits` again. */
  forgetFirstHit(ref: BlockRef): void {
    this.words[(ref + atTouched) >> 2] &= ~touchedForKernel;
  }

  /** Hits that nobody here has seen, the last of them lately: marks as `touch` would have left them. */
  addHits(ref: BlockRef, hits: number, nowMs: number): void {
    const { words, doubles } = this;
    words[(ref + atTouched) >> 2] = touchedForAll;
    const place = (ref + atHits) >> 2;
    words[place] = Math.min(words[place] + hits, 2 ** 31 - 1);
    doubles[(ref + atLastHit) >> 3] = nowMs;
  }

  /** Index in `words` of a block's chain. */
  chain(ref: BlockRef): number {
    return this.words[ref >> 2] & this.#lastChain;
  }

  chainBlocks(ref: BlockRef): number {
    let count = 0;
    for (let at = this.words[this.chain(ref)]; at !== 0; at = this.words[(at + atNext) >> 2]) count++;
    return count;
  }

  /** Writes a copy of the answer, whose question has this hash, into a block that nobody can find yet. */
  write(ref: BlockRef, answer: Keep, nowMs: number, hash: number): void {
    const { bytes, halves, words, doubles } = this;
    words[ref >> 2] = hash;
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
    halves[(ref + atSource) >> 1] = 0;
    words[(ref + atLifetime) >> 2] = Math.min(answer.lifetimeMs, 2 ** 31 - 1);
    copyPart(answer.message, 0, answer.messageBytes, bytes, ref + atMessage);
    const offsets = this.ttlOffsets(ref);
    for (let index = 0; index < answer.records; index++) halves[offsets + index] = answer.ttlOffsets[index];
  }

  /** Makes the block, which is complete, the first of its chain. */
  publish(ref: BlockRef): void {
    const head = this.chain(ref);
    this.words[(ref + atNext) >> 2] = this.words[head];
    Atomics.store(this.words, head, ref);
  }

  unpublish(ref: BlockRef): void {
    let link = this.chain(ref);
    while (this.words[link] !== 0 && this.words[link] !== ref) link = (this.words[link] + atNext) >> 2;
    assert(this.words[link] === ref, 'a block is unpublished from the chain that it is in');
    Atomics.store(this.words, link, this.words[(ref + atNext) >> 2]);
  }
}

/** The bytes that a block for this answer takes. */
export function blockBytesOf({ messageBytes, records }: Pick<Keep, 'messageBytes' | 'records'>): number {
  return ((atMessage + messageBytes + 1) & ~1) + 2 * records;
}

/** Memory for so many bytes of blocks, a whole number of slabs, and their index. The kernel provides pages as they are used. */
export function cacheMemory(bytes: number = cacheBytesLeast): SharedArrayBuffer {
  return new SharedArrayBuffer(firstBlockByte + bytes);
}
