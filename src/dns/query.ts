/** Parses a client's packet into a reusable record, or refuses it, from the bytes alone and before any other work. */
import {
  headerBytes,
  labelBytesMax,
  labelsMax,
  nameBytesMax,
  plainUdpBytesMax,
  waiterQueryBytesMax,
} from '../limits.js';
import { lowerCaseName, nameToWire, wireToName } from './names.js';
import {
  atAdditionals,
  atAnswers,
  atAuthorities,
  atFlags,
  atQuestions,
  classIn,
  copyOf,
  flagCd,
  flagQr,
  flagRd,
  flagsOpcode,
  optionKeepalive,
  optionNsid,
  sameName,
  setU16,
  skipName,
  typeAxfr,
  typeIxfr,
  typeOpt,
  u16,
} from './wire.js';

/** Why a packet gets no regular answer. */
export type Refusal = 'drop' | 'formerr' | 'notimp' | 'refused' | 'badvers';

/** One question and what its sender accepts; overwritten by each `readQuery`. */
export class Query {
  flags = 0;
  /** Behind the root label; the name starts at 12. */
  nameEnd = 0;
  type = 0;
  class = 0;
  /** Behind the class. */
  questionEnd = 0;
  /** Without the root label. */
  readonly labels = new Uint16Array(labelsMax);
  labelCount = 0;
  /** The sender sent an OPT and so gets one (RFC 6891 6.1.1). */
  edns = false;
  /** At least 512. */
  udpBytes = plainUdpBytesMax;
  dnssecOk = false;
  /** The OPT has edns-tcp-keepalive (RFC 7828). */
  keepalive = false;
  /** Valid with `edns`: the OPT asks for our identifier (RFC 5001). */
  nsid = false;

  get recursionDesired(): boolean {
    return (this.flags & flagRd) !== 0;
  }

  get checkingDisabled(): boolean {
    return (this.flags & flagCd) !== 0;
  }
}

/**
 * Reads the first `length` bytes of `packet`, borrowed, into `query`. Dropped: under 12 bytes, and responses (answering
 * them could start a loop of two servers). NOTIMP: any opcode but QUERY. FORMERR: other than one question, a name with
 * a pointer or longer than 255 bytes, anything truncated, more records than a query can have, an OPT against RFC 6891
 * 6.1.1. REFUSED: zone transfers. BADVERS: EDNS above 0. The last two have a valid question.
 */
export function readQuery(packet: Uint8Array, length: number, query: Query): Refusal | 'ok' {
  if (length < headerBytes) return 'drop';
  const flags = u16(packet, atFlags);
  if ((flags & flagQr) !== 0) return 'drop';
  query.flags = flags;
  query.edns = false;
  query.dnssecOk = false;
  query.keepalive = false;
  query.udpBytes = plainUdpBytesMax;
  if ((flags & flagsOpcode) !== 0) return 'notimp';
  if (u16(packet, atQuestions) !== 1) return 'formerr';
  const name = readQueryName(packet, length, query);
  if (!name) return 'formerr';
  const records = u16(packet, atAnswers) + u16(packet, atAuthorities) + u16(packet, atAdditionals);
  if (records !== 0) {
    const refusal = readRecords(packet, length, query);
    if (refusal !== 'ok') return refusal;
  }
  return query.type === typeAxfr || query.type === typeIxfr ? 'refused' : 'ok';
}

/** Reads name, type and class only; false when the packet begins no query. */
export function readQuestion(packet: Uint8Array, length: number, query: Query): boolean {
  if (length < headerBytes || (u16(packet, atFlags) & (flagQr | flagsOpcode)) !== 0) return false;
  return u16(packet, atQuestions) === 1 && readQueryName(packet, length, query);
}

function readQueryName(packet: Uint8Array, end: number, query: Query): boolean {
  let position = headerBytes;
  let labels = 0;
  while (true) {
    if (position >= end) return false;
    const length = packet[position];
    if (length === 0) break;
    if (length > labelBytesMax) return false;
    query.labels[labels++] = position;
    position += length + 1;
    if (position - headerBytes >= nameBytesMax) return false;
  }
  position++;
  if (position + 4 > end) return false;
  query.labelCount = labels;
  query.nameEnd = position;
  query.type = u16(packet, position);
  query.class = u16(packet, position + 2);
  query.questionEnd = position + 4;
  return true;
}

/** At most one answer, one authority (an IXFR's SOA), two additional records (OPT, TSIG); reads the OPT only. */
function readRecords(packet: Uint8Array, end: number, query: Query): Refusal | 'ok' {
  const answers = u16(packet, atAnswers);
  const authorities = u16(packet, atAuthorities);
  const additionals = u16(packet, atAdditionals);
  if (answers > 1 || authorities > 1 || additionals > 2) return 'formerr';
  let position = query.questionEnd;
  let version = 0;
  for (let index = answers + authorities + additionals; index > 0; index--) {
    const owner = position;
    position = skipName(packet, position, end);
    if (position < 0 || position + 10 > end) return 'formerr';
    const rdata = position + 10;
    const rdataEnd = rdata + u16(packet, position + 8);
    if (rdataEnd > end) return 'formerr';
    if (u16(packet, position) === typeOpt) {
      if (query.edns || index > additionals || packet[owner] !== 0) return 'formerr';
      query.edns = true;
      query.nsid = false;
      query.udpBytes = Math.max(plainUdpBytesMax, u16(packet, position + 2));
      version = packet[position + 5];
      query.dnssecOk = (packet[position + 6] & 0x80) !== 0;
      if (!readOptions(packet, rdata, rdataEnd, query)) return 'formerr';
    }
    position = rdataEnd;
  }
  return version === 0 ? 'ok' : 'badvers';
}

function readOptions(packet: Uint8Array, from: number, end: number, query: Query): boolean {
  let position = from;
  while (position < end) {
    if (position + 4 > end) return false;
    const code = u16(packet, position);
    if (code === optionKeepalive) query.keepalive = true;
    else if (code === optionNsid) query.nsid = true;
    position += 4 + u16(packet, position + 2);
  }
  return position === end;
}

/** A copy for later of an accepted packet; a long one is reduced to what `readQuery` reads: question and OPT. */
export function keptQuery(packet: Uint8Array, query: Query, copy = copyOf): Uint8Array {
  if (packet.length <= waiterQueryBytesMax) return copy(packet, 0, packet.length);
  const { questionEnd, edns } = query;
  const optionsBytes = (query.keepalive ? 4 : 0) + (edns && query.nsid ? 4 : 0);
  const kept = new Uint8Array(questionEnd + (edns ? 11 + optionsBytes : 0));
  kept.set(packet.subarray(0, questionEnd));
  kept.fill(0, atAnswers, headerBytes);
  if (!edns) return kept;
  kept[atAdditionals + 1] = 1;
  setU16(kept, questionEnd + 1, typeOpt);
  setU16(kept, questionEnd + 3, query.udpBytes);
  kept[questionEnd + 7] = query.dnssecOk ? 0x80 : 0;
  setU16(kept, questionEnd + 9, optionsBytes);
  let at = questionEnd + 11;
  if (query.keepalive) {
    setU16(kept, at, optionKeepalive);
    at += 4;
  }
  if (query.nsid) setU16(kept, at, optionNsid);
  return kept;
}

export function questionOf(packet: Uint8Array, query: Query, copy = copyOf): Uint8Array {
  return copy(packet, headerBytes, query.questionEnd);
}

/** The same type and class for another name in wire form. */
export function questionForName(question: Uint8Array, name: Uint8Array): Uint8Array {
  return Buffer.concat([name, question.subarray(question.length - 4)]);
}

export function questionForType(packet: Uint8Array, query: Query, type: number, copy = copyOf): Uint8Array {
  const question = questionOf(packet, query, copy);
  setU16(question, question.length - 4, type);
  return question;
}

/** A question of ours: the name in presentation form, class IN. */
export function questionFor(name: string, type: number): Uint8Array {
  return Buffer.concat([nameToWire(name), Uint8Array.of(type >> 8, type & 0xff, 0, classIn)]);
}

/** The question in words. */
export interface AskedQuestion {
  /** Lower-case, with the closing dot. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

/** Reads the question; it has been checked when the query was read. */
export function askedBy(question: Uint8Array): AskedQuestion {
  return {
    name: lowerCaseName(wireToName(question, 0)),
    type: u16(question, question.length - 4),
    class: u16(question, question.length - 2),
  };
}

const localhost = Buffer.from('\x09localhost\0', 'latin1');
const reverse = Buffer.from('\x07in-addr\x04arpa\0', 'latin1');
const reverseLabels = ['0', '127', '255'].map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));

/**
 * Whether the queried name never leaves a machine: localhost and below (RFC 6761 6.3), the reverse names of this
 * network, this host and broadcast (RFC 6303 4.2), and, with `takesPrefix`, `localhost` with a search domain.
 */
export function isLocalName(packet: Uint8Array, query: Query, takesPrefix: boolean): boolean {
  const { labels, labelCount } = query;
  if (labelCount === 0) return false;
  if (sameName(packet, labels[labelCount - 1], localhost, 0, localhost.length)) return true;
  if (takesPrefix && labelCount > 1 && sameName(packet, headerBytes, localhost, 0, localhost.length - 1)) return true;
  if (labelCount < 3 || !sameName(packet, labels[labelCount - 2], reverse, 0, reverse.length)) return false;
  const at = labels[labelCount - 3];
  return reverseLabels.some((label) => sameName(packet, at, label, 0, label.length));
}
