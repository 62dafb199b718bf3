/**
 * DNS messages as bytes, read and written here without any of the program's own code, so that one checks the other.
 * Reading is strict: a message must end where its last record ends. It knows the wire format and decides nothing.
 */

export type Section = 'answer' | 'authority' | 'additional';

export interface WireRecord {
  readonly section: Section;
  /** As it stands in the message, case and all: `Name.Example.`; bytes that are no plain letters as `\DDD`. */
  readonly owner: string;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  /** The data as it stands in the message. */
  readonly data: Buffer;
  /** The same in lower-case text without compression: for comparing. */
  readonly dataText: string;
}

export interface WireOption {
  readonly code: number;
  readonly data: Buffer;
}

/** The OPT record's fields (RFC 6891 6.1.2). */
export interface WireOpt {
  readonly size: number;
  readonly extendedRcode: number;
  readonly version: number;
  readonly flags: number;
  readonly options: readonly WireOption[];
}

export interface WireQuestion {
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export interface WireMessage {
  readonly id: number;
  /** The whole word at offset 2. */
  readonly flags: number;
  readonly opcode: number;
  /** All twelve bits where there is an OPT. */
  readonly rcode: number;
  readonly questions: readonly WireQuestion[];
  /** The bytes behind the header up to the first record. */
  readonly questionBytes: Buffer;
  /** Without the OPT. */
  readonly records: readonly WireRecord[];
  readonly opt: WireOpt | null;
}

export const qr = 0x8000;
export const aa = 0x0400;
export const tc = 0x0200;
export const rd = 0x0100;
export const ra = 0x0080;
export const zero = 0x0040;
export const ad = 0x0020;
export const cd = 0x0010;

export const types = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  NSEC: 47,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

/** Throws an Error with a sentence when the bytes are not exactly one message. */
export function readMessage(bytes: Uint8Array): WireMessage {
  const message = Buffer.from(bytes);
  if (message.length < 12) throw new Error(`a message of ${message.length} bytes has no whole header`);
  let at = 12;
  const questions: WireQuestion[] = [];
  for (let left = message.readUInt16BE(4); left > 0; left--) {
    const { text, end } = readName(message, at);
    questions.push({ name: text, type: message.readUInt16BE(end), class: message.readUInt16BE(end + 2) });
    at = end + 4;
  }
  const questionBytes = message.subarray(12, at);
  const records: WireRecord[] = [];
  let opt: WireOpt | null = null;
  const sections: readonly Section[] = ['answer', 'authority', 'additional'];
  for (const [index, section] of sections.entries()) {
    for (let left = message.readUInt16BE(6 + 2 * index); left > 0; left--) {
      const read = readRecord(message, at, section);
      at = read.end;
      if (read.record.type !== types.OPT) records.push(read.record);
      else if (opt !== null || section !== 'additional') throw new Error('an OPT too many, or in the wrong section');
      else opt = readOpt(read.record);
    }
  }
  if (at !== message.length) throw new Error(`${message.length - at} bytes behind the last record`);
  const flags = message.readUInt16BE(2);
  const rcode = (flags & 0x0f) | ((opt?.extendedRcode ?? 0) << 4);
  const opcode = (flags >> 11) & 0x0f;
  return { id: message.readUInt16BE(0), flags, opcode, rcode, questions, questionBytes, records, opt };
}

export interface QueryParts {
  readonly id?: number;
  /** The word at offset 2; RD unless said. */
  readonly flags?: number;
  readonly name?: string;
  readonly type?: number;
  readonly class?: number;
  readonly opt?: Partial<WireOpt>;
}

/** A query; without `opt` it has no OPT. */
export function query(parts: QueryParts = {}): Buffer {
  const { id = 0x1234, flags = rd, name = '.', type = types.A, class: qclass = 1, opt } = parts;
  const header = [id, flags, 1, 0, 0, opt === undefined ? 0 : 1].flatMap(bytes16);
  const question = Buffer.concat([wireName(name), Buffer.from([...bytes16(type), ...bytes16(qclass)])]);
  return Buffer.concat([Buffer.from(header), question, opt === undefined ? Buffer.alloc(0) : optRecord(opt)]);
}

/** An OPT record: 1232 bytes, version 0, no flags and no options unless said. */
export function optRecord({ size = 1232, extendedRcode = 0, version = 0, flags = 0, options = [] }: Partial<WireOpt>) {
  const data = Buffer.concat(
    options.map((option) =>
      Buffer.concat([Buffer.from([...bytes16(option.code), ...bytes16(option.data.length)]), option.data]),
    ),
  );
  const fixed = [0, 0, types.OPT, ...bytes16(size), extendedRcode, version, ...bytes16(flags), ...bytes16(data.length)];
  return Buffer.concat([Buffer.from(fixed), data]);
}

/** A name without escapes in wire form. */
export function wireName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  const parts = labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')]));
  return Buffer.concat([...parts, Buffer.from([0])]);
}

export function bytes16(value: number): number[] {
  return [(value >> 8) & 0xff, value & 0xff];
}

export function bytes32(value: number): number[] {
  return [...bytes16(value >>> 16), ...bytes16(value & 0xffff)];
}

/** The name at `at` as text, and where the bytes behind it begin. Pointers may only point backwards. */
export function readName(message: Buffer, at: number): { readonly text: string; readonly end: number } {
  let text = '';
  let position = at;
  let end = -1;
  for (;;) {
    const length = message.readUInt8(position);
    if (length >= 0xc0) {
      const target = message.readUInt16BE(position) & 0x3fff;
      if (target >= position) throw new Error(`the pointer at ${position} points to ${target}`);
      if (end < 0) end = position + 2;
      position = target;
      continue;
    }
    if (length > 63) throw new Error(`a label of type ${length >> 6} at ${position}`);
    if (length === 0) return { text: text === '' ? '.' : text, end: end < 0 ? position + 1 : end };
    if (position + 1 + length > message.length) throw new Error(`the name at ${at} is cut`);
    text += `${labelText(message.subarray(position + 1, position + 1 + length))}.`;
    if (text.length > 4 * 255) throw new Error(`the name at ${at} is too long`);
    position += 1 + length;
  }
}

function labelText(label: Buffer): string {
  return [...label]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return /^[a-z0-9_-]$/i.test(letter) ? letter : `\\${String(byte).padStart(3, '0')}`;
    })
    .join('');
}

function readRecord(message: Buffer, at: number, section: Section): { record: WireRecord; end: number } {
  const { text: owner, end: fixed } = readName(message, at);
  const type = message.readUInt16BE(fixed);
  const from = fixed + 10;
  const end = from + message.readUInt16BE(fixed + 8);
  if (end > message.length) throw new Error(`the data of the record at ${at} is cut`);
  const data = message.subarray(from, end);
  const ttl = message.readUInt32BE(fixed + 4);
  const dataText = textOfData(message, type, from, end);
  return { record: { section, owner, type, class: message.readUInt16BE(fixed + 2), ttl, data, dataText }, end };
}

/** Types with names in their data: bytes before them, and how many names. */
const namesIn: Readonly<Record<number, readonly [number, number]>> = {
  [types.NS]: [0, 1],
  [types.CNAME]: [0, 1],
  [types.SOA]: [0, 2],
  [types.PTR]: [0, 1],
  [types.MX]: [2, 1],
  [types.SRV]: [6, 1],
  [types.DNAME]: [0, 1],
};

function textOfData(message: Buffer, type: number, from: number, end: number): string {
  const [before, names] = namesIn[type] ?? [0, 0];
  let text = message.subarray(from, from + before).toString('hex');
  let at = from + before;
  for (let left = names; left > 0; left--) {
    const name = readName(message, at);
    text += ` ${name.text.toLowerCase()}`;
    at = name.end;
  }
  if (at > end) throw new Error(`a name runs past its record's data at ${from}`);
  return `${text} ${message.subarray(at, end).toString('hex')}`.trim();
}

function readOpt(record: WireRecord): WireOpt {
  if (record.owner !== '.') throw new Error('an OPT whose owner is not the root');
  const options: WireOption[] = [];
  for (let at = 0; at < record.data.length; ) {
    const end = at + 4 + record.data.readUInt16BE(at + 2);
    if (end > record.data.length) throw new Error('an EDNS option is cut');
    options.push({ code: record.data.readUInt16BE(at), data: record.data.subarray(at + 4, end) });
    at = end;
  }
  const { class: size, ttl } = record;
  return { size, extendedRcode: ttl >>> 24, version: (ttl >>> 16) & 0xff, flags: ttl & 0xffff, options };
}
