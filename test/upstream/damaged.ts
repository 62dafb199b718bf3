/**
 * Answers that are not what they seem: right id, right question, and then something that cannot be read. By kind, each
 * under a name that says what is wrong with it; `cut` is what a datagram that lost its end, or a length on its way, looks
 * like, `garbled` is what no cutting makes of an answer.
 */
import { answerTo, type Query, wireName } from './scripted.js';

export type Damaged = (query: Query) => Buffer;

const opt = Buffer.from('00002904d0000000000000', 'hex');
const root = 0xc00c;

/** An answer with these records; `counts` is for answers, authorities and additionals. */
function withRecords(query: Query, counts: readonly [number, number, number], ...records: Buffer[]): Buffer {
  const message = Buffer.concat([answerTo(query, { addresses: [] }), ...records]);
  for (const [index, count] of counts.entries()) message.writeUInt16BE(count, 6 + 2 * index);
  return message;
}

interface Parts {
  readonly owner?: Buffer;
  readonly type?: number;
  readonly data?: Buffer;
  /** Instead of the data's own. */
  readonly length?: number;
}

function record({
  owner = pointer(root),
  type = 1,
  data = Buffer.of(10, 6, 6, 6),
  length = data.length,
}: Parts): Buffer {
  const fixed = Buffer.of(type >> 8, type & 0xff, 0, 1, 0, 0, 0, 30, length >> 8, length & 0xff);
  return Buffer.concat([owner, fixed, data]);
}

function pointer(word: number): Buffer {
  return Buffer.of(0xc0 | (word >> 8), word & 0xff);
}

const good = record({});
const one =
  (parts: Parts, then = Buffer.alloc(0)) =>
  (query: Query): Buffer =>
    withRecords(query, [1, 0, 0], record(parts), then);
/** The first of these bytes that stands behind the question. */
const end = (query: Query): number => 12 + query.question.length;
const soaNumbers = Buffer.alloc(20, 1);
const spelled = record({ owner: wireName('somewhere.example') });

export const cut: Readonly<Record<string, Damaged>> = {
  'the end is in an owner': (query) => withRecords(query, [2, 0, 0], good, spelled.subarray(0, 7)),
  'the end is in the pointer of an owner': (query) => withRecords(query, [2, 0, 0], good, good.subarray(0, 1)),
  'the end is behind an owner': (query) => withRecords(query, [2, 0, 0], good, good.subarray(0, 2)),
  'the end is in the fixed part': (query) => withRecords(query, [2, 0, 0], good, good.subarray(0, 9)),
  'the end is behind the fixed part': (query) => withRecords(query, [2, 0, 0], good, good.subarray(0, 12)),
  'the end is in the data': (query) => withRecords(query, [2, 0, 0], good, good.subarray(0, -1)),
  'the end is between two records': (query) => withRecords(query, [3, 0, 0], good, good),
  'the end is behind the question': (query) => withRecords(query, [3, 0, 0]),
  'the end is in the authority section': (query) =>
    withRecords(
      query,
      [1, 1, 0],
      good,
      record({ type: 6, data: Buffer.concat([pointer(root), pointer(root), soaNumbers]) }).subarray(0, -5),
    ),
  '65,535 records are counted': (query) => withRecords(query, [0xffff, 0, 0], good),
  'an additional record is counted and not there': (query) => withRecords(query, [1, 0, 1], good),
  'the end is in the owner or the type of an OPT': (query) => withRecords(query, [1, 0, 1], good, opt.subarray(0, 2)),
  'an authority record is counted and not there': (query) => withRecords(query, [1, 1, 0], good),
  'data are longer than the message': one({ length: 400 }),
  'an owner points past the end': one({ owner: pointer(0x3fff) }),
  'an alias points past the end': one({ type: 5, data: pointer(0x3000) }),
  'an alias ends in a label': one({ type: 5, data: wireName('target.example').subarray(0, 4) }),
  'an alias ends before its root label': one({ type: 5, data: wireName('target.example').subarray(0, -1) }),
  'an alias is empty': one({ type: 5, data: Buffer.alloc(0) }),
  'an alias is longer than its name': one({
    type: 5,
    data: Buffer.concat([wireName('target.example'), Buffer.alloc(3)]),
  }),
  'an alias is shorter than its name': one({ type: 5, data: wireName('abc.example'), length: 4 }, Buffer.alloc(0)),
  'an address has three bytes': one({ data: Buffer.of(10, 6, 6) }),
  'an address has five bytes': one({ data: Buffer.of(10, 6, 6, 6, 6) }),
  'an address has none': one({ data: Buffer.alloc(0) }),
  'an IPv6 address has fifteen bytes': one({ type: 28, data: Buffer.alloc(15, 1) }),
  'a SOA ends in its numbers': one({
    type: 6,
    data: Buffer.concat([pointer(root), pointer(root), soaNumbers.subarray(1)]),
  }),
  'an exchange has no name': one({ type: 15, data: Buffer.of(0, 10) }),
  'a service has no target': one({ type: 33, data: Buffer.alloc(6) }),
};

/** The same, and what is cut is the OPT. */
export const cutInOpt: Readonly<Record<string, Damaged>> = {
  'the OPT ends too early': (query) => withRecords(query, [1, 0, 1], good, opt.subarray(0, -3)),
  'the OPT ends behind its type': (query) => withRecords(query, [1, 0, 1], good, opt.subarray(0, 3)),
  'the OPT is longer than the message': (query) => {
    const long = Buffer.from(opt);
    long[10] = 9;
    return withRecords(query, [1, 0, 1], good, long);
  },
};

export const garbled: Readonly<Record<string, Damaged>> = {
  'an owner points at itself': (query) => one({ owner: pointer(end(query)) })(query),
  'an owner points forwards': (query) => one({ owner: pointer(end(query) + 6) })(query),
  'an owner points into the header': one({ owner: pointer(4) }),
  'an owner has a label of no known type': one({ owner: Buffer.of(0x80, 1, 0) }),
  'an owner is longer than 255 bytes': one({
    owner: wireName(Array.from({ length: 5 }, () => 'x'.repeat(60)).join('.')),
  }),
  'an alias points at itself': (query) => one({ type: 5, data: pointer(end(query) + 12) })(query),
};

/** The same, for the OPT's sake. */
export const misplacedOpt: Readonly<Record<string, Damaged>> = {
  'an OPT is among the answers': (query) => withRecords(query, [1, 0, 0], opt),
  'an OPT is among the authorities': (query) => withRecords(query, [1, 1, 0], good, opt),
};
