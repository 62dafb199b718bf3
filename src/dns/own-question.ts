/**
 * The question that we ask our own listeners to see whether they answer: a STATUS query (RFC 1035 4.1.1) that is a
 * header and nothing else, answered NOTIMP from the packet alone. Where a query has its last two counts it has a mark
 * that only this process knows, so that it is told from what clients send and counted with none of it.
 */
import { headerBytes } from '../limits.js';
import { atAuthorities, setU16, u16 } from './wire.js';

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
