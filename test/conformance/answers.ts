/**
 * What the scripted upstream says, built by hand: records in any order and form, and a message around them that
 * answers a query. Like message.ts it uses none of the program's code, and it lets a test say what is wrong as well.
 */
import { bytes16, bytes32, optRecord, qr, ra, rd, readMessage, types, type WireOpt, wireName } from './message.js';

export interface RecordParts {
  /** In wire form; a pointer to the question's name unless said. */
  readonly owner?: Buffer;
  readonly type: number;
  readonly class?: number;
  readonly ttl?: number;
  readonly data: Buffer;
}

/** A record as bytes: IN, TTL 300 and owned by the question's name unless said. */
export function record({ owner = questionName, type, class: rclass = 1, ttl = 300, data }: RecordParts): Buffer {
  const fixed = [...bytes16(type), ...bytes16(rclass), ...bytes32(ttl), ...bytes16(data.length)];
  return Buffer.concat([owner, Buffer.from(fixed), data]);
}

/** A pointer to the name of the question. */
export const questionName = Buffer.from([0xc0, 12]);

/** `192.0.2.LAST`. */
export function address(last: number, parts: Partial<RecordParts> = {}): Buffer {
  return record({ type: types.A, data: Buffer.from([192, 0, 2, last]), ...parts });
}

export interface SoaParts {
  readonly ttl: number;
  readonly minimum: number;
}

/** The SOA of `conformance.test.`. */
export function soa({ ttl, minimum }: SoaParts): Buffer {
  const numbers = [1, 7200, 1800, 86_400, minimum].flatMap(bytes32);
  const data = Buffer.concat([
    wireName('ns.conformance.test'),
    wireName('root.conformance.test'),
    Buffer.from(numbers),
  ]);
  return record({ owner: wireName('conformance.test'), type: types.SOA, ttl, data });
}

export interface ResponseParts {
  /** Besides QR, RA and the query's RD. */
  readonly flags?: number;
  readonly rcode?: number;
  readonly answers?: readonly Buffer[];
  readonly authorities?: readonly Buffer[];
  readonly additionals?: readonly Buffer[];
  /** None unless said, not even to a query with one. */
  readonly opt?: Partial<WireOpt>;
  /** In place of the query's. */
  readonly id?: number;
  /** In place of the query's: the question section's bytes. */
  readonly question?: Buffer;
}

/** A response to this query: NOERROR and without records unless said. */
export function response(query: Uint8Array, parts: ResponseParts = {}): Buffer {
  const { id, flags, questionBytes } = readMessage(query);
  const { answers = [], authorities = [], additionals = [], opt, question = questionBytes } = parts;
  const sections = [answers, authorities, opt === undefined ? additionals : [...additionals, optRecord(opt)]];
  const word = qr | ra | (flags & rd) | (parts.flags ?? 0) | (parts.rcode ?? 0);
  const counts = [1, ...sections.map(({ length }) => length)];
  const header = [parts.id ?? id, word, ...counts].flatMap(bytes16);
  return Buffer.concat([Buffer.from(header), question, ...sections.flat()]);
}
