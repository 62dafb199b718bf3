/** Reads and writes of DNS messages (RFC 1035 4.1). Reads past the end give 0 or -1, never an exception. */
import { headerBytes, labelBytesMax, nameBytesMax } from '../limits.js';

export const typeA = 1;
export const typeNs = 2;
export const typeCname = 5;
export const typeSoa = 6;
export const typePtr = 12;
export const typeTxt = 16;
export const typeAaaa = 28;
export const typeDname = 39;
export const typeOpt = 41;
export const typeDs = 43;
export const typeRrsig = 46;
export const typeIxfr = 251;
export const typeAxfr = 252;
export const typeAny = 255;

export const optionNsid = 3;
export const optionSubnet = 8;
export const optionKeepalive = 11;
export const optionExtendedError = 15;

export const classIn = 1;

export const rcodeNoError = 0;
export const rcodeFormErr = 1;
export const rcodeServFail = 2;
export const rcodeNxDomain = 3;
export const rcodeNotImp = 4;
export const rcodeRefused = 5;
export const rcodeBadVers = 16;

/** The flags word at offset 2. */
export const flagQr = 0x8000;
export const flagAa = 0x0400;
export const flagTc = 0x0200;
export const flagRd = 0x0100;
export const flagRa = 0x0080;
/** Reserved and never sent (RFC 1035 4.1.1): marks stored addresses that dns64 made. */
export const flagZ = 0x0040;
export const flagAd = 0x0020;
export const flagCd = 0x0010;
export const flagsOpcode = 0x7800;

export const atFlags = 2;
export const atQuestions = 4;
export const atAnswers = 6;
export const atAuthorities = 8;
export const atAdditionals = 10;

/** ASCII lower case, other bytes unchanged (RFC 4343). */
export const lower = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte));

export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

export function setU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

export function setU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

export function messageId(message: Uint8Array): number {
  return u16(message, 0);
}

export function messageFlags(message: Uint8Array): number {
  return u16(message, atFlags);
}

/** The low four bits; the OPT has the rest (RFC 6891 6.1.3). */
export function messageRcode(message: Uint8Array): number {
  return message[3] & 0x0f;
}

/** The offset behind the name at `at`, or -1 if it does not end before `end`; pointers end it, and are not followed. */
export function skipName(bytes: Uint8Array, at: number, end: number): number {
  let position = at;
  while (position < end) {
    const length = bytes[position];
    if (length === 0) return position + 1;
    if (length >= 0xc0) return position + 2 <= end ? position + 2 : -1;
    if (length > labelBytesMax) return -1;
    position += length + 1;
    if (position - at >= nameBytesMax) return -1;
  }
  return -1;
}

/** The same for a name that may not have a pointer, as in a question. */
export function skipPlainName(bytes: Uint8Array, at: number, end: number): number {
  let position = at;
  while (position < end) {
    const length = bytes[position++];
    if (length === 0) return position - at <= nameBytesMax ? position : -1;
    if (length > labelBytesMax) return -1;
    position += length;
  }
  return -1;
}

/**
 * Expands the name at `at` to `out`; its length, or 0 when it is longer than 255 bytes, truncated, of an unknown label
 * type, or has a pointer that does not lead backwards (which makes loops).
 */
export function expandName(bytes: Uint8Array, at: number, end: number, out: Uint8Array): number {
  let position = at;
  let written = 0;
  let barrier = at;
  while (position < end) {
    const length = bytes[position];
    if (length >= 0xc0) {
      if (position + 1 >= end) return 0;
      const target = ((length & 0x3f) << 8) | bytes[position + 1];
      if (target >= barrier || target < headerBytes) return 0;
      barrier = target;
      position = target;
      continue;
    }
    if (length > labelBytesMax || written + length + 1 > nameBytesMax || position + length >= end) return 0;
    for (let index = 0; index <= length; index++) out[written + index] = bytes[position + index];
    written += length + 1;
    if (length === 0) return written;
    position += length + 1;
  }
  return 0;
}

/** Whether two uncompressed names of equal length are equal, ignoring case (RFC 4343). */
export function sameName(one: Uint8Array, oneAt: number, other: Uint8Array, otherAt: number, length: number): boolean {
  for (let index = 0; index < length; index++) {
    if (lower[one[oneAt + index]] !== lower[other[otherAt + index]]) return false;
  }
  return true;
}

/** For so few bytes a loop is faster than a view to copy from, which is garbage besides. */
const shortBytes = 96;

/** A copy of the bytes from `from` to `end`. `slice` of a Buffer, which packets are, would be a view. */
export function copyOf(bytes: Uint8Array, from: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - from);
  if (copy.length <= shortBytes) for (let at = 0; at < copy.length; at++) copy[at] = bytes[from + at];
  else copy.set(bytes.subarray(from, end));
  return copy;
}

/** Copies `length` bytes at `fromAt` in `from` to `toAt` in `to`. */
export function copyPart(from: Uint8Array, fromAt: number, length: number, to: Uint8Array, toAt: number): void {
  if (length > shortBytes) to.set(from.subarray(fromAt, fromAt + length), toAt);
  else for (let index = 0; index < length; index++) to[toAt + index] = from[fromAt + index];
}
