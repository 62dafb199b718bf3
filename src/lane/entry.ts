/**
 * An answer of the cache as the kernel lane's program gives it: the bytes of a slot, the hash under which the program
 * looks for it, and where in the index that is. What is decided per query in `answerNow` is decided once here.
 */
import { flagAa, flagAd, flagCd, flagQr, flagRa, flagRd, flagTc, lower, setU16, u16 } from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import { nanoseconds, never } from './elements.js';
import { bucketsCount, laneSlotBytes, slotLayout, slotTtlsMax } from './layout.js';
import { laneHashFactor, laneHashShift } from './program.js';

/** A stored message, and what its zone makes of it. */
export interface LaneAnswer {
  /** Header, question in any case, records, no OPT. */
  readonly message: Uint8Array;
  readonly questionEnd: number;
  /** Of the TTLs that count down, from the message's first byte. */
  readonly ttlPlaces: readonly number[];
  /** Milliseconds of the monotonic clock; Infinity: as long as it is published. */
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  /** Until when it may be given though expired; 0: never. */
  readonly staleUntilMs: number;
  readonly staleTtlSeconds: number;
  /** DO is 1, CD is 2. */
  readonly key: number;
  /** The listener's place in the configuration. */
  readonly place: number;
  readonly udpBytes: number;
  /** What `header` sets and clears in the flags. */
  readonly flagsSet: number;
  readonly flagsCleared: number;
  readonly generation: number;
}

/** Writes the answer into a slot that nobody reads; false where it does not fit. */
export function writeSlot(slot: Uint8Array, answer: LaneAnswer): boolean {
  const { message, questionEnd, ttlPlaces } = answer;
  const recordsBytes = message.length - questionEnd;
  const nameBytes = questionEnd - 4 - headerBytes;
  const nameAt = (slotLayout.records + recordsBytes + 7) & ~7;
  const nameEnd = nameAt + ((nameBytes + 7) & ~7);
  if (nameEnd > laneSlotBytes || ttlPlaces.length > slotTtlsMax || u16(message, 4) !== 1) return false;
  const view = new DataView(slot.buffer, slot.byteOffset, laneSlotBytes);
  slot.fill(0);
  view.setBigUint64(slotLayout.stored, nanoseconds(answer.storedAtMs), true);
  view.setBigUint64(slotLayout.expires, nanoseconds(answer.expiresAtMs), true);
  view.setBigUint64(slotLayout.staleUntil, nanoseconds(answer.staleUntilMs), true);
  view.setUint32(slotLayout.generation, answer.generation, true);
  slot.set(message.subarray(questionEnd - 4, questionEnd), slotLayout.typeAndClass);
  view.setUint16(slotLayout.nameBytes, nameBytes, true);
  slot[slotLayout.key] = answer.key;
  slot[slotLayout.place] = answer.place;
  view.setUint16(slotLayout.nameAt, nameAt, true);
  view.setUint16(slotLayout.recordsBytes, recordsBytes, true);
  view.setUint16(slotLayout.udpBytes, answer.udpBytes, true);
  view.setUint16(slotLayout.ttls, ttlPlaces.length, true);
  writeFlags(slot, answer);
  slot.set(message.subarray(6, 10), slotLayout.answers);
  view.setUint16(slotLayout.additionals, u16(message, 10), true);
  view.setUint32(slotLayout.staleTtl, answer.staleTtlSeconds, true);
  for (const [index, at] of ttlPlaces.entries())
    view.setUint16(slotLayout.ttlPlaces + 2 * index, at - questionEnd, true);
  slot.set(message.subarray(questionEnd), slotLayout.records);
  for (let index = 0; index < nameBytes; index++) slot[nameAt + index] = lower[message[headerBytes + index]];
  return true;
}

/** As `writeStored` and the zone's `header` make them, in three parts. */
function writeFlags(slot: Uint8Array, { message, flagsSet, flagsCleared }: LaneAnswer): void {
  const kept = u16(message, 2);
  setU16(slot, slotLayout.flags, (flagQr | (kept & (flagAa | flagTc | 0x0f)) | flagRa | flagsSet) & ~flagsCleared);
  setU16(slot, slotLayout.flagsAuthentic, kept & flagAd & ~flagsCleared);
  setU16(slot, slotLayout.flagsCopied, (flagRd | flagCd) & ~flagsCleared);
}

/** What a slot says of itself. */
interface SlotFacts {
  /** Name in wire form and lower case, type and class. */
  readonly question: Uint8Array;
  readonly recordsBytes: number;
  readonly rcode: number;
  readonly key: number;
  readonly place: number;
  readonly storedAtMs: number;
  /** Infinity: as long as it is published. */
  readonly expiresAtMs: number;
}

/** Of bytes that `writeSlot` has written, in this process or another one. */
export function readSlot(slot: Uint8Array): SlotFacts {
  const view = new DataView(slot.buffer, slot.byteOffset, laneSlotBytes);
  const nameBytes = view.getUint16(slotLayout.nameBytes, true);
  const nameAt = view.getUint16(slotLayout.nameAt, true);
  const question = new Uint8Array(nameBytes + 4);
  question.set(slot.subarray(nameAt, nameAt + nameBytes));
  question.set(slot.subarray(slotLayout.typeAndClass, slotLayout.typeAndClass + 4), nameBytes);
  const expires = view.getBigUint64(slotLayout.expires, true);
  return {
    question,
    recordsBytes: view.getUint16(slotLayout.recordsBytes, true),
    rcode: slot[slotLayout.flags + 1] & 0x0f,
    key: slot[slotLayout.key],
    place: slot[slotLayout.place],
    storedAtMs: Number(view.getBigUint64(slotLayout.stored, true)) / 1_000_000,
    expiresAtMs: expires === never ? Number.POSITIVE_INFINITY : Number(expires) / 1_000_000,
  };
}

/** Under which the program looks for the slot's question. */
export function laneHash(slot: Uint8Array, seed: bigint): bigint {
  const view = new DataView(slot.buffer, slot.byteOffset, laneSlotBytes);
  const nameBytes = view.getUint16(slotLayout.nameBytes, true);
  const nameAt = view.getUint16(slotLayout.nameAt, true);
  const rest =
    (BigInt(nameBytes) << 32n) | (BigInt(slot[slotLayout.key]) << 40n) | (BigInt(slot[slotLayout.place]) << 48n);
  let hash = mixed(seed, BigInt(view.getUint32(slotLayout.typeAndClass, true)) | rest);
  for (let at = 0; at < nameBytes; at += 8) hash = mixed(hash, view.getBigUint64(nameAt + at, true));
  return hash;
}

function mixed(hash: bigint, word: bigint): bigint {
  const product = BigInt.asUintN(64, (hash ^ word) * laneHashFactor);
  return product ^ (product >> BigInt(laneHashShift));
}

/** The bucket of the index, and the entry in one of its ways for a slot's number. */
export function indexPlace(hash: bigint, slotNumber: number): { readonly bucket: number; readonly entry: bigint } {
  const tag = hash >> 32n;
  return { bucket: Number(hash & BigInt(bucketsCount - 1)), entry: (tag << 32n) | BigInt(slotNumber + 1) };
}
