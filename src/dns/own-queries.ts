/**
 * Queries that the program sends to itself: subqueries that look like a client's (a request to an upstream has its
 * connection's id and EDNS), and self probes. A probe is a STATUS query (RFC 1035 4.1.1) of a header only, answered
 * NOTIMP from the packet alone; in place of its last two counts it has a mark that only this process knows, so it is
 * not counted as a client's.
 */
import { headerBytes } from '../limits.js';
import {
  atAdditionals,
  atAuthorities,
  atFlags,
  atQuestions,
  flagAd,
  flagCd,
  flagQr,
  flagRd,
  messageFlags,
  messageId,
  setU16,
  skipName,
  typeOpt,
  u16,
} from './wire.js';

interface OwnQuery {
  readonly question: Uint8Array;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly dnssecOk: boolean;
}

/** With AD and an OPT, so that the answer tells whether it is authentic or stale. */
export function ownQuery({ question, recursionDesired, checkingDisabled, dnssecOk }: OwnQuery): Uint8Array {
  const end = headerBytes + question.length;
  const packet = new Uint8Array(end + 11);
  setU16(packet, atFlags, flagAd | (recursionDesired ? flagRd : 0) | (checkingDisabled ? flagCd : 0));
  setU16(packet, atQuestions, 1);
  packet.set(question, headerBytes);
  setU16(packet, atAdditionals, 1);
  setU16(packet, end + 1, typeOpt);
  setU16(packet, end + 3, 0xffff);
  packet[end + 7] = dnssecOk ? 0x80 : 0;
  return packet;
}

/** Whether a message is a reply to this query of ours: the same id and the same question, byte for byte. */
export function isReplyTo(message: Uint8Array, query: Uint8Array): boolean {
  const questionEnd = skipName(query, headerBytes, query.length) + 4;
  if (message.length < questionEnd || messageId(message) !== messageId(query)) return false;
  if ((messageFlags(message) & flagQr) === 0 || u16(message, atQuestions) !== 1) return false;
  return query.subarray(headerBytes, questionEnd).every((byte, index) => message[headerBytes + index] === byte);
}

const opcodeStatus = 2;
/** Number of marks: 32 bits, in NSCOUNT and ARCOUNT. */
export const ownMarks = 2 ** 32;
/** A mark that matches no probe. */
export const noOwnMark = -1;

export function ownQuestion(id: number, mark: number): Uint8Array {
  const question = new Uint8Array(headerBytes);
  setU16(question, 0, id);
  question[2] = opcodeStatus << 3;
  setU16(question, atAuthorities, mark >>> 16);
  setU16(question, atAuthorities + 2, mark & 0xffff);
  return question;
}

/** Whether a packet with another opcode than QUERY is a self probe. */
export function isOwnQuestion(packet: Uint8Array, length: number, mark: number): boolean {
  return (
    length === headerBytes &&
    packet[2] >> 3 === opcodeStatus &&
    u16(packet, atAuthorities) * 0x1_0000 + u16(packet, atAuthorities + 2) === mark
  );
}
