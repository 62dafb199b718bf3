/**
 * Whether the records behind a question can be read, and if not, what is wrong with them: a message that was cut on
 * its way can be had whole over TCP, one that makes no sense cannot. What is sound here is what `Normaliser` reads; it
 * only looks, and copies nothing.
 */
import { headerBytes, labelBytesMax, nameBytesMax } from '../limits.js';
import { firstNameAt, namesIn } from './rdata-layout.js';
import { atAdditionals, atAnswers, atAuthorities, typeA, typeAaaa, typeOpt, typeSoa, u16 } from './wire.js';

/**
 * `cut`: something ends too early, leads past the end, or is not as long as it must be. `garbled`: labels of no known
 * type, names that are too long or never end, an OPT in another section than its own.
 */
export type Damage = 'none' | 'cut' | 'garbled';

/** What the records say that is not about names; overwritten by each `look`. */
export class Soundness {
  damage: Damage = 'none';
  /** It is an OPT that is damaged, or out of place. */
  isOptDamaged = false;
  /** Of the records before the damage. */
  hasOpt = false;
  /** The upper eight bits of the rcode, where they belong; 0 without an OPT. */
  extendedRcode = 0;

  /** Looks at all records, which begin at `from`. Borrows the message until it returns. */
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

  /** The offset behind the record at `at`, or what is wrong with it. */
  #record(message: Uint8Array, at: number, isAdditional: boolean): number {
    const fixed = behindName(message, at, message.length);
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

function behindData(message: Uint8Array, type: number, from: number, end: number): number {
  if (type === typeA) return end - from === 4 ? end : tooShort;
  if (type === typeAaaa) return end - from === 16 ? end : tooShort;
  const form = namesIn(type);
  if (form === null) return end;
  let at = firstNameAt(message, from, end, form);
  if (at < 0) return tooShort;
  for (let left = form.names; left > 0; left--) {
    at = behindName(message, at, end);
    if (at < 0) return at;
  }
  return end - at === (type === typeSoa ? 20 : 0) ? end : tooShort;
}

/** The offset behind the name at `at`, which must be whole: also where its pointers lead (RFC 1035 4.1.4). */
function behindName(message: Uint8Array, at: number, end: number): number {
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
      // Only backwards, or it could go round.
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
