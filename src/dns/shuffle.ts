/**
 * Reorders the addresses of an answer inside its slot: adjacent records of one owner and address type swap data and
 * TTL. Owners stay, so compression pointers to them stay valid.
 */
import type { TtlOffsets } from './answer.js';
import { lower, typeA, typeAaaa, u16 } from './wire.js';

/** A random integer from 0 to `below` - 1. */
export interface Dice {
  below(below: number): number;
}

/** Addresses in this network come first. */
export interface Preference {
  /** Four or sixteen, for addresses of one family. */
  readonly bytes: ArrayLike<number>;
  readonly prefixBits: number;
}

const toData = 6;

/**
 * Shuffles the addresses of a stored message whose records begin at `start`, every order equally likely, then moves
 * those in `preferred` networks to the front, in that order.
 */
export function shuffleAddresses(
  bytes: Uint8Array,
  start: number,
  offsets: TtlOffsets,
  preferred: readonly Preference[],
  dice: Dice,
): void {
  const { halves, first } = offsets;
  const end = first + offsets.count;
  let owner = start;
  for (let index = first; index < end; ) {
    const ttlAt = halves[index];
    const type = u16(bytes, ttlAt - 4);
    let behind = endOfRecord(bytes, ttlAt);
    let next = index + 1;
    if (type === typeA || type === typeAaaa) {
      while (next < end && u16(bytes, halves[next] - 4) === type && sameOwner(bytes, owner, behind)) {
        behind = endOfRecord(bytes, halves[next++]);
      }
      if (next - index > 1) mixedDraw(bytes, halves, index, next, dice);
      if (next - index > 1 && preferred.length > 0) prefer(bytes, halves, index, next, preferred);
    }
    index = next;
    owner = behind;
  }
}

/** Fisher and Yates. */
function mixedDraw(bytes: Uint8Array, halves: Uint16Array, from: number, to: number, dice: Dice): void {
  for (let left = to - from; left > 1; left--) {
    const chosen = dice.below(left);
    if (chosen !== left - 1) swap(bytes, halves[from + chosen], halves[from + left - 1]);
  }
}

function prefer(
  bytes: Uint8Array,
  halves: Uint16Array,
  from: number,
  to: number,
  preferred: readonly Preference[],
): void {
  let done = from;
  for (let rank = 0; rank < preferred.length; rank++) {
    for (let index = done; index < to; index++) {
      if (!beginsWith(bytes, halves[index], preferred[rank])) continue;
      if (index !== done) swap(bytes, halves[index], halves[done]);
      done++;
    }
  }
}

function beginsWith(bytes: Uint8Array, ttlAt: number, network: Preference): boolean {
  if (u16(bytes, ttlAt + 4) !== network.bytes.length) return false;
  const at = ttlAt + toData;
  const whole = network.prefixBits >> 3;
  for (let index = 0; index < whole; index++) if (bytes[at + index] !== network.bytes[index]) return false;
  const rest = network.prefixBits & 7;
  return rest === 0 || (bytes[at + whole] ^ network.bytes[whole]) >> (8 - rest) === 0;
}

/** Swaps two records of one type, by their TTL offsets; they are equally long. */
function swap(bytes: Uint8Array, one: number, other: number): void {
  const length = toData + u16(bytes, one + 4);
  for (let index = 0; index < length; index++) {
    const byte = bytes[one + index];
    bytes[one + index] = bytes[other + index];
    bytes[other + index] = byte;
  }
}

function endOfRecord(bytes: Uint8Array, ttlAt: number): number {
  return ttlAt + toData + u16(bytes, ttlAt + 4);
}

/** Whether two names of a stored message, whose pointers lead backwards, are equal. */
function sameOwner(bytes: Uint8Array, one: number, other: number): boolean {
  let a = one;
  let b = other;
  for (;;) {
    while (bytes[a] >= 0xc0) a = u16(bytes, a) & 0x3fff;
    while (bytes[b] >= 0xc0) b = u16(bytes, b) & 0x3fff;
    if (a === b) return true;
    const length = bytes[a];
    if (length !== bytes[b]) return false;
    if (length === 0) return true;
    for (let index = 1; index <= length; index++) {
      if (lower[bytes[a + index]] !== lower[bytes[b + index]]) return false;
    }
    a += length + 1;
    b += length + 1;
  }
}
