/**
 * EDNS options (RFC 6891 6.1.2) of messages that have been read: one found by its code, and some written one after the
 * other as an OPT record holds them. What an option means is for who asks.
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

/**
 * The data of the first option with this code, as bytes of their own. Null without one, and where the message, which
 * has one question, cannot be read.
 */
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

/** Options by their codes, as the data of an OPT record. */
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

/** The data of the first option with this code among those that stand there, as bytes of their own; null without one. */
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
