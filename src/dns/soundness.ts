/**
 * Diagnoses the records of a message that `Normaliser` rejects: a truncated one can be fetched over TCP, a malformed
 * one cannot. It copies nothing.
 */
import { headerBytes, labelBytesMax, nameBytesMax } from '../limits.js';
import { firstNameAt, namesIn } from './rdata-layout.js';
import { atAdditionals, atAnswers, atAuthorities, typeA, typeAaaa, typeOpt, typeSoa, u16 } from './wire.js';

/**
 * `cut`: something ends too early, points past the end, or has a wrong length. `garbled`: unknown label types, names
 * that are too long or loop, an OPT outside its section.
 */
export type Damage = 'none' | 'cut' | 'garbled';

/** Overwritten by each `look`. */
export class Soundness {
  damage: Damage = 'none';
  /** The damage is in an OPT, or its place. */
  isOptDamaged = false;
  /** Among the records before the damage. */
  hasOpt = false;
  /** The upper eight bits of the rcode, in place; 0 without an OPT. */
  extendedRcode = 0;

  /** Checks all records, from `from` on. Borrows the message. */
  look(message: Uint8Array, from: number): Damage {
    const additionalsFrom = u16(message, atAnswers) + u16(message, atAuthorities);
    const total = additionalsFrom + u16(message, atAdditionals);
    this.isOptDamaged = false;
    this.hasOpt = false;
    this.extendedRcode = 0;
    let at = from;
    for (let index = 0; index < total && at >= 0; index++) {
      at = this.#record(message, at, index >= additionalsFrom);
    }
    this.damage = at >= 0 ? 'none' : at === tooShort ? 'cut' : 'garbled';
    return this.damage;
  }

  /** The offset behind the record at `at`, or `tooShort` or `senseless`. */
  #record(message: Uint8Array, at: number, isAdditional: boolean): number {
    const fixed = soundNameEnd(message, at, message.length);
    if (fixed < 0) return fixed;
    if (fixed + 2 > message.length) return tooShort;
    const type = u16(message, fixed);
    this.isOptDamaged = type === typeOpt;
    const data = fixed + 10;
    if (data > message.length) return tooShort;
    const end = data + u16(message, fixed + 8);
    if (end > message.length) return tooShort;
    if (type !== typeOpt) return behindData(message, type, data, end);
    if (!isAdditional) return senseless;
    this.isOptDamaged = false;
    this.hasOpt = true;
    this.extendedRcode |= message[fixed + 4] << 4;
    return end;
  }
}

const tooShort = -1;
const senseless = -2;

/** The offset behind the data from `from` to `end` when it is sound, so `end`; or `tooShort` or `senseless`. */
export function behindData(message: Uint8Array, type: number, from: number, end: number): number {
  if (type === typeA) return end - from === 4 ? end : tooShort;
  if (type === typeAaaa) return end - from === 16 ? end : tooShort;
  const form = namesIn(type);
  if (form === null) return end;
  let at = firstNameAt(message, from, end, form);
  if (at < 0) return tooShort;
  for (let left = form.names; left > 0; left--) {
    at = soundNameEnd(message, at, end);
    if (at < 0) return at;
  }
  return end - at === (type === typeSoa ? 20 : 0) ? end : tooShort;
}

/** The same for a name and all that its pointers lead to (RFC 1035 4.1.4). */
export function soundNameEnd(message: Uint8Array, at: number, end: number): number {
  let position = at;
  let barrier = at;
  let behind = 0;
  let bytes = 0;
  while (position < end) {
    const length = message[position];
    if (length >= 0xc0) {
      if (position + 1 >= end) return tooShort;
      const target = ((length & 0x3f) << 8) | message[position + 1];
      if (target >= message.length) return tooShort;
      // Backwards only, or it could loop.
      if (target >= barrier || target < headerBytes) return senseless;
      if (behind === 0) behind = position + 2;
      barrier = target;
      position = target;
      continue;
    }
    bytes += length + 1;
    if (length > labelBytesMax || bytes > nameBytesMax) return senseless;
    position += length + 1;
    if (length === 0) return behind === 0 ? position : behind;
  }
  return tooShort;
}
