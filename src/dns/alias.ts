/**
 * A CNAME that we made ourselves, and what it leads to: which question has to be asked, and how the answer to that is
 * put behind ours. A stub resolver takes what it gets and follows nothing (RFC 1034 5.3.1), so an alias alone would
 * be no address to it. It asks nobody.
 */
import { headerBytes, messageBytesMax } from '../limits.js';
import { questionForName } from './query.js';
import { fixedBytes, ownerEnd, recordEnd, sectionsOf } from './sections.js';
import {
  atAnswers,
  atQuestions,
  sameName,
  setU16,
  skipName,
  typeA,
  typeAaaa,
  typeCname,
  typeDname,
  typeRrsig,
  u16,
} from './wire.js';

/** An address is found by these. */
const typesFollowed = [typeA, typeAaaa, typeCname, typeDname, typeRrsig];

/**
 * The question to which the last CNAME of `answers` (uncompressed records) leads, in wire form, with the type and
 * class of `question`. Null when no address was asked for, there is no CNAME, or the answers have what its target has.
 */
export function aliasQuestion(question: Uint8Array, answers: readonly Uint8Array[]): Uint8Array | null {
  const type = u16(question, question.length - 4);
  if (type !== typeA && type !== typeAaaa) return null;
  const alias = answers.findLast((record) => u16(record, ownerEnd(record)) === typeCname);
  if (alias === undefined) return null;
  const target = alias.subarray(ownerEnd(alias) + fixedBytes);
  // An alias is no answer: one that leads back to another goes in a circle, which its follower finds.
  const answered = answers.some((record) => {
    const end = ownerEnd(record);
    return end === target.length && u16(record, end) !== typeCname && sameName(record, 0, target, 0, end);
  });
  if (answered) return null;
  return questionForName(question, target);
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

/** The records of the answer section that an address is found by; none when the message is broken. */
function answersOf(message: Uint8Array): readonly Uint8Array[] {
  const answers = sectionsOf(message)?.answers ?? [];
  return answers.filter((record) => typesFollowed.includes(u16(record, ownerEnd(record))));
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
