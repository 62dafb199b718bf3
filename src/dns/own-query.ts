/**
 * A question as a packet that a client could have sent, for those that we ask ourselves. It is not the request that an
 * upstream gets, which has an id of its connection's and whatever that upstream understands.
 */
import { headerBytes } from '../limits.js';
import { atAdditionals, atFlags, atQuestions, flagAd, flagCd, flagRd, setU16, typeOpt } from './wire.js';

export interface OwnQuery {
  /** Name, type and class in wire form. */
  readonly question: Uint8Array;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly dnssecOk: boolean;
}

/** The query, with AD, so that it hears what is known of the answer's authenticity, and an OPT only for DO. */
export function ownQuery({ question, recursionDesired, checkingDisabled, dnssecOk }: OwnQuery): Uint8Array {
  const end = headerBytes + question.length;
  const packet = new Uint8Array(end + (dnssecOk ? 11 : 0));
  setU16(packet, atFlags, flagAd | (recursionDesired ? flagRd : 0) | (checkingDisabled ? flagCd : 0));
  setU16(packet, atQuestions, 1);
  packet.set(question, headerBytes);
  if (dnssecOk) {
    setU16(packet, atAdditionals, 1);
    setU16(packet, end + 1, typeOpt);
    setU16(packet, end + 3, 0xffff);
    packet[end + 7] = 0x80;
  }
  return packet;
}
