/**
 * The records of a message as uncompressed bytes, for another message; without the OPT, which belongs to one exchange.
 * Also completes our own aliases with their target's answer: stub resolvers follow no CNAME (RFC 1034 5.3.1).
 */
import { headerBytes, messageBytesMax, nameBytesMax } from '../limits.js';
import { questionForName } from './query.js';
import { firstNameAt, namesIn } from './rdata-layout.js';
import {
  atAnswers,
  atAuthorities,
  atQuestions,
  expandName,
  sameName,
  setU16,
  skipName,
  skipPlainName,
  typeA,
  typeAaaa,
  typeCname,
  typeDname,
  typeRrsig,
  u16,
} from './wire.js';

interface Sections {
  readonly answers: readonly Uint8Array[];
  readonly authorities: readonly Uint8Array[];
}

/** Type, class, TTL and length of a record. */
export const fixedBytes = 10;

/** Answers and authorities of a message with one question; null for a broken one. Borrows the message. */
export function sectionsOf(message: Uint8Array): Sections | null {
  if (message.length < headerBytes || u16(message, atQuestions) !== 1) return null;
  const nameEnd = skipPlainName(message, headerBytes, message.length);
  if (nameEnd < 0 || nameEnd + 4 > message.length) return null;
  const answers: Uint8Array[] = [];
  const authorities: Uint8Array[] = [];
  let at = nameEnd + 4;
  for (const [section, count] of [
    [answers, u16(message, atAnswers)],
    [authorities, u16(message, atAuthorities)],
  ] as const) {
    for (let left = count; left > 0; left--) {
      const record = withoutCompression(message, at);
      if (record === null) return null;
      section.push(record);
      at = recordEnd(message, at);
    }
  }
  return { answers, authorities };
}

export function ownerEnd(record: Uint8Array): number {
  return skipName(record, 0, record.length);
}

/** The offset behind the record at `at`, or -1. */
function recordEnd(message: Uint8Array, at: number): number {
  const fixedAt = skipName(message, at, message.length);
  if (fixedAt === -1 || fixedAt + fixedBytes > message.length) return -1;
  const end = fixedAt + fixedBytes + u16(message, fixedAt + fixedBytes - 2);
  return end <= message.length ? end : -1;
}

function withoutCompression(message: Uint8Array, at: number): Uint8Array | null {
  const end = recordEnd(message, at);
  if (end === -1) return null;
  const fixedAt = skipName(message, at, message.length);
  const dataAt = fixedAt + fixedBytes;
  const owner = expanded(message, at, message.length);
  const data = uncompressedData(message, dataAt, end, u16(message, fixedAt));
  if (owner === null || data === null) return null;
  const record = Buffer.concat([owner, message.subarray(fixedAt, dataAt), ...data]);
  setU16(record, owner.length + fixedBytes - 2, record.length - owner.length - fixedBytes);
  return record;
}

/** A record's data in pieces with expanded names; null for broken ones. */
function uncompressedData(message: Uint8Array, from: number, end: number, type: number): Uint8Array[] | null {
  const form = namesIn(type);
  if (form === null) return [message.subarray(from, end)];
  let at = firstNameAt(message, from, end, form);
  if (at === -1) return null;
  const pieces = [message.subarray(from, at)];
  for (let left = form.names; left > 0; left--) {
    const name = expanded(message, at, end);
    if (name === null) return null;
    pieces.push(name);
    at = skipName(message, at, end);
  }
  pieces.push(message.subarray(at, end));
  return pieces;
}

function expanded(message: Uint8Array, at: number, end: number): Uint8Array | null {
  const name = new Uint8Array(nameBytesMax + 1);
  const length = expandName(message, at, end, name);
  return length === 0 ? null : name.subarray(0, length);
}

/** What leads to an address. */
const typesFollowed = [typeA, typeAaaa, typeCname, typeDname, typeRrsig];

/**
 * The question, in wire form, for the target of the last CNAME in `answers` (uncompressed), of the type and class of
 * `question`. Null for other types than addresses, without a CNAME, or with the target's records.
 */
export function aliasQuestion(question: Uint8Array, answers: readonly Uint8Array[]): Uint8Array | null {
  const type = u16(question, question.length - 4);
  if (type !== typeA && type !== typeAaaa) return null;
  const alias = answers.findLast((record) => u16(record, ownerEnd(record)) === typeCname);
  if (alias === undefined) return null;
  const target = alias.subarray(ownerEnd(alias) + fixedBytes);
  // A further alias does not count, so a loop goes to the caller, which detects it.
  const answered = answers.some((record) => {
    const end = ownerEnd(record);
    return end === target.length && u16(record, end) !== typeCname && sameName(record, 0, target, 0, end);
  });
  if (answered) return null;
  return questionForName(question, target);
}

/**
 * Our `message` with the answer section of `other`, the upstream's answer for the alias's target, behind its own.
 * Unchanged when `other` has no answers or does not parse, or the result is too long. Borrows both.
 */
export function withAliasAnswer(message: Uint8Array, other: Uint8Array): Uint8Array {
  const added = answerRecordsOf(other);
  const end = answersEnd(message);
  const bytes = added.reduce((sum, record) => sum + record.length, message.length);
  const count = u16(message, atAnswers) + added.length;
  if (added.length === 0 || end === -1 || bytes > messageBytesMax || count > 65535) return message;
  const joined = Buffer.concat([message.subarray(0, end), ...added, message.subarray(end)], bytes);
  setU16(joined, atAnswers, count);
  return joined;
}

/** None for a broken message. */
function answerRecordsOf(message: Uint8Array): readonly Uint8Array[] {
  const answers = sectionsOf(message)?.answers ?? [];
  return answers.filter((record) => typesFollowed.includes(u16(record, ownerEnd(record))));
}

/** -1 for a broken message. */
function answersEnd(message: Uint8Array): number {
  let at = questionsEnd(message);
  for (let left = u16(message, atAnswers); left > 0 && at !== -1; left--) at = recordEnd(message, at);
  return at;
}

function questionsEnd(message: Uint8Array): number {
  if (message.length < headerBytes) return -1;
  let at = headerBytes;
  for (let left = u16(message, atQuestions); left > 0 && at !== -1; left--) {
    at = skipName(message, at, message.length);
    if (at !== -1) at = at + 4 <= message.length ? at + 4 : -1;
  }
  return at;
}
