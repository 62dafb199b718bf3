/**
 * What an upstream says, as bytes: addresses, aliases, denials, more than fits, and in several manners of being
 * wrong. The statement's number is in all its data. Who said it when is said.ts's.
 */
import type { Clock } from '../../../src/os/clock.js';
import type { Random } from '../../../src/os/random.js';
import {
  aa,
  ad,
  bytes16,
  bytes32,
  cd,
  optRecord,
  qr,
  ra,
  rd,
  tc,
  types,
  type WireMessage,
  type WireRecord,
  wireName,
} from '../../conformance/message.js';
import { chance } from '../random.js';
import { oneOf } from './corefile.js';

/** How a statement is made; all but the first few are such as no client may ever see. */
export type Manner =
  | 'honest'
  | 'servfail'
  | 'refused'
  | 'notimp'
  | 'formerr'
  | 'wrong id'
  | 'wrong question'
  | 'cut'
  | 'truncated'
  | 'bare'
  | 'badvers';

const rcodes: Partial<Record<Manner, number>> = { servfail: 2, refused: 5, notimp: 4, formerr: 1, bare: 1 };

/** A query that came to an upstream. */
export interface UpstreamQuery {
  readonly message: WireMessage;
  readonly bytes: Buffer;
  readonly transport: 'udp' | 'tcp';
}

type Kind =
  | 'addresses'
  | 'alias'
  | 'big'
  | 'servers'
  | 'proof'
  | 'alias to nothing'
  | 'nxdomain'
  | 'nodata'
  | 'nxdomain without SOA'
  | 'nodata without SOA'
  | 'referral';

const kinds: readonly Kind[] = [
  'addresses',
  'addresses',
  'addresses',
  'alias',
  'big',
  'servers',
  'proof',
  'alias to nothing',
  'nxdomain',
  'nodata',
  'nxdomain without SOA',
  'nodata without SOA',
  'referral',
];
const ttls = [0, 1, 2, 5, 10, 30, 300, 86_400, 0x80000005];

export class Composer {
  readonly #random: Random;
  readonly #clock: Pick<Clock, 'wallMs'>;
  /** What there is to say about a name and type; it changes now and then. */
  readonly #kinds = new Map<string, Kind>();

  constructor(random: Random, clock: Pick<Clock, 'wallMs'>) {
    this.#random = random;
    this.#clock = clock;
  }

  /** The answer to this query, with `number` in all its records. */
  compose(query: UpstreamQuery, number: number, manner: Manner): { message: Buffer; isLie: boolean } {
    const { message: asked, bytes, transport } = query;
    if (manner === 'badvers' && asked.opt === null) return this.compose(query, number, 'honest');
    if (manner === 'bare') {
      const header = [...bytes16(asked.id), ...bytes16(qr | (rcodes.bare ?? 0)), ...new Array(8).fill(0)];
      return { message: Buffer.from(header), isLie: true };
    }
    const rcode = rcodes[manner];
    const content = rcode === undefined ? this.#content(asked, number) : { rcode, sections: noRecords };
    const question = manner === 'wrong question' ? otherQuestion(asked) : this.#echo(asked);
    const id = manner === 'wrong id' ? asked.id ^ (1 + this.#random.below(65_535)) : asked.id;
    const flags =
      qr | (asked.flags & (rd | cd)) | (chance(this.#random, 0.9) ? ra : 0) | (chance(this.#random, 0.2) ? aa : 0);
    const authentic = chance(this.#random, 0.2) ? ad : 0;
    const hasOpt = asked.opt !== null && (manner === 'badvers' || (rcode !== 1 && chance(this.#random, 0.9)));
    const opt = hasOpt
      ? optRecord({ flags: asked.opt?.flags ?? 0, extendedRcode: manner === 'badvers' ? 1 : 0 })
      : Buffer.alloc(0);
    const { sections } = content;
    const write = (extra: number, records: typeof sections, ending: Buffer) => {
      const counts = [1, ...records.map(({ length }) => length)];
      counts[3] += ending.length > 0 ? 1 : 0;
      const header = [
        ...bytes16(id),
        ...bytes16(flags | authentic | extra | content.rcode),
        ...counts.flatMap(bytes16),
      ];
      return Buffer.concat([Buffer.from(header), question, ...records.flat(), ending]);
    };
    const whole = write(0, sections, opt);
    const fits = transport === 'tcp' ? 65_535 : Math.max(512, asked.opt?.size ?? 512);
    if (manner === 'truncated' || whole.length > fits) {
      const some = sections[0].slice(0, this.#random.below(3));
      return { message: write(tc, [some, [], []], opt), isLie: false };
    }
    // Without its last byte at the least, and not without its question: the program must see that it is not whole.
    if (manner === 'cut' && whole.length > bytes.length) {
      const least = 12 + question.length;
      return { message: whole.subarray(0, least + this.#random.below(whole.length - least)), isLie: true };
    }
    return { message: whole, isLie: manner.startsWith('wrong') || manner === 'badvers' };
  }

  /** The question again, now and then in another spelling. */
  #echo({ questionBytes }: WireMessage): Buffer {
    return chance(this.#random, 0.9)
      ? questionBytes
      : Buffer.from(
          questionBytes.toString('latin1').replace(/[a-z]{3,}/, (label) => label.toUpperCase()),
          'latin1',
        );
  }

  #content(asked: WireMessage, number: number): { rcode: number; sections: [Buffer[], Buffer[], Buffer[]] } {
    const [{ name, type, class: qclass }] = asked.questions;
    const kind = this.#kindOf(`${name.toLowerCase()} ${type}`);
    const record = (owner: Buffer, of: number, data: Buffer) => {
      const fixed = [
        ...bytes16(of),
        ...bytes16(qclass),
        ...bytes32(oneOf(this.#random, ttls)),
        ...bytes16(data.length),
      ];
      return Buffer.concat([owner, Buffer.from(fixed), data]);
    };
    const mark = `s${number}x`;
    const soa = () => {
      const owner = name === '.' ? Buffer.from([0]) : Buffer.from([0xc0, 13 + asked.questionBytes[0]]);
      const minimum = oneOf(this.#random, [1, 5, 30, 300]);
      const numbers = [number, 7200, 1800, 86_400, minimum].flatMap(bytes32);
      return record(
        owner,
        types.SOA,
        Buffer.concat([wireName(`ns.${mark}.test`), wireName('root.test'), Buffer.from(numbers)]),
      );
    };
    const addresses = (owner: Buffer, of: number) =>
      Array.from({ length: 1 + this.#random.below(3) }, (_, index) => record(owner, of, dataOf(of, number, index)));
    const signed =
      ((asked.opt?.flags ?? 0) & 0x8000) !== 0 ? [record(self, types.RRSIG, this.#signature(type, mark))] : [];
    switch (kind) {
      case 'addresses':
        return { rcode: 0, sections: [[...addresses(self, type), ...signed], [], this.#extra(record, mark)] };
      case 'servers': {
        const server = wireName(`${mark}.ns.test`);
        const servers = record(wireName('test'), types.NS, server);
        return { rcode: 0, sections: [addresses(self, type), [servers], addresses(server, types.A)] };
      }
      case 'proof': {
        const proof = record(self, types.NSEC, Buffer.concat([wireName(`${mark}.test`), Buffer.from([0, 1, 64])]));
        return { rcode: 0, sections: [addresses(self, type), [proof], this.#extra(record, mark)] };
      }
      case 'alias to nothing': {
        const alias = record(self, types.CNAME, wireName(`${mark}.alias.test`));
        const authority = chance(this.#random, 0.7) ? [soa()] : [];
        return { rcode: chance(this.#random, 0.5) ? 3 : 0, sections: [[alias], authority, this.#extra(record, mark)] };
      }
      case 'alias': {
        const target = wireName(`${mark}.alias.test`);
        return { rcode: 0, sections: [[record(self, types.CNAME, target), ...addresses(target, type)], [], []] };
      }
      case 'big': {
        const text = Buffer.concat([Buffer.from([200]), Buffer.alloc(200, mark)]);
        const many = Array.from({ length: 1 + this.#random.below(60) }, (_, index) =>
          record(self, type, type === types.TXT ? text : dataOf(type, number, index)),
        );
        return { rcode: 0, sections: [many, [], []] };
      }
      case 'nxdomain':
        return { rcode: 3, sections: [[], [soa()], []] };
      case 'nodata':
        return { rcode: 0, sections: [[], [soa()], []] };
      case 'nxdomain without SOA':
        return { rcode: 3, sections: noRecords };
      case 'nodata without SOA':
        return { rcode: 0, sections: noRecords };
      case 'referral':
        return { rcode: 0, sections: [[], [record(wireName('test'), types.NS, wireName(`${mark}.ns.test`))], []] };
    }
  }

  /** A signature that is valid for a while yet, or no more. */
  #signature(covered: number, mark: string): Buffer {
    const wallSeconds = Math.floor(this.#clock.wallMs() / 1000);
    const expiration = wallSeconds + oneOf(this.#random, [-5, 1, 4, 60, 86_400]);
    const fixed = [...bytes16(covered), 8, 2, ...[300, expiration, wallSeconds - 60].flatMap(bytes32), ...bytes16(1)];
    return Buffer.concat([Buffer.from(fixed), wireName(`${mark}.test`), Buffer.alloc(8, 1)]);
  }

  /** An additional record that nobody asked for: it must never answer a question of its own. */
  #extra(record: (owner: Buffer, of: number, data: Buffer) => Buffer, mark: string): Buffer[] {
    return chance(this.#random, 0.2)
      ? [record(wireName('n1.example.test'), types.TXT, Buffer.from(`\x08${mark.padEnd(8)}`))]
      : [];
  }

  #kindOf(about: string): Kind {
    // An OPT is no record that could be asked for.
    if (about.endsWith(' 41')) return 'nodata';
    let kind = this.#kinds.get(about);
    if (kind === undefined || chance(this.#random, 0.1)) {
      kind = oneOf(this.#random, kinds);
      this.#kinds.set(about, kind);
    }
    return kind;
  }
}

/** A pointer to the question's name. */
const self = Buffer.from([0xc0, 12]);
/** The three sections, empty. */
const noRecords: [Buffer[], Buffer[], Buffer[]] = [[], [], []];

/** A question that clients ask as well, so that an answer to it would do harm. */
function otherQuestion({ questions: [{ name, type, class: qclass }] }: WireMessage): Buffer {
  const other = name.toLowerCase() === 'n2.example.test.' ? 'n1.example.test' : 'n2.example.test';
  return Buffer.concat([wireName(other), Buffer.from([...bytes16(type), ...bytes16(qclass)])]);
}

function soaData(number: number, minimumSeconds: number): Buffer {
  const numbers = [number, 7200, 1800, 86_400, minimumSeconds].flatMap(bytes32);
  return Buffer.concat([wireName(`ns.s${number}x.test`), wireName('root.test'), Buffer.from(numbers)]);
}

function dataOf(type: number, number: number, index: number): Buffer {
  switch (type) {
    case types.A:
      return Buffer.from([10 + index, number >> 16, (number >> 8) & 0xff, number & 0xff]);
    case types.AAAA:
      return Buffer.from([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, index, ...bytes32(number)]);
    case types.SOA:
      return soaData(number, 30 + index);
    case types.SRV:
      return Buffer.concat([Buffer.from([0, 0, 0, index, 0, 53]), wireName(`s${number}x.host.test`)]);
    case types.CNAME:
    case types.PTR:
    case types.NS:
      return wireName(`s${number}x.host.test`);
    default:
      return Buffer.from(`\x0a${`s${number}x${index}`.padEnd(10)}`, 'latin1');
  }
}

/** The number of the statement that this record is from; null when it has none. */
export function numberIn({ type, data, dataText }: WireRecord): number | null {
  if (type === types.A) return data.readUIntBE(1, 3);
  if (type === types.AAAA) return data.readUInt32BE(12);
  const [, digits] = /s(\d+)x/.exec(dataText) ?? /s(\d+)x/.exec(data.toString('latin1')) ?? [];
  return digits === undefined ? null : Number(digits);
}
