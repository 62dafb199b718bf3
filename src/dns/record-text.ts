/**
 * Records of a message as people write them in zone files (RFC 1035 5.1), for commands that show an answer. Types whose
 * data nobody reads have RFC 3597's form. Reads messages of others: what is malformed ends the list.
 */
import { headerBytes } from '../limits.js';
import { typeName, wireToName } from './names.js';
import { typeMx, typeSrv } from './rdata-layout.js';
import {
  atAdditionals,
  atAnswers,
  atAuthorities,
  atQuestions,
  skipName,
  typeA,
  typeAaaa,
  typeCname,
  typeDname,
  typeNs,
  typeOpt,
  typePtr,
  typeSoa,
  typeTxt,
  u16,
  u32,
} from './wire.js';

export interface RecordText {
  readonly section: 'answer' | 'authority' | 'additional';
  readonly name: string;
  readonly ttlSeconds: number;
  readonly type: string;
  readonly data: string;
}

const sectionCounts = [
  ['answer', atAnswers],
  ['authority', atAuthorities],
  ['additional', atAdditionals],
] as const;

/** The first `most` records without OPT, in order. */
export function recordTexts(message: Uint8Array, most: number): RecordText[] {
  const records: RecordText[] = [];
  try {
    let at = headerBytes;
    for (let left = u16(message, atQuestions); left > 0; left--) at = skippedName(message, at) + 4;
    for (const [section, countAt] of sectionCounts) {
      for (let left = u16(message, countAt); left > 0 && records.length < most; left--) {
        const fixedAt = skippedName(message, at);
        const dataAt = fixedAt + 10;
        const end = dataAt + u16(message, fixedAt + 8);
        if (end > message.length) return records;
        const type = u16(message, fixedAt);
        const [name, ttlSeconds] = [wireToName(message, at), u32(message, fixedAt + 4)];
        const data = rdataText(message, type, dataAt, end);
        if (type !== typeOpt) records.push({ section, name, ttlSeconds, type: typeName(type), data });
        at = end;
      }
    }
  } catch {
    return records;
  }
  return records;
}

/** Throws where no whole name is. */
function skippedName(message: Uint8Array, at: number): number {
  const end = skipName(message, at, message.length);
  if (end < 0) throw new Error('The message ends within a name.');
  return end;
}

const typeCaa = 257;

const textsOfData: ReadonlyMap<number, (message: Uint8Array, at: number, end: number) => string> = new Map([
  [typeA, (message, at, end) => [...message.subarray(at, end)].join('.')],
  [typeAaaa, (message, at, end) => aaaaText(message.subarray(at, end))],
  ...[typeNs, typeCname, typePtr, typeDname].map((type) => [type, wireToName] as const),
  [typeMx, (message, at) => `${u16(message, at)} ${wireToName(message, at + 2)}`],
  [
    typeSrv,
    (message, at) => `${[0, 2, 4].map((place) => u16(message, at + place)).join(' ')} ${wireToName(message, at + 6)}`,
  ],
  [typeSoa, soaText],
  [typeTxt, stringsText],
  [typeCaa, caaText],
]);

function rdataText(message: Uint8Array, type: number, at: number, end: number): string {
  const written = textsOfData.get(type);
  if (written !== undefined && end > at) return written(message, at, end);
  return `\\# ${end - at} ${Buffer.from(message.subarray(at, end)).toString('hex')}`.trimEnd();
}

function soaText(message: Uint8Array, at: number): string {
  const second = skippedName(message, at);
  const numbers = skippedName(message, second);
  const texts = [0, 4, 8, 12, 16].map((place) => u32(message, numbers + place));
  return [wireToName(message, at), wireToName(message, second), ...texts].join(' ');
}

function stringsText(message: Uint8Array, from: number, end: number): string {
  const texts: string[] = [];
  for (let at = from; at < end; at += message[at] + 1) {
    texts.push(quotedString(message.subarray(at + 1, Math.min(end, at + 1 + message[at]))));
  }
  return texts.join(' ');
}

function caaText(message: Uint8Array, at: number, end: number): string {
  const valueAt = at + 2 + message[at + 1];
  const tag = Buffer.from(message.subarray(at + 2, valueAt))
    .toString('latin1')
    .replace(/[^a-z0-9]/giu, '?');
  return `${message[at]} ${tag} ${quotedString(message.subarray(valueAt, end))}`;
}

/** RFC 1035 5.1: `\"`, `\\`, and `\DDD` for what is not printable ASCII. */
function quotedString(bytes: Uint8Array): string {
  const characters = [...bytes].map((byte) => {
    if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
    return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`;
  });
  return `"${characters.join('')}"`;
}

/** RFC 5952: lower case, the longest run of zeros as `::`. */
function aaaaText(bytes: Uint8Array): string {
  const groups: string[] = [];
  for (let at = 0; at + 1 < bytes.length; at += 2) groups.push(u16(bytes, at).toString(16));
  const whole = groups.join(':');
  const runs = whole.match(/\b0(?::0)+\b/gu) ?? [];
  const longest = runs.reduce((most, run) => (run.length > most.length ? run : most), '');
  return longest === '' ? whole : whole.replace(new RegExp(`(^|:)${longest}(:|$)`, 'u'), '::');
}
