/**
 * The words of one resource record as people write it in a zone file (RFC 1035 5.1): separated by blanks, in quotes
 * or not, over several lines within parentheses, up to a `;` comment or the end of the line; and the bytes that a word
 * spells as a number, a time, a string, hexadecimal or base64. Which word is which is for records.ts to know. Escapes
 * in words are kept as written, because a name and a string read them differently.
 */

export interface Word {
  /** As written, without the quotes; `\.` and `\DDD` still escaped. */
  readonly text: string;
  readonly quoted: boolean;
}

/**
 * The words of the first record in `text`; later lines are not read. Blank lines and leading blanks are skipped, so
 * that text with nothing but comments gives no words. Throws an Error on a quote or parenthesis that is not closed.
 */
export function recordWords(text: string): Word[] {
  const words: Word[] = [];
  let depth = 0;
  let at = 0;
  while (at < text.length) {
    const character = text[at];
    if (character === '\n') {
      if (depth === 0 && words.length > 0) break;
      at++;
    } else if (isBlank(character)) {
      at++;
    } else if (character === ';') {
      const end = text.indexOf('\n', at);
      at = end === -1 ? text.length : end;
    } else if (character === '(') {
      depth++;
      at++;
    } else if (character === ')') {
      if (depth === 0) throw new Error('A ")" has no "(" before it.');
      depth--;
      at++;
    } else {
      const end = character === '"' ? quotedEnd(text, at + 1) : wordEnd(text, at);
      const quoted = character === '"';
      words.push({ text: quoted ? text.slice(at + 1, end) : text.slice(at, end), quoted });
      at = quoted ? end + 1 : end;
    }
  }
  if (depth > 0) throw new Error('A "(" is not closed.');
  return words;
}

/**
 * The bytes of a character string: `\DDD` is the byte of that number, `\` before anything else stands for what
 * follows, characters outside ASCII are UTF-8. Throws an Error on a broken escape.
 */
export function stringBytes(text: string): Uint8Array {
  const written = Buffer.from(text, 'utf8');
  if (!written.includes(0x5c)) return written;
  const bytes = new Uint8Array(written.length);
  let length = 0;
  for (let at = 0; at < written.length; at++) {
    if (written[at] !== 0x5c) {
      bytes[length++] = written[at];
      continue;
    }
    const digits = written.toString('latin1', at + 1, at + 4);
    if (/^\d\d\d$/.test(digits) && Number(digits) <= 255) {
      bytes[length++] = Number(digits);
      at += 3;
    } else if (/^\d/.test(digits) || digits === '') {
      throw new Error(`"${text}" has a broken escape; write \\DDD with three digits, from \\000 to \\255.`);
    } else {
      bytes[length++] = written[++at];
    }
  }
  return bytes.subarray(0, length);
}

/** A decimal number as so many bytes. Throws an Error when it does not fit. */
export function wholeNumber(word: Word, bytes: 1 | 2 | 4): Uint8Array {
  const value = /^\d{1,10}$/.test(word.text) ? Number(word.text) : Number.NaN;
  const max = 2 ** (8 * bytes) - 1;
  if (!(value <= max)) throw new Error(`"${word.text}" is not a whole number from 0 to ${max}.`);
  return bigEndian(value, bytes);
}

/** The number in network order. */
export function bigEndian(value: number, bytes: 1 | 2 | 4): Uint8Array {
  const wire = Buffer.alloc(bytes);
  wire.writeUIntBE(value, 0, bytes);
  return wire;
}

/** Whether the word is a number of seconds, or numbers with units. */
export function isDuration(text: string): boolean {
  return /^(\d+[smhdw]?)+$/i.test(text);
}

/** `3600`, `1h30m`, `2d`: whole seconds. Throws an Error when they are more than `max`. */
export function secondsOf(text: string, max: number): number {
  const units: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
  let seconds = isDuration(text) ? 0 : Number.NaN;
  for (const [, digits, unit] of text.matchAll(/(\d+)([smhdw]?)/gi))
    seconds += Number(digits) * units[unit.toLowerCase()];
  if (!(seconds <= max)) throw new Error(`"${text}" is not a time of 0 to ${max} seconds.`);
  return seconds;
}

/** The bytes of one character string; throws an Error when they are more than 255. */
export function shortString(word: Word): Uint8Array {
  const bytes = stringBytes(word.text);
  if (bytes.length > 255) throw new Error(`A string of ${bytes.length} bytes is too long; 255 are allowed.`);
  return bytes;
}

/** A text longer than one character string goes into several (RFC 1035 3.3.14), as CoreDNS does it. */
export function chunks(word: Word): Uint8Array[] {
  const bytes = stringBytes(word.text);
  const parts = [bytes.subarray(0, 255)];
  for (let at = 255; at < bytes.length; at += 255) parts.push(bytes.subarray(at, at + 255));
  return parts;
}

/** A CAA tag (RFC 8659 4.1); throws an Error when it is not letters and digits. */
export function tagOf(word: Word): Uint8Array {
  if (!/^[a-z0-9]{1,255}$/i.test(word.text)) throw new Error(`"${word.text}" is not a tag of letters and digits.`);
  return Buffer.from(word.text);
}

/** Bytes written in hexadecimal, at least one; throws an Error when they are not. */
export function hexBytes(text: string): Uint8Array {
  if (!/^([0-9a-f]{2})+$/i.test(text)) throw new Error(`"${text}" is not bytes in hexadecimal.`);
  return Buffer.from(text, 'hex');
}

/** Bytes written in base64, at least one; throws an Error when they are not. */
export function base64Bytes(text: string): Uint8Array {
  if (!/^([a-z0-9+/]{4})*([a-z0-9+/]{2}==|[a-z0-9+/]{3}=)?$/i.test(text) || text === '')
    throw new Error(`"${text}" is not base64.`);
  return Buffer.from(text, 'base64');
}

/** Where the closing quote stands; an escaped quote does not close. */
function quotedEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at;
  }
  throw new Error('A quote is not closed.');
}

function wordEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== '\n' && !isBlank(text[at]) && !'();"'.includes(text[at])) {
    at += text[at] === '\\' ? 2 : 1;
  }
  return Math.min(at, text.length);
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\r';
}
