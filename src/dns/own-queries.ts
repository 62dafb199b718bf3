/**
 * A question as a packet that a client could have sent, for those that we ask ourselves. It is not the request that an
 * upstream gets, which has an id of its connection's and whatever that upstream understands.
 */
import { headerBytes } from '../limits.js';
import {
  atAdditionals,
  atAuthorities,
  atFlags,
  atQuestions,
  flagAd,
  flagCd,
  flagRd,
  setU16,
  typeOpt,
  u16,
} from './wire.js';

interface OwnQuery {
  /** Name, type and class in wire form. */
  readonly question: Uint8Array;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly dnssecOk: boolean;
}

/** The query, with AD and an OPT, so that it hears what is known of the answer: whether it is authentic, or stale. */
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

const opcodeStatus = 2;
/** The mark is so many values: 32 bits, in the place of NSCOUNT and ARCOUNT. */
export const ownMarks = 2 ** 32;
/** A lane that is told no mark knows no own question. */
export const noOwnMark = -1;

/** Writes one with this id and mark. */
export function ownQuestion(id: number, mark: number): Uint8Array {
  const question = new Uint8Array(headerBytes);
  setU16(question, 0, id);
  question[2] = opcodeStatus << 3;
  setU16(question, atAuthorities, mark >>> 16);
  setU16(question, atAuthorities + 2, mark & 0xffff);
  return question;
}

/** Whether a packet of some other opcode than QUERY is one of ours. */
export function isOwnQuestion(packet: Uint8Array, length: number, mark: number): boolean {
  return (
    length === headerBytes &&
    packet[2] >> 3 === opcodeStatus &&
    u16(packet, atAuthorities) * 0x1_0000 + u16(packet, atAuthorities + 2) === mark
  );
}
