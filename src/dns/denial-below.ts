/**
 * The denial of a name as the answer for a name below it (RFC 8020 2): the same SOA behind a longer question. A stored
 * denial refers with compression pointers to its own question, which is the end of the longer one, or to what comes
 * behind; both lie as much further on as the question is longer, so each pointer grows by that much.
 */
import type { Slot } from './answer.js';
import type { Query } from './query.js';
import {
  atAdditionals,
  atAnswers,
  atAuthorities,
  atFlags,
  flagAa,
  flagAd,
  flagCd,
  flagQr,
  flagRa,
  flagRd,
  rcodeNxDomain,
  setU16,
  setU32,
  skipName,
  typeSoa,
  u16,
  u32,
} from './wire.js';

/** A stored message in these bytes. */
export interface StoredDenial {
  readonly bytes: Uint8Array;
  /** From `at` to `end`; the question ends at `questionEnd`. */
  at: number;
  end: number;
  questionEnd: number;
}

/** Type, class, TTL and length of a record; and the numbers of a SOA behind its two names. */
const fixedPartBytes = 10;
const soaNumbersBytes = 20;
/** A pointer has 14 bits. */
const pointerMax = 0x3fff;

/**
 * Writes the denial with this client's id, flags and question, its TTL lowered by `ageSeconds`, for `finish`; its bytes.
 * The question's name ends in the denial's. The place of the SOA's TTL becomes the first of `ttlOffset`. 0: it is no plain denial of a name, with one SOA and nothing else that
 * decides, or the SOA does not fit. Borrows packet and denial.
 */
export function writeDenialBelow(
  slot: Slot,
  packet: Uint8Array,
  query: Query,
  denial: StoredDenial,
  ageSeconds: number,
  ttlOffset: Uint16Array,
): number {
  const { bytes, at, questionEnd } = denial;
  if ((bytes[at + atFlags + 1] & 0x0f) !== rcodeNxDomain) return 0;
  // With an alias, another name than the question's is denied (RFC 6604 3).
  if (u16(bytes, at + atAnswers) !== 0 || u16(bytes, at + atAuthorities) !== 1) return 0;
  const fixedAt = skipName(bytes, questionEnd, denial.end);
  if (fixedAt < 0 || fixedAt + fixedPartBytes > denial.end || u16(bytes, fixedAt) !== typeSoa) return 0;
  const dataAt = fixedAt + fixedPartBytes;
  const dataEnd = dataAt + u16(bytes, fixedAt + 8);
  const secondAt = dataEnd > denial.end ? -1 : skipName(bytes, dataAt, dataEnd);
  const numbersAt = secondAt < 0 ? -1 : skipName(bytes, secondAt, dataEnd);
  if (numbersAt < 0 || numbersAt + soaNumbersBytes !== dataEnd) return 0;
  const answerBytes = query.questionEnd + dataEnd - questionEnd;
  if (answerBytes > slot.bytes.length) return 0;
  writeHead(slot, packet, query, u16(bytes, at + atFlags));
  for (let from = questionEnd, to = query.questionEnd; from < dataEnd; from++, to++) slot.bytes[to] = bytes[from];
  const moved = query.questionEnd - questionEnd;
  for (const nameAt of [questionEnd, dataAt, secondAt]) {
    if (!movePointer(slot.bytes, pointerOf(slot.bytes, nameAt + moved), moved + at)) return 0;
  }
  const ttlAt = fixedAt + moved + 4;
  ttlOffset[0] = ttlAt;
  if (ageSeconds > 0) setU32(slot.bytes, ttlAt, Math.max(0, u32(slot.bytes, ttlAt) - ageSeconds));
  return answerBytes;
}

/** As a stored answer's (`writeStored`). */
function writeHead({ bytes }: Slot, packet: Uint8Array, query: Query, kept: number): void {
  const asked = query.flags;
  const authentic = query.dnssecOk || (asked & flagAd) !== 0 ? kept & flagAd : 0;
  for (let at = 0; at < query.questionEnd; at++) bytes[at] = packet[at];
  setU16(bytes, atFlags, flagQr | (kept & (flagAa | 0x0f)) | authentic | flagRa | (asked & (flagRd | flagCd)));
  setU16(bytes, atAnswers, 0);
  setU16(bytes, atAuthorities, 1);
  setU16(bytes, atAdditionals, 0);
}

/** The offset of the pointer with which the sound name at `at` ends, or -1. */
function pointerOf(bytes: Uint8Array, at: number): number {
  let position = at;
  while (bytes[position] !== 0 && bytes[position] < 0xc0) position += bytes[position] + 1;
  return bytes[position] === 0 ? -1 : position;
}

/** False: it would point too far. `at` is -1 where there is no pointer. */
function movePointer(bytes: Uint8Array, at: number, further: number): boolean {
  if (at < 0) return true;
  const target = (u16(bytes, at) & pointerMax) + further;
  setU16(bytes, at, 0xc000 | target);
  return target <= pointerMax;
}
