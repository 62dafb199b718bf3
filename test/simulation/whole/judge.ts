/**
 * What an answer must be. Each that leaves the program is held against the query, the configuration in force and the
 * book of what upstreams have said; what is wrong comes back as a sentence. It knows the rules of docs/PROTOCOL.md
 * and nothing of how they are kept.
 */
import type { BlockConfig, Config } from '../../../src/config/config.js';
import { isInZone } from '../../../src/dns/names.js';
import { cd, qr, ra, rd, readMessage, tc, types, type WireMessage } from '../../conformance/message.js';
import type { ClientQuery } from './conversation.js';
import { listenPlaces, upstreamPlaces } from './corefile.js';
import { expectationOf, isOfCorpus, questionEnd } from './expected.js';
import { blockOf, type History } from './history.js';
import { Known } from './known.js';
import { Newest } from './newest.js';
import { type Book, isDo, keyOf, type Statement } from './said.js';
import { mayBePutAside, servfailMs, whyNotFresh, whyNotStale } from './times.js';

/** SERVFAIL comes before a client repeats its question, whatever happens. */
export const latestMs = 4_700;
/** A question that others ask already is answered by the configuration by which they asked it. */
const joinedWithinMs = latestMs;
/** After so much calm, what went wrong before is forgotten. */
const calmAfterMs = 8_000;

/** An answer, its query, and one of the configurations that may have made it. */
interface Case {
  readonly query: ClientQuery;
  readonly asked: WireMessage;
  readonly answer: WireMessage;
  readonly nowMs: number;
  readonly block: BlockConfig;
  readonly zone: string;
}

export class Judge {
  /** Since when nothing goes wrong; null while things do. */
  calmSinceMs: number | null = null;
  readonly #book: Book;
  readonly #history: History;
  readonly #known: Known;
  readonly #newest = new Newest();

  constructor(book: Book, history: History) {
    this.#book = book;
    this.#history = history;
    this.#known = new Known(book);
  }

  /** A configuration has taken the place of all others. */
  settled(config: Config): void {
    this.#known.settled(config);
  }

  /** What is wrong with this answer; null when nothing is. */
  whyNot(query: ClientQuery, bytes: Buffer, nowMs: number): string | null {
    const waitedMs = nowMs - (query.takenAtMs ?? nowMs);
    if (waitedMs > latestMs) return `it came after ${waitedMs} ms`;
    let answer: WireMessage;
    try {
      answer = readMessage(bytes);
    } catch (error) {
      return (error as Error).message;
    }
    return this.#whyNotHeader(query, answer) ?? this.#whyNotBody(query, bytes, answer, nowMs);
  }

  #whyNotHeader({ bytes }: ClientQuery, { id, flags }: WireMessage): string | null {
    const asked = bytes.readUInt16BE(2);
    if (id !== bytes.readUInt16BE(0)) return 'another id';
    if ((flags & (qr | ra)) !== (qr | ra)) return 'QR or RA is clear';
    return (flags & (0x7800 | rd | cd)) === (asked & (0x7800 | rd | cd)) ? null : 'opcode, RD or CD is not as asked';
  }

  #whyNotBody(query: ClientQuery, bytes: Buffer, answer: WireMessage, nowMs: number): string | null {
    const expected = expectationOf(query.bytes);
    if (expected === 'formerr' || expected === 'notimp') {
      const rcode = expected === 'formerr' ? 1 : 4;
      return bytes.length === 12 && answer.rcode === rcode ? null : `it should be ${expected}, in 12 bytes`;
    }
    const question = query.bytes.subarray(12, questionEnd(query.bytes));
    if (!answer.questionBytes.equals(question)) return 'another question';
    if (expected === 'badvers') return answer.rcode === 16 ? null : 'it should be BADVERS';
    if (expected === 'refused') return answer.rcode === 5 ? null : 'it should be REFUSED';
    // Packets of the corpus that are to be answered have what `readMessage` does not take.
    if (isOfCorpus(query.bytes)) return null;
    const asked = readMessage(query.bytes);
    if ((asked.opt === null) !== (answer.opt === null)) return 'an OPT that was not asked for, or none';
    const configs = this.#history.at(query.at.address, query.arrivedAtMs - joinedWithinMs, nowMs);
    const whys = configs.map((config) => {
      const responsible = blockOf(config, query.at.address, asked.questions[0].name);
      if (responsible !== null) return this.#whyNotBy({ query, asked, answer, nowMs, ...responsible }, bytes.length);
      return answer.rcode === 5 && answer.records.length === 0 ? null : 'REFUSED is due: nobody is responsible';
    });
    if (!whys.includes(null)) return whys.join('; or ');
    // While two configurations may be in force, either may have given what the other does not know.
    return configs.length === 1 ? this.#known.whyNot(query, asked, answer, configs[0], nowMs) : null;
  }

  #whyNotBy(one: Case, answerBytes: number): string | null {
    const { query, asked, answer, block } = one;
    const [question] = asked.questions;
    const limit = Math.min(block.bufsizeBytes, Math.max(512, asked.opt?.size ?? 512));
    if (query.transport === 'udp' && answerBytes > limit) return `${answerBytes} bytes where ${limit} are the most`;
    if (query.transport === 'tcp' && (answer.flags & tc) !== 0) {
      const isSaid = this.#book.about(keyOf(asked)).some(({ isTruncated }) => isTruncated);
      if (!isSaid) return 'TC over TCP';
    }
    if (answer.opt !== null && answer.opt.size !== block.bufsizeBytes) return 'an OPT with another size';
    if (question.type === types.AAAA && block.aaaa !== null && block.aaaa !== 'forward') return this.#whyNotPolicy(one);
    const soa = answer.records.find(({ type }) => type === types.SOA);
    if (soa?.dataText.startsWith('ns.dns.')) return 'a denial of our own where there is no policy';
    const [first] = answer.records;
    if (first === undefined) return this.#whyNotBare(one);
    const statement = this.#book.behind(first);
    if (statement === undefined) return `nobody ever said ${first.dataText}`;
    return this.#whyNotStatement(one, statement);
  }

  /** AAAA by policy: a denial with the zone's own SOA; `smart` must know why. */
  #whyNotPolicy(one: Case): string | null {
    const { answer, asked, block, zone } = one;
    const [soa, ...others] = answer.records;
    if (answer.rcode === 0 || answer.rcode === 3) {
      if (soa === undefined && (answer.flags & tc) !== 0) return null;
      if (soa?.type !== types.SOA || others.length > 0) return 'the denial needs a SOA and nothing else';
      if (soa.owner.toLowerCase() !== zone || !soa.dataText.startsWith('ns.dns.'))
        return 'it is not the SOA of the zone';
      const ttls = this.#mayHaveGiven(one).map(({ cache }) => cache?.denial.ttlMaxSeconds ?? 5);
      if (!ttls.includes(soa.ttl)) return `the denial lives for ${soa.ttl} s`;
      if (block.aaaa === 'nxdomain') return answer.rcode === 3 ? null : 'it should be NXDOMAIN';
      if (block.aaaa === 'nodata') return answer.rcode === 0 ? null : 'it should be NODATA';
      // One that was cut short says at least whether the name exists.
      const about = this.#book
        .about(keyOf(asked, types.A))
        .filter(({ isLie, manner, arrivedAtMs }) => (!isLie || manner === 'cut') && arrivedAtMs !== null);
      return about.some(({ rcode }) => rcode === answer.rcode) ? null : "the name's A was never answered so";
    }
    return block.aaaa === 'smart'
      ? this.#whyNotBare({ ...one, asked: withTypeA(asked) })
      : 'the policy answers by itself';
  }

  /** Who joins a question that was asked before a reload, at whatever address, gets in part what was due then. */
  #mayHaveGiven({ query, asked, nowMs }: Case): BlockConfig[] {
    const configs = this.#history.during(query.arrivedAtMs - joinedWithinMs, nowMs);
    const { name } = asked.questions[0];
    const addresses = [query.at.address, ...listenPlaces.map(({ address }) => address)];
    return configs.flatMap((config) => addresses.flatMap((address) => blockOf(config, address, name)?.block ?? []));
  }

  /** Without a record to tell whose it is: somebody must have said just this a moment ago, or a failure was due. */
  #whyNotBare(one: Case): string | null {
    const { query, asked, answer, nowMs, block } = one;
    if ((answer.flags & tc) !== 0) return null;
    const said = this.#book.about(keyOf(asked)).filter(({ isLie, arrivedAtMs }) => !isLie && arrivedAtMs !== null);
    const isDue = said.some((statement) => {
      if (statement.rcode !== answer.rcode || statement.records.length > 0) return false;
      const isFailure = answer.rcode === 2 || answer.rcode === 4;
      const keptMs = isFailure ? servfailMs(statement, block) : 0;
      return statement.arrivedAtMs! >= query.arrivedAtMs || nowMs - statement.arrivedAtMs! < Math.max(keptMs, latestMs);
    });
    if (isDue) return null;
    const mayFail = !this.#isCalm(nowMs);
    const { name } = asked.questions[0];
    if (answer.rcode === 2) return mayFail || isNobodys(block, name) ? null : 'SERVFAIL although all is well';
    if (answer.rcode === 5 && block.forwards.some(({ concurrentMax }) => concurrentMax > 0)) return null;
    return `nobody said so: rcode ${answer.rcode}; but ${said.map(({ number, manner, arrivedAtMs }) => `${number} ${manner} at ${arrivedAtMs}`)} now ${nowMs}`;
  }

  #whyNotStatement(one: Case, statement: Statement): string | null {
    const { asked, answer, nowMs, block, zone } = one;
    const { number, key, isLie, arrivedAtMs } = statement;
    if (isLie) return `statement ${number} (${statement.manner}) is one that nobody may see`;
    if (!this.#book.about(keyOf(asked)).includes(statement)) return `statement ${number} is about ${key}`;
    if (arrivedAtMs === null) return `statement ${number} has not arrived`;
    if (statement.isTruncated && (answer.flags & tc) === 0) return `statement ${number} has TC`;
    if (statement.isCut && this.#isCalm(nowMs)) return `statement ${number} is cut, although all is well`;
    if (answer.rcode !== statement.rcode) return `statement ${number} has rcode ${statement.rcode}`;
    if (!this.#isAskedFor(zone, statement.upstream)) return `upstream ${statement.upstream} has no say in ${zone}`;
    const isKept = nowMs > arrivedAtMs && !mayBePutAside(block, statement);
    if (isKept && isDo(keyOf(asked)) && !isDo(key)) return `statement ${number} is no answer to DO, and was kept`;
    const different = whyNotPrefix(answer, statement);
    if (different !== null) return different;
    const newer = this.#newest.whyNot(one, statement);
    if (newer !== null) return newer;
    const givers = this.#mayHaveGiven(one);
    const timely = { asked, answer, nowMs, block, givers, statement };
    const whyStale = whyNotStale(timely);
    if (whyStale === null && this.#isCalm(nowMs) && this.#mayBeFresh(one)) {
      return `statement ${number} is stale, although all is well`;
    }
    if (whyStale === null) return null;
    const whyFresh = whyNotFresh(timely);
    if (whyFresh !== null) return `${whyFresh}; nor stale: ${whyStale}`;
    this.#newest.gave(one, statement);
    this.#known.gave(one, one, statement);
    return null;
  }

  /** Whether a client need not put up with a stale answer when all is well. */
  #mayBeFresh({ block, asked }: Case): boolean {
    if (isNobodys(block, asked.questions[0].name)) return false;
    if (block.forwards.some(({ concurrentMax }) => concurrentMax > 0)) return false;
    return block.cache?.stale?.patienceMs !== 0 && block.cache?.preferPositive === false;
  }

  #isCalm(nowMs: number): boolean {
    return this.calmSinceMs !== null && nowMs - this.calmSinceMs >= calmAfterMs;
  }

  /** Whether this upstream was ever to be asked for names of this zone. */
  #isAskedFor(zone: string, upstream: number): boolean {
    return this.#history.configs.some((config) =>
      config.blocks.some(
        (block) =>
          block.zones.some((each) => each.zone === zone) &&
          block.forwards.some(({ to }) =>
            to.some(
              (target) =>
                target.kind === 'file' ||
                (target.kind === 'endpoint' && target.endpoint.address === upstreamPlaces[upstream].address),
            ),
          ),
      ),
    );
  }
}

/** The answer's records are the statement's, in order; where TC says so the last may be missing. */
function whyNotPrefix(answer: WireMessage, { number, records }: Statement): string | null {
  for (const section of ['answer', 'authority', 'additional'] as const) {
    const given = answer.records.filter((record) => record.section === section);
    const said = records.filter((record) => record.section === section);
    // What a positive answer can do without may have been left out.
    const isSpared =
      section === 'additional' || (section === 'authority' && said.every(({ type }) => type === types.NS));
    const mayMiss = isSpared || (answer.flags & tc) !== 0;
    if (given.length > said.length || (!mayMiss && given.length < said.length)) {
      return `statement ${number} has ${said.length} ${section} records, the answer ${given.length}`;
    }
    for (const [index, record] of given.entries()) {
      const { owner, type, class: rclass, dataText } = said[index];
      const isSame =
        record.owner.toLowerCase() === owner.toLowerCase() && record.type === type && record.class === rclass;
      if (!isSame || record.dataText !== dataText)
        return `${section} record ${index} of statement ${number} is another`;
    }
  }
  return null;
}

/** Whether no `forward` of this block is for this name. */
function isNobodys({ forwards }: BlockConfig, name: string): boolean {
  return forwards.every(
    ({ from, except }) => !isInZone(name, from) || except.some((zone) => zone !== from && isInZone(name, zone)),
  );
}

function withTypeA(message: WireMessage): WireMessage {
  return { ...message, questions: [{ ...message.questions[0], type: types.A }] };
}
