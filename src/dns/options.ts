/**
 * EDNS options (RFC 6891 6.1.2): finding one by its code, and encoding several.
 */
import { headerBytes } from '../limits.js';
import {
  atAdditionals,
  atAnswers,
  atAuthorities,
  copyOf,
  setU16,
  skipName,
  skipPlainName,
  typeOpt,
  u16,
} from './wire.js';

/** A copy of the first such option's data; null without one. The message has one question; null if it is broken. */
export function optionOf(message: Uint8Array, code: number): Uint8Array | null {
  const end = message.length;
  const nameEnd = skipPlainName(message, headerBytes, end);
  if (nameEnd < 0) return null;
  let at = nameEnd + 4;
  for (
    let left = u16(message, atAnswers) + u16(message, atAuthorities) + u16(message, atAdditionals);
    left > 0;
    left--
  ) {
    const fixed = skipName(message, at, end);
    if (fixed < 0 || fixed + 10 > end) return null;
    const data = fixed + 10;
    at = data + u16(message, fixed + 8);
    if (at > end) return null;
    if (u16(message, fixed) === typeOpt) return optionIn(message, { from: data, end: at }, code);
  }
  return null;
}

/** The data of an OPT record. */
export function encodeOptions(options: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const bytes = [...options.values()].reduce((sum, data) => sum + 4 + data.length, 0);
  const out = new Uint8Array(bytes);
  let at = 0;
  for (const [code, data] of options) {
    setU16(out, at, code);
    setU16(out, at + 2, data.length);
    out.set(data, at + 4);
    at += 4 + data.length;
  }
  return out;
}

/** The same within the data of an OPT record. */
export function optionIn(
  bytes: Uint8Array,
  { from, end }: { readonly from: number; readonly end: number },
  code: number,
): Uint8Array | null {
  for (let at = from; at + 4 <= end; at += 4 + u16(bytes, at + 2)) {
    const dataEnd = at + 4 + u16(bytes, at + 2);
    if (u16(bytes, at) === code) return dataEnd <= end ? copyOf(bytes, at + 4, dataEnd) : null;
  }
  return null;
}
