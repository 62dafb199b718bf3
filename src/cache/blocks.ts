/**
 * The shared memory in which answers live, and how any thread finds one. An answer is a block: a header of 64
 * bytes, the message as it will be sent (its question in lower case), and the offset of each record's TTL. Once
 * published a block's key and answer do not change; only its marks do. `heads` are the chains of a hash index whose
 * links are words in the blocks, so a reader follows them without locks while one writer adds and removes.
 *
 *   block: | hash next | stored expires recheck lastHit | hits touched | zone key kind | sizes | message … | TTL offsets |
 *
 * Who may write and when memory is used again is allocator.ts's business; what is kept is cache.ts's.
 */
import { type HashKey, hashQuestion } from '../dns/hash.js';
import { lower } from '../dns/wire.js';
import { blockHeaderBytes, cacheBytesMax, cacheEntriesMax, headerBytes } from '../limits.js';

/** What a block is; also decides in which store it is kept. */
export const kindSuccess = 0;
export const kindDenial = 1;
export const kindServfail = 2;
export type Kind = typeof kindSuccess | typeof kindDenial | typeof kindServfail;

/** The parts of the key that are not in the question. */
export const keyDnssecOk = 1;
export const keyCheckingDisabled = 2;

/** In the place of a recheck's moment: the upstream has newer answers, and past its expiry this is given on failure. */
export const onFailureOnly = -1;

/** Marks of a block that was used: since the order of its store was brought up to date, and since its slab was looked at. */
export const touchedForOrder = 1;
export const touchedForSlab = 2;

/** A block's place: its byte offset; 0 is no block. */
export type BlockRef = number;

const chains = cacheEntriesMax / 2;
/** Blocks begin here, behind the chains. */
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

/** Views of the shared memory; each thread makes its own from the same two values. */
export class Blocks {
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly words: Int32Array;
  readonly doubles: Float64Array;

  /** `hashKey` makes the places of names unpredictable to clients, which choose names. */
  constructor(
    readonly memory: SharedArrayBuffer,
    readonly hashKey: HashKey,
  ) {
    this.bytes = new Uint8Array(memory);
    this.halves = new Uint16Array(memory);
    this.words = new Int32Array(memory);
    this.doubles = new Float64Array(memory);
  }

  /** The block that answers the packet's question, which ends at `questionEnd`, fresh or not, or 0. */
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
    // The stored question is in lower case. A name of another length differs at a length byte before it runs out.
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

  /** No refresh is worth trying before this moment; 0 when none has failed. May be `onFailureOnly`. */
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

  /** Its bits are those above. */
  key(ref: BlockRef): number {
    return this.bytes[ref + atKey];
  }

  /** The message in stored form, a view of the shared memory. */
  message(ref: BlockRef): Uint8Array {
    return this.bytes.subarray(ref + atMessage, ref + atMessage + this.messageBytes(ref));
  }

  messageBytes(ref: BlockRef): number {
    return this.halves[(ref + atMessageBytes) >> 1];
  }

  /** How many TTL offsets follow the message: one a record. */
  records(ref: BlockRef): number {
    return this.halves[(ref + atRecords) >> 1];
  }

  /** Where the TTL offsets begin, as an index of `halves`; each counts from the message's first byte. */
  ttlOffsets(ref: BlockRef): number {
    return (ref + atMessage + this.messageBytes(ref) + 1) >> 1;
  }

  /** How long the answer was to live when it was stored, in milliseconds. */
  lifetimeMs(ref: BlockRef): number {
    return this.words[(ref + atLifetime) >> 2];
  }

  /**
   * Notes a hit and returns the number of hits in a row, with no gap longer than `gapMs` between two. Any thread
   * may write these marks; that one now and then is lost when two write at once does no harm.
   */
  touch(ref: BlockRef, nowMs: number, gapMs: number): number {
    const { words, doubles } = this;
    words[(ref + atTouched) >> 2] = touchedForOrder | touchedForSlab;
    const last = (ref + atLastHit) >> 3;
    const hits = nowMs - doubles[last] > gapMs ? 1 : words[(ref + atHits) >> 2] + 1;
    doubles[last] = nowMs;
    words[(ref + atHits) >> 2] = hits;
    return hits;
  }

  /** The chain of a block's hash, as an index of `words`. */
  chain(ref: BlockRef): number {
    return this.words[ref >> 2] & (chains - 1);
  }

  /** How many blocks are in the chain of this block's hash. */
  chainBlocks(ref: BlockRef): number {
    let count = 0;
    for (let at = this.words[this.chain(ref)]; at !== 0; at = this.words[(at + atNext) >> 2]) count++;
    return count;
  }
}

/** Memory for a cache; the kernel provides its pages as they are used. */
export function cacheMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(firstBlockByte + cacheBytesMax);
}
