/**
 * Records of our own: from a zone-file line (RFC 1035 5.1) to wire bytes, and responses made from them. names.ts writes
 * names, because dns-packet breaks labels with dots and bytes above 0x7f; dns-packet writes addresses and character
 * strings. Packets of others are not decoded or encoded here; cached answers do not come here.
 */
import { createRequire } from 'node:module';
import { isIPv4, isIPv6 } from 'node:net';
import { assert, headerBytes, messageBytesMax, ttlSecondsMax } from '../limits.js';
import { classNumber, nameToWire, typeName, typeNumber } from './names.js';
import { flagCd, flagRd, sameName } from './wire.js';

// `import` would load a WebAssembly parser for CommonJS names: 5 MB.
const dnsPacket: typeof import('dns-packet') = createRequire(import.meta.url)('dns-packet');

/** As in CoreDNS's templates. */
const recordTtlSecondsDefault = 3600;
/** RDLENGTH has 16 bits. */
const dataBytesMax = 65535;

/**
 * A record in zone-file form, `name [TTL] [CLASS] TYPE rdata` with TTL and class in either order, as uncompressed wire
 * bytes. Names are relative to the root; TTLs may have units (`1h30m`); any type may use RFC 3597 (`TYPE123 \# 2
 * beef`). Reads the first record only; throws an Error with one sentence otherwise.
 */
export function parseRecord(text: string): Uint8Array {
  const words = recordWords(text);
  if (words.length === 0) throw new Error('There is no record in the text.');
  const owner = nameOf(words[0]);
  let ttlSeconds: number | undefined;
  let recordClass: number | undefined;
  let at = 1;
  for (; at < words.length; at++) {
    const word = words[at].text;
    if (ttlSeconds === undefined && isDuration(word)) ttlSeconds = secondsOf(word, ttlSecondsMax);
    else if (recordClass === undefined && classNumber(word) !== undefined) recordClass = classNumber(word);
    else break;
  }
  if (at === words.length) throw new Error(`The record of "${words[0].text}" has no type.`);
  const type = typeNumber(words[at].text);
  if (type === undefined) throw new Error(`"${words[at].text}" is not a TTL, class or type.`);
  const data = dataOf(typeName(type), words.slice(at + 1));
  if (data.length > dataBytesMax) throw recordTooLong(data.length);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(recordClass ?? 1, 2);
  fixed.writeUInt32BE(ttlSeconds ?? recordTtlSecondsDefault, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, fixed, data]);
}

/** Records are uncompressed, in wire form. */
export interface Response {
  readonly id: number;
  /** Name, type and class in wire form, echoed. */
  readonly question: Uint8Array;
  readonly authoritative: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly checkingDisabled: boolean;
  /** The header gets the lower four bits; an OPT the rest (RFC 6891 6.1.3). */
  readonly rcode: number;
  readonly answer: readonly Uint8Array[];
  readonly authority: readonly Uint8Array[];
  readonly additional: readonly Uint8Array[];
}

/**
 * Encodes it: QR=1, opcode QUERY, one question; owners equal to the question's name, in any case, become pointers.
 * Throws an Error above the maximum size of a message.
 */
export function encodeResponse(response: Response): Uint8Array {
  const { question, answer, authority, additional } = response;
  const name = question.subarray(0, question.length - 4);
  const records = [...answer, ...authority, ...additional].map((record) => underQuestion(record, name));
  const lengthBytes = records.reduce((sum, record) => sum + record.length, headerBytes + question.length);
  if (lengthBytes > messageBytesMax)
    throw new Error(`The response takes ${lengthBytes} bytes; ${messageBytesMax} are allowed.`);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(response.id, 0);
  header[2] = 0x80 | (response.authoritative ? 0x04 : 0) | (response.recursionDesired ? 0x01 : 0);
  header[3] = (response.recursionAvailable ? 0x80 : 0) | (response.checkingDisabled ? 0x10 : 0) | (response.rcode & 15);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answer.length, 6);
  header.writeUInt16BE(authority.length, 8);
  header.writeUInt16BE(additional.length, 10);
  return Buffer.concat([header, question, ...records], lengthBytes);
}

interface AnsweredQuery {
  readonly id: number;
  readonly flags: number;
  readonly question: Uint8Array;
}

/**
 * Encodes the response to this query: id and question, RD and CD as queried (RFC 1035 4.1.1, RFC 4035 3.2.2), RA set.
 */
export function encodeAnswerTo(
  { id, flags, question }: AnsweredQuery,
  parts: Pick<Response, 'authoritative' | 'rcode' | 'answer' | 'authority' | 'additional'>,
): Uint8Array {
  return encodeResponse({
    ...parts,
    id,
    question,
    recursionDesired: (flags & flagRd) !== 0,
    recursionAvailable: true,
    checkingDisabled: (flags & flagCd) !== 0,
  });
}

function underQuestion(record: Uint8Array, name: Uint8Array): Uint8Array {
  // A pointer is longer than the root's one byte.
  const isSame = name.length > 1 && record.length >= name.length && sameName(record, 0, name, 0, name.length);
  return isSame ? Buffer.concat([Buffer.from([0xc0, headerBytes]), record.subarray(name.length)]) : record;
}

type Encode = (words: Word[]) => Uint8Array;

/** The parser of each field, which removes its words from the front. */
const recordFields: Readonly<Record<string, Encode>> = {
  u8: (words) => zoneFileNumber(takeWord(words), 1),
  u16: (words) => zoneFileNumber(takeWord(words), 2),
  u32: (words) => zoneFileNumber(takeWord(words), 4),
  seconds: (words) => bigEndian(secondsOf(takeWord(words).text, 2 ** 32 - 1), 4),
  name: (words) => nameOf(takeWord(words)),
  string: (words) => characterStrings([shortString(takeWord(words))]),
  strings: (words) => characterStrings(words.splice(0).flatMap(chunks)),
  /** Without a length byte, to the end of the record. */
  text: (words) => stringBytes(takeWord(words).text),
  tag: (words) => characterStrings([tagOf(takeWord(words))]),
  ipv4: (words) => addressData(takeWord(words), 'A'),
  ipv6: (words) => addressData(takeWord(words), 'AAAA'),
  hex: (words) => hexBytes(rest(words)),
  base64: (words) => base64Bytes(rest(words)),
};

/** The fields of each type's data, in wire order. */
const typeFields: Readonly<Record<string, string>> = {
  A: 'ipv4',
  AAAA: 'ipv6',
  AFSDB: 'u16 name',
  CAA: 'u8 tag text',
  CDNSKEY: 'u16 u8 u8 base64',
  CDS: 'u16 u8 u8 hex',
  CNAME: 'name',
  DNAME: 'name',
  DNSKEY: 'u16 u8 u8 base64',
  DS: 'u16 u8 u8 hex',
  HINFO: 'string string',
  KX: 'u16 name',
  MX: 'u16 name',
  NAPTR: 'u16 u16 string string string name',
  NS: 'name',
  PTR: 'name',
  RP: 'name name',
  SOA: 'name name u32 seconds seconds seconds seconds',
  SPF: 'strings',
  SRV: 'u16 u16 u16 name',
  SSHFP: 'u8 u8 hex',
  TLSA: 'u8 u8 u8 hex',
  TXT: 'strings',
  URI: 'u16 u16 text',
};

function dataOf(type: string, words: Word[]): Uint8Array {
  if (words.length > 0 && words[0].text === '\\#' && !words[0].quoted) return unknownData(words.slice(1));
  const layout = typeFields[type];
  if (layout === undefined)
    throw new Error(`Data of type ${type} have no presentation here; write them as RFC 3597 has it: \\# length hex.`);
  try {
    const left = [...words];
    const data = layout.split(' ').map((field) => recordFields[field](left));
    if (left.length > 0) throw new Error(`"${left[0].text}" is one word too many.`);
    return Buffer.concat(data);
  } catch (error) {
    throw new Error(`The ${type} record is wrong: ${(error as Error).message}`);
  }
}

/** RFC 3597 5: the length in decimal, then hexadecimal bytes in any number of words. */
function unknownData(words: Word[]): Uint8Array {
  const lengthBytes = Buffer.from(zoneFileNumber(takeWord(words), 2)).readUInt16BE();
  const data = lengthBytes === 0 && words.length === 0 ? Buffer.alloc(0) : hexBytes(rest(words));
  if (data.length !== lengthBytes)
    throw new Error(`The length after \\# is ${lengthBytes} but ${data.length} bytes follow.`);
  return data;
}

function recordTooLong(bytes: number): Error {
  return new Error(`its data take ${bytes} bytes; ${dataBytesMax} are allowed.`);
}

function takeWord(words: Word[]): Word {
  const word = words.shift();
  if (word === undefined) throw new Error('it ends too early.');
  return word;
}

function rest(words: Word[]): string {
  if (words.length === 0) throw new Error('it ends too early.');
  const all = words.splice(0);
  return all.map(({ text }) => text).join('');
}

function nameOf(word: Word): Uint8Array {
  if (word.quoted) throw new Error(`"${word.text}" is in quotes where a name belongs.`);
  return nameToWire(word.text === '@' ? '.' : word.text);
}

/** With length bytes (RFC 1035 3.3). */
function characterStrings(strings: readonly Uint8Array[]): Uint8Array {
  if (strings.length === 0) throw new Error('it ends too early.');
  const bytes = strings.reduce((sum, string) => sum + 1 + string.length, 0);
  if (bytes > dataBytesMax) throw recordTooLong(bytes);
  return encoded(
    'TXT',
    strings.map((string) => Buffer.from(string)),
  );
}

function addressData(word: Word, type: 'A' | 'AAAA'): Uint8Array {
  const right = type === 'A' ? isIPv4(word.text) : isIPv6(word.text) && !word.text.includes('%');
  if (!right) throw new Error(`"${word.text}" is not an IPv${type === 'A' ? 4 : 6} address.`);
  return encoded(type, word.text);
}

/** dns-packet's encoders by type, which its type declarations lack. */
const codec = dnsPacket as unknown as { record(type: string): { encode(data: unknown): Uint8Array } };

/** Without the length that dns-packet writes first. */
function encoded(type: 'A' | 'AAAA' | 'TXT', data: string | readonly Uint8Array[]): Uint8Array {
  const wire = codec.record(type).encode(data);
  assert(wire.length === 2 + wire[0] * 256 + wire[1], 'dns-packet wrote the length that it announced');
  return wire.subarray(2);
}

interface Word {
  /** Without quotes; escapes stay, because names and strings read them differently. */
  readonly text: string;
  readonly quoted: boolean;
}

/**
 * The words of the first record in `text`, without comments, over several lines within parentheses. Without a record
 * there are none. Throws an Error on an open quote or parenthesis.
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
    } else if (isBlankCharacter(character)) {
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

/** The bytes of a character string: `\DDD` is a byte, `\x` is x, the rest UTF-8. Throws an Error on a broken escape. */
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

/** A decimal number in network order. Throws an Error when it does not fit. */
function zoneFileNumber(word: Word, bytes: 1 | 2 | 4): Uint8Array {
  const value = /^\d{1,10}$/.test(word.text) ? Number(word.text) : Number.NaN;
  const max = 2 ** (8 * bytes) - 1;
  if (!(value <= max)) throw new Error(`"${word.text}" is not a whole number from 0 to ${max}.`);
  return bigEndian(value, bytes);
}

function bigEndian(value: number, bytes: 1 | 2 | 4): Uint8Array {
  const wire = Buffer.alloc(bytes);
  wire.writeUIntBE(value, 0, bytes);
  return wire;
}

/** Seconds, or numbers with units. */
export function isDuration(text: string): boolean {
  return /^(\d+[smhdw]?)+$/i.test(text);
}

/** Seconds of `3600`, `1h30m`, `2d`. Throws an Error above `max`. */
export function secondsOf(text: string, max: number): number {
  const units: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
  let seconds = isDuration(text) ? 0 : Number.NaN;
  for (const [, digits, unit] of text.matchAll(/(\d+)([smhdw]?)/gi))
    seconds += Number(digits) * units[unit.toLowerCase()];
  if (!(seconds <= max)) throw new Error(`"${text}" is not a time of 0 to ${max} seconds.`);
  return seconds;
}

/** A character string. Throws an Error above 255 bytes. */
function shortString(word: Word): Uint8Array {
  const bytes = stringBytes(word.text);
  if (bytes.length > 255) throw new Error(`A string of ${bytes.length} bytes is too long; 255 are allowed.`);
  return bytes;
}

/** Splits a long text into several character strings (RFC 1035 3.3.14), as CoreDNS does. */
export function chunks(word: Word): Uint8Array[] {
  const bytes = stringBytes(word.text);
  const parts = [bytes.subarray(0, 255)];
  for (let at = 255; at < bytes.length; at += 255) parts.push(bytes.subarray(at, at + 255));
  return parts;
}

/** A CAA tag (RFC 8659 4.1). Throws an Error unless it is letters and digits. */
function tagOf(word: Word): Uint8Array {
  if (!/^[a-z0-9]{1,255}$/i.test(word.text)) throw new Error(`"${word.text}" is not a tag of letters and digits.`);
  return Buffer.from(word.text);
}

/** At least one byte. Throws an Error on anything else than hexadecimal. */
function hexBytes(text: string): Uint8Array {
  if (!/^([0-9a-f]{2})+$/i.test(text)) throw new Error(`"${text}" is not bytes in hexadecimal.`);
  return Buffer.from(text, 'hex');
}

/** At least one byte. Throws an Error on anything else than base64. */
function base64Bytes(text: string): Uint8Array {
  if (!/^([a-z0-9+/]{4})*([a-z0-9+/]{2}==|[a-z0-9+/]{3}=)?$/i.test(text) || text === '')
    throw new Error(`"${text}" is not base64.`);
  return Buffer.from(text, 'base64');
}

/** The offset of the closing quote; an escaped one does not close. */
function quotedEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at;
  }
  throw new Error('A quote is not closed.');
}

function wordEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== '\n' && !isBlankCharacter(text[at]) && !'();"'.includes(text[at])) {
    at += text[at] === '\\' ? 2 : 1;
  }
  return Math.min(at, text.length);
}

function isBlankCharacter(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\r';
}
