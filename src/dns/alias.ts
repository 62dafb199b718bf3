/**
 * A CNAME that we made ourselves, and what it leads to: which question has to be asked, and how the answer to that is
 * put behind ours. A stub resolver takes what it gets and follows nothing (RFC 1034 5.3.1), so an alias alone would
 * be no address to it. It asks nobody.
 */
import { headerBytes, messageBytesMax, nameBytesMax } from '../limits.js';
import {
  atAnswers,
  atQuestions,
  expandName,
  sameName,
  setU16,
  skipName,
  typeA,
  typeAaaa,
  typeCname,
  typeDname,
  u16,
} from './wire.js';

const typeRrsig = 46;
/** Type, class, TTL and length, between the owner and the data of a record. */
const fixedBytes = 10;

/**
 * The question to which the last CNAME of `answers` (uncompressed records) leads, in wire form, with the type and
 * class of `question`. Null when no address was asked for, there is no CNAME, or its target is among the answers.
 */
export function aliasQuestion(question: Uint8Array, answers: readonly Uint8Array[]): Uint8Array | null {
  const type = u16(question, question.length - 4);
  if (type !== typeA && type !== typeAaaa) return null;
  const alias = answers.findLast((record) => u16(record, ownerEnd(record)) === typeCname);
  if (alias === undefined) return null;
  const target = alias.subarray(ownerEnd(alias) + fixedBytes);
  const answered = answers.some((record) => {
    return ownerEnd(record) === target.length && sameName(record, 0, target, 0, target.length);
  });
  if (answered) return null;
  return Buffer.concat([target, question.subarray(question.length - 4)]);
}

/**
 * `message`, one of ours, with the answer section of `other` behind its own answers; `other` is the upstream's
 * answer to the alias's question. `message` itself when `other` has no answers, does not parse, or both are too long
 * together. Borrows both.
 */
export function withAliasAnswer(message: Uint8Array, other: Uint8Array): Uint8Array {
  const added = answersOf(other);
  const end = answersEnd(message);
  const bytes = added.reduce((sum, record) => sum + record.length, message.length);
  const count = u16(message, atAnswers) + added.length;
  if (added.length === 0 || end === -1 || bytes > messageBytesMax || count > 65535) return message;
  const joined = Buffer.concat([message.subarray(0, end), ...added, message.subarray(end)], bytes);
  setU16(joined, atAnswers, count);
  return joined;
}

/** The owner of a record without compression ends here. */
function ownerEnd(record: Uint8Array): number {
  return skipName(record, 0, record.length);
}

/** The records of the answer section that an address is found by, uncompressed; none when the message is broken. */
function answersOf(message: Uint8Array): Uint8Array[] {
  const records: Uint8Array[] = [];
  const end = message.length;
  let at = questionsEnd(message);
  for (let left = end < headerBytes ? 0 : u16(message, atAnswers); left > 0 && at !== -1; left--) {
    const record = uncompressed(message, at);
    at = recordEnd(message, at);
    if (at === -1 || record === 'broken') return [];
    if (record !== 'other') records.push(record);
  }
  return at === -1 ? [] : records;
}

/** Only types of which we know where their data hold names; what else an answer about addresses may hold is left. */
function uncompressed(message: Uint8Array, at: number): Uint8Array | 'other' | 'broken' {
  const fixedAt = skipName(message, at, message.length);
  const end = recordEnd(message, at);
  if (fixedAt === -1 || end === -1) return 'broken';
  const owner = expanded(message, at, message.length);
  const type = u16(message, fixedAt);
  const isAlias = type === typeCname || type === typeDname;
  if (!isAlias && type !== typeA && type !== typeAaaa && type !== typeRrsig) return 'other';
  const dataAt = fixedAt + fixedBytes;
  const data = isAlias ? expanded(message, dataAt, end) : message.subarray(dataAt, end);
  if (owner === null || data === null) return 'broken';
  const record = Buffer.concat([owner, message.subarray(fixedAt, dataAt), data]);
  setU16(record, owner.length + fixedBytes - 2, data.length);
  return record;
}

function expanded(message: Uint8Array, at: number, end: number): Uint8Array | null {
  const name = new Uint8Array(nameBytesMax + 1);
  const length = expandName(message, at, end, name);
  return length === 0 ? null : name.subarray(0, length);
}

/** The offset behind the answer section, or -1 when the message is broken. */
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

/** The offset behind the record at `at`, or -1. */
function recordEnd(message: Uint8Array, at: number): number {
  const fixedAt = skipName(message, at, message.length);
  if (fixedAt === -1 || fixedAt + fixedBytes > message.length) return -1;
  const end = fixedAt + fixedBytes + u16(message, fixedAt + fixedBytes - 2);
  return end <= message.length ? end : -1;
}
