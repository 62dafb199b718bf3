/**
 * A question as a packet that a client could have sent, for those that we ask ourselves. It is not the request that an
 * upstream gets, which has an id of its connection's and whatever that upstream understands.
 */
import { headerBytes } from '../limits.js';
import { atAdditionals, atFlags, atQuestions, flagAd, flagCd, flagRd, setU16, typeOpt } from './wire.js';

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
