/**
 * Turns an upstream's message into the stored form: question in lower case, names compressed, no OPT, and the offset of
 * each record's TTL. One walk over the records copies them, checks them and collects facts. A message that does not
 * parse is rejected as a whole.
 */
import { comparisonsInVainMax, headerBytes, labelsMax, messageBytesMax, nameBytesMax, recordsMax } from '../limits.js';
import { type HashKey, hashBefore } from './hash.js';
import { firstNameAt, namesIn, typeMx, typeNaptr, typeSrv } from './rdata-layout.js';
import { behindData, soundNameEnd } from './soundness.js';
import {
  atAdditionals,
  atAnswers,
  atAuthorities,
  atFlags,
  atQuestions,
  copyPart,
  expandName,
  flagAd,
  flagTc,
  lower,
  messageFlags,
  sameName,
  setU16,
  setU32,
  skipPlainName,
  typeA,
  typeAaaa,
  typeAny,
  typeCname,
  typeDname,
  typeNs,
  typeOpt,
  typeSoa,
  u16,
  u32,
} from './wire.js';

/** A message in stored form and its facts; overwritten by each `read`. */
export class Normalised {
  readonly message = new Uint8Array(messageBytesMax + 1);
  messageBytes = 0;
  questionEnd = 0;
  readonly ttlOffsets = new Uint16Array(recordsMax);
  records = 0;
  answers = 0;
  /** With the upper bits from the OPT. */
  rcode = 0;
  truncated = false;
  /** An answer record has the type of the question. */
  relevant = false;
  /** The smaller of the SOA's TTL and MINIMUM (RFC 2308 5); -1 without a SOA in the authority section. */
  negativeTtlSeconds = -1;
  soaTtlOffset = 0;
}

/** Turns a message into another question's answer. Names are uncompressed and borrowed; null keeps a name. */
export interface Changes {
  /** The new question: name, type and class. */
  readonly question: Uint8Array;
  /** Renames a record's owner. */
  readonly owner: ((name: Uint8Array) => Uint8Array | null) | null;
  /** Renames the first name in a record's data, for `leadsOn`. */
  readonly value: ((name: Uint8Array) => Uint8Array | null) | null;
  readonly ttlSeconds: ((seconds: number) => number) | null;
  readonly rcode: ((rcode: number) => number) | null;
}

/** The name of the question, as later ones refer to it. */
const pointerToQuestion = 0xc000 | headerBytes;

/** Types whose first name redirects the client. */
const leadsOn = [typeNs, typeCname, typeSoa, typeMx, typeSrv, typeNaptr, typeDname];

export type AnswerOrder = 'as sent' | 'aliases first';

export class Normaliser {
  readonly out = new Normalised();
  readonly #names: NameCompressor;
  /** The answer records to copy. */
  #wanted: 'all' | 'aliases' | 'others' = 'all';
  readonly #name = new Uint8Array(nameBytesMax + 1);
  #changes: Changes | null = null;

  /** `key` hashes the names of a message. */
  constructor(key: HashKey) {
    this.#names = new NameCompressor(key);
  }

  /**
   * Reads a message into `out`, with aliases (CNAME, DNAME) first if so ordered, and with these changes. Borrows it.
   * False: it does not parse, or is too long after changes; `out` is then meaningless.
   */
  read(message: Uint8Array, order: AnswerOrder = 'as sent', changes: Changes | null = null): boolean {
    const { out } = this;
    this.#changes = changes;
    if (message.length < headerBytes || u16(message, atQuestions) !== 1) return false;
    const nameEnd = skipPlainName(message, headerBytes, message.length);
    if (nameEnd < 0 || nameEnd + 4 > message.length) return false;
    if (changes === null) this.#begin(message, message, nameEnd);
    else this.#beginOtherwise(message, changes.question);
    const answers = u16(message, atAnswers);
    const authorities = u16(message, atAuthorities);
    const total = answers + authorities + u16(message, atAdditionals);
    let at = nameEnd + 4;
    let kept = 0;
    this.#wanted = 'all';
    if (order === 'aliases first' && answers > 1) {
      this.#wanted = 'aliases';
      for (let index = 0, from = at; index < answers; index++) {
        from = this.#record(message, from, 0);
        if (from < 0) return false;
      }
      this.#wanted = 'others';
    }
    for (let index = 0; index < total; index++) {
      const section = index < answers ? 0 : index < answers + authorities ? 1 : 2;
      at = this.#record(message, at, section);
      if (at < 0) return false;
      if (index === answers - 1) out.answers = out.records;
      if (index === answers + authorities - 1) kept = out.records;
    }
    if (authorities === 0) kept = out.answers;
    setU16(out.message, atAnswers, out.answers);
    setU16(out.message, atAuthorities, kept - out.answers);
    setU16(out.message, atAdditionals, out.records - kept);
    if (changes !== null && changes.rcode !== null) this.#setRcode(changes.rcode(out.rcode));
    return true;
  }

  /**
   * Reads a message of `length` bytes that an instance has stored into `out`, which takes a fraction of `read`: such a
   * message needs no writing anew, only the checks. Borrows it. False: it does not parse, or might look otherwise after
   * `read`, which then decides.
   */
  readStored(bytes: Uint8Array, from: number, length: number): boolean {
    const { out } = this;
    const { message } = out;
    if (length < headerBytes || length > messageBytesMax) return false;
    copyPart(bytes, from, length, message, 0);
    const typeAt = u16(message, atQuestions) === 1 ? skipPlainName(message, headerBytes, length) : -1;
    if (typeAt < 0 || typeAt + 4 > length) return false;
    for (let at = headerBytes; at < typeAt; at++) if (message[at] !== lower[message[at]]) return false;
    this.#beginFacts(typeAt + 4);
    const answers = u16(message, atAnswers);
    const authoritiesEnd = answers + u16(message, atAuthorities);
    const total = authoritiesEnd + u16(message, atAdditionals);
    if (total > recordsMax) return false;
    let at = out.questionEnd;
    for (let index = 0; index < total; index++) {
      const end = storedRecordEnd(message, at, length);
      if (end < 0) return false;
      this.#note(at + 2, end, index < answers ? 0 : index < authoritiesEnd ? 1 : 2);
      at = end;
    }
    out.answers = answers;
    out.messageBytes = length;
    return at === length;
  }

  /** `asked` has the question behind a header, as a message does. */
  #begin(message: Uint8Array, asked: Uint8Array, nameEnd: number): void {
    const { out } = this;
    for (let at = 0; at < headerBytes; at++) out.message[at] = message[at];
    for (let at = headerBytes; at < nameEnd; at++) out.message[at] = lower[asked[at]];
    for (let at = nameEnd; at < nameEnd + 4; at++) out.message[at] = asked[at];
    this.#beginFacts(nameEnd + 4);
    this.#names.begin(out.message, nameEnd - headerBytes);
  }

  /** Of header and question, which are in place. */
  #beginFacts(questionEnd: number): void {
    const { out } = this;
    out.questionEnd = questionEnd;
    out.messageBytes = questionEnd;
    out.records = 0;
    out.answers = 0;
    out.rcode = out.message[3] & 0x0f;
    out.truncated = (messageFlags(out.message) & flagTc) !== 0;
    out.relevant = false;
    out.negativeTtlSeconds = -1;
    out.soaTtlOffset = 0;
  }

  #beginOtherwise(message: Uint8Array, question: Uint8Array): void {
    const asked = new Uint8Array(headerBytes + question.length);
    asked.set(question, headerBytes);
    this.#begin(message, asked, asked.length - 4);
    // Changed records are no longer authentic.
    setU16(this.out.message, atFlags, messageFlags(message) & ~flagAd);
  }

  #setRcode(rcode: number): void {
    this.out.rcode = rcode;
    this.out.message[3] = (this.out.message[3] & 0xf0) | (rcode & 0x0f);
  }

  /** Replaces the name in `#name`; its length. */
  #renamed(nameBytes: number, rename: ((name: Uint8Array) => Uint8Array | null) | null): number {
    const other = rename === null ? null : rename(this.#name.subarray(0, nameBytes));
    if (other === null) return nameBytes;
    this.#name.set(other);
    return other.length;
  }

  /** Copies the record at `at`; the offset behind it, or -1 for a broken one. */
  #record(message: Uint8Array, at: number, section: 0 | 1 | 2): number {
    const { out } = this;
    let nameBytes = expandName(message, at, message.length, this.#name);
    if (nameBytes === 0) return -1;
    const fixed = behindName(message, at);
    if (fixed + 10 > message.length) return -1;
    const type = u16(message, fixed);
    const data = fixed + 10;
    const dataEnd = data + u16(message, fixed + 8);
    if (dataEnd > message.length) return -1;
    if (type === typeOpt) {
      if (section !== 2) return -1;
      out.rcode |= message[fixed + 4] << 4;
      return dataEnd;
    }
    if (section === 0 && this.#wanted !== 'all' && isAlias(type) !== (this.#wanted === 'aliases')) return dataEnd;
    const changes = this.#changes;
    if (changes !== null) nameBytes = this.#renamed(nameBytes, changes.owner);
    // Names may get longer where they may not be compressed.
    const namesBytesMax = (namesIn(type)?.names ?? 0) * nameBytesMax;
    if (out.messageBytes + nameBytes + 10 + (dataEnd - data) + namesBytesMax > messageBytesMax) return -1;
    const start = this.#names.write(out.message, out.messageBytes, this.#name, nameBytes);
    for (let index = 0; index < 8; index++) out.message[start + index] = message[fixed + index];
    const end = this.#data(message, type, data, dataEnd, start + 10);
    if (end < 0) return -1;
    setU16(out.message, start + 8, end - start - 10);
    if (changes !== null && changes.ttlSeconds !== null) {
      setU32(out.message, start + 4, changes.ttlSeconds(ttlSeconds(out.message, start + 4)));
    }
    this.#note(start, end, section);
    out.messageBytes = end;
    return dataEnd;
  }

  /** Copies a record's data to `to`; the offset behind the copy, or -1. */
  #data(message: Uint8Array, type: number, from: number, end: number, to: number): number {
    const { out } = this;
    if ((type === typeA && end - from !== 4) || (type === typeAaaa && end - from !== 16)) return -1;
    const form = namesIn(type);
    let at = from;
    let position = to;
    if (form !== null) {
      const names = form.strings === 0 ? from + form.skip : firstNameAt(message, from, end, form);
      if (names < 0) return -1;
      while (at < names) out.message[position++] = message[at++];
      for (let index = 0; index < form.names; index++) {
        let nameBytes = expandName(message, at, end, this.#name);
        if (nameBytes === 0) return -1;
        at = behindName(message, at);
        if (index === 0 && this.#changes !== null && leadsOn.includes(type)) {
          nameBytes = this.#renamed(nameBytes, this.#changes.value);
        }
        if (form.compress === 'may') position = this.#names.write(out.message, position, this.#name, nameBytes);
        else for (let byte = 0; byte < nameBytes; byte++) out.message[position++] = this.#name[byte];
      }
      if (at > end || (type === typeSoa && end - at !== 20) || (type !== typeSoa && at !== end)) return -1;
    }
    if (end - at > 256) out.message.set(message.subarray(at, end), position);
    else for (let index = 0; index < end - at; index++) out.message[position + index] = message[at + index];
    return position + end - at;
  }

  /** Collects facts from the next record, whose fixed part is at `start`. */
  #note(start: number, end: number, section: 0 | 1 | 2): void {
    const { out } = this;
    out.ttlOffsets[out.records++] = start + 4;
    const type = u16(out.message, start);
    if (section === 0) {
      const asked = u16(out.message, out.questionEnd - 4);
      if (type === asked || asked === typeAny) out.relevant = true;
    } else if (section === 1 && type === typeSoa && out.negativeTtlSeconds < 0) {
      out.negativeTtlSeconds = Math.min(ttlSeconds(out.message, start + 4), ttlSeconds(out.message, end - 4));
      out.soaTtlOffset = start + 4;
    }
  }
}

/**
 * The offset behind a record as `read` writes them, or -1: its owner is a pointer, as nearly all are, and its type is
 * none whose names `read` would expand or whose record it would leave out.
 */
function storedRecordEnd(message: Uint8Array, at: number, messageEnd: number): number {
  const data = at + 12;
  if (data > messageEnd || message[at] < 0xc0) return -1;
  if (u16(message, at) !== pointerToQuestion && soundNameEnd(message, at, messageEnd) < 0) return -1;
  const type = u16(message, at + 2);
  const end = data + u16(message, at + 10);
  if (end > messageEnd || type === typeOpt || namesIn(type)?.compress === 'never') return -1;
  return behindData(message, type, data, end) === end ? end : -1;
}

/** Drops all but the answer section of a positive answer; denials and referrals stay. */
export function leaveOnlyAnswers(out: Normalised): void {
  if (out.rcode === 0 && out.relevant) leaveFirst(out, out.answers);
}

/** Keeps the first `records` records. Compression points backwards, so they do not change. */
export function leaveFirst(out: Normalised, records: number): void {
  if (records >= out.records) return;
  const authorities = u16(out.message, atAuthorities);
  const lastTtl = records === 0 ? 0 : out.ttlOffsets[records - 1];
  out.messageBytes = records === 0 ? out.questionEnd : lastTtl + 6 + u16(out.message, lastTtl + 4);
  out.records = records;
  out.answers = Math.min(out.answers, records);
  setU16(out.message, atAnswers, out.answers);
  setU16(out.message, atAuthorities, Math.min(authorities, records - out.answers));
  setU16(out.message, atAdditionals, Math.max(0, records - out.answers - authorities));
}

/** A TTL with the highest bit set is 0 (RFC 2181 8). */
export function ttlSeconds(message: Uint8Array, at: number): number {
  const ttl = u32(message, at);
  return ttl > 0x7fffffff ? 0 : ttl;
}

function isAlias(type: number): boolean {
  return type === typeCname || type === typeDname;
}

/** The offset behind a name that `expandName` has accepted. */
function behindName(message: Uint8Array, at: number): number {
  let position = at;
  while (message[position] !== 0) {
    if (message[position] >= 0xc0) return position + 2;
    position += message[position] + 1;
  }
  return position + 1;
}

const placesMax = 128;
/** Twice the places, so that probing soon finds an empty slot; it begins at a hash's highest byte. */
const slots = 256;
const pointerReach = 0x4000;

export class NameCompressor {
  /** Offsets of names (or their tails) in the message, with their hashes and lengths. */
  readonly #places = new Uint16Array(placesMax);
  readonly #hashes = new Int32Array(placesMax);
  readonly #lengths = new Uint8Array(placesMax);
  #count = 0;
  /** The place of each slot, from 1 on; 0 is empty. */
  readonly #slots = new Uint8Array(slots);
  /** The same memory, to empty it: `fill` is a call out of compiled code. */
  readonly #slotWords = new Int32Array(this.#slots.buffer);
  /** Different names with equal hashes in this message. */
  #inVain = 0;
  /** Places probed for this message. */
  steps = 0;
  readonly #key: HashKey;
  readonly #labels = new Uint8Array(labelsMax);
  readonly #tails = new Int32Array(labelsMax);
  readonly #whole = new Uint8Array(256);

  constructor(key: HashKey) {
    this.#key = key;
  }

  /** Begins a message with an uncompressed name at 12, into which later names may point. */
  begin(message: Uint8Array, nameBytes: number): void {
    this.#count = 0;
    this.#inVain = 0;
    this.steps = 0;
    for (let word = 0; word < slots / 4; word++) this.#slotWords[word] = 0;
    for (let index = 0; index < nameBytes; index++) this.#whole[index] = message[headerBytes + index];
    const labels = this.#measure(this.#whole);
    for (let label = 0; label < labels; label++) this.#add(headerBytes + this.#labels[label], label, nameBytes);
  }

  /** Writes an uncompressed name at `at`; the offset behind it. */
  write(message: Uint8Array, at: number, name: Uint8Array, nameBytes: number): number {
    const labels = this.#measure(name);
    let position = at;
    for (let label = 0; label < labels; label++) {
      const place = this.#find(message, name, label, nameBytes);
      if (place >= 0) {
        setU16(message, position, 0xc000 | place);
        return position + 2;
      }
      if (position < pointerReach) this.#add(position, label, nameBytes);
      const start = this.#labels[label];
      const length = name[start];
      for (let index = 0; index <= length; index++) message[position + index] = name[start + index];
      position += length + 1;
    }
    message[position] = 0;
    return position + 1;
  }

  /** Records the labels' offsets and the hash of the name from each on; the number of labels. */
  #measure(name: Uint8Array): number {
    let count = 0;
    for (let at = 0; name[at] !== 0; at += name[at] + 1) this.#labels[count++] = at;
    let hash = 0;
    for (let label = count - 1; label >= 0; label--) {
      const start = this.#labels[label];
      for (let at = start + name[start]; at >= start; at--) hash = hashBefore(hash, name[at], this.#key);
      this.#tails[label] = hash;
    }
    return count;
  }

  #add(place: number, label: number, nameBytes: number): void {
    if (this.#count === placesMax) return;
    this.#places[this.#count] = place;
    this.#hashes[this.#count] = this.#tails[label];
    this.#lengths[this.#count] = nameBytes - this.#labels[label];
    this.#count++;
    let slot = this.#tails[label] >>> 24;
    while (this.#slots[slot] !== 0) slot = (slot + 1) % slots;
    this.#slots[slot] = this.#count;
  }

  #find(message: Uint8Array, name: Uint8Array, label: number, nameBytes: number): number {
    const hash = this.#tails[label];
    const length = nameBytes - this.#labels[label];
    for (let slot = hash >>> 24; this.#slots[slot] !== 0; slot = (slot + 1) % slots) {
      if (this.#inVain >= comparisonsInVainMax) return -1;
      const index = this.#slots[slot] - 1;
      this.steps++;
      if (this.#hashes[index] !== hash || this.#lengths[index] !== length) continue;
      if (standsAt(message, this.#places[index], name, this.#labels[label])) return this.#places[index];
      this.#inVain++;
    }
    return -1;
  }
}

/** Whether the name at `place`, pointers followed, equals `name` from `from` on, case aside. */
function standsAt(message: Uint8Array, place: number, name: Uint8Array, from: number): boolean {
  let at = place;
  let against = from;
  while (true) {
    while (message[at] >= 0xc0) at = ((message[at] & 0x3f) << 8) | message[at + 1];
    const length = message[at];
    if (length !== name[against]) return false;
    if (length === 0) return true;
    if (!sameName(message, at + 1, name, against + 1, length)) return false;
    at += length + 1;
    against += length + 1;
  }
}
