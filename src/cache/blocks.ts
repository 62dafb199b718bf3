/**
 * The shared memory of answers, and how any thread finds one. A block has a header of 64 bytes, the message as it will
 * be sent (question in lower case), and the offset of each record's TTL. A published block does not change, except for
 * its marks. `heads` are the chains of a hash index whose links are in the blocks, so readers need no locks while one
 * writer adds and removes.
 *
 *   block: | hash next | stored expires recheck lastHit | hits touched | zone key kind | sizes | message … | TTL offsets |
 *
 * allocator.ts reuses memory, cache.ts decides what stays.
 */
import { type HashKey, hashQuestion } from '../dns/hash.js';
import { lower } from '../dns/wire.js';
import { blockHeaderBytes, cacheBytesMax, cacheEntriesMax, headerBytes } from '../limits.js';

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

/** A block's byte offset; 0 is none. */
export type BlockRef = number;

const chains = cacheEntriesMax / 2;
export const firstBlockByte = chains * 4;

// Byte offsets in a block's header.
export const atNext = 4;
export const atStored = 8;
export const atExpires = 16;
export const atRecheck = 24;
export const atLastHit = 32;
export const atHits = 40;
export const atTouched = 44;
export const atZone = 48;
export const atKey = 50;
export const atKind = 51;
export const atState = 52;
export const atSizeClass = 53;
export const atMessageBytes = 54;
export const atRecords = 56;
export const atLifetime = 60;
export const atMessage = blockHeaderBytes;

export class Blocks {
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly words: Int32Array;
  readonly doubles: Float64Array;

  /** `hashKey` keeps clients, who choose names, from choosing chains. */
  constructor(
    readonly memory: SharedArrayBuffer,
    readonly hashKey: HashKey,
  ) {
    this.bytes = new Uint8Array(memory);
    this.halves = new Uint16Array(memory);
    this.words = new Int32Array(memory);
    this.doubles = new Float64Array(memory);
  }

  /** The block for the packet's question, which ends at `questionEnd`, fresh or not; or 0. */
  find(packet: Uint8Array, questionEnd: number, zoneId: number, key: number): BlockRef {
    const hash = hashQuestion(packet, headerBytes, questionEnd, this.hashKey, (zoneId << 2) | key);
    let ref = Atomics.load(this.words, hash & (chains - 1));
    while (ref !== 0) {
      if (this.words[ref >> 2] === hash && this.#answers(ref, packet, questionEnd, zoneId, key)) return ref;
      ref = Atomics.load(this.words, (ref + atNext) >> 2);
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

  /** Index in `halves` of the TTL offsets, which count from the message's first byte. */
  ttlOffsets(ref: BlockRef): number {
    return (ref + atMessage + this.messageBytes(ref) + 1) >> 1;
  }

  /** The TTL at storage time, in milliseconds. */
  lifetimeMs(ref: BlockRef): number {
    return this.words[(ref + atLifetime) >> 2];
  }

  /** Records a hit; the number of hits without a gap above `gapMs`. Threads race here; a lost mark does no harm. */
  touch(ref: BlockRef, nowMs: number, gapMs: number): number {
    const { words, doubles } = this;
    words[(ref + atTouched) >> 2] = touchedForOrder | touchedForSlab;
    const last = (ref + atLastHit) >> 3;
    const hits = nowMs - doubles[last] > gapMs ? 1 : words[(ref + atHits) >> 2] + 1;
    doubles[last] = nowMs;
    words[(ref + atHits) >> 2] = hits;
    return hits;
  }

  /** Index in `words` of a block's chain. */
  chain(ref: BlockRef): number {
    return this.words[ref >> 2] & (chains - 1);
  }

  chainBlocks(ref: BlockRef): number {
    let count = 0;
    for (let at = this.words[this.chain(ref)]; at !== 0; at = this.words[(at + atNext) >> 2]) count++;
    return count;
  }
}

/** The kernel provides pages as they are used. */
export function cacheMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(firstBlockByte + cacheBytesMax);
}
