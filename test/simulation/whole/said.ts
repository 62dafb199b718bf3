/**
 * The book of everything that upstreams have said. Each statement has a number that is in all its data, so an answer
 * that reaches a client tells whose it is: which name it was about, with what TTLs, and when it came in.
 */
import type { Config } from '../../../src/config/config.js';
import type { Clock } from '../../../src/os/clock.js';
import type { Random } from '../../../src/os/random.js';
import { cd, rd, readMessage, tc, type WireMessage, type WireRecord } from '../../conformance/message.js';
import { Composer, type Manner, numberIn, type UpstreamQuery } from './compose.js';

export interface Statement {
  readonly number: number;
  /** What it answers, with everything that tells questions apart: see `keyOf`. */
  readonly key: string;
  readonly recursionDesired: boolean;
  readonly manner: Manner;
  readonly upstream: number;
  readonly rcode: number;
  readonly records: readonly WireRecord[];
  /** No client may ever see it. */
  readonly isLie: boolean;
  /** It has TC. */
  readonly isTruncated: boolean;
  /** It has TC over UDP: it must be asked again over TCP, and only where that brings nothing a client may see it. */
  readonly isCut: boolean;
  /** The query had no OPT, maybe for the want of an answer to one. */
  readonly isWithoutOpt: boolean;
  readonly message: Buffer;
  /** What to add to its moments to have the wall clock's. */
  readonly wallAheadMs: number;
  /** When the program had all of it, the first time; null until then. */
  arrivedAtMs: number | null;
  /** The configurations by which it may have been taken in. */
  configs: readonly Config[];
}

/** Name, type, class, CD and DO: what an answer is kept under. */
export function keyOf({ questions, opt, flags }: WireMessage, type = questions[0].type): string {
  const { name, class: qclass } = questions[0];
  const dnssecOk = ((opt?.flags ?? 0) & 0x8000) !== 0;
  return [name.toLowerCase(), type, qclass, ...((flags & cd) !== 0 ? ['CD'] : []), ...(dnssecOk ? ['DO'] : [])].join(
    ' ',
  );
}

/** Whether a key is one of questions with DO. */
export function isDo(key: string): boolean {
  return key.endsWith(' DO');
}

export class Book {
  readonly #composer: Composer;
  readonly #statements: Statement[] = [];
  readonly #byMessage = new Map<string, Statement>();
  readonly #byKey = new Map<string, Statement[]>();

  readonly #wallAheadMs: number;

  constructor(random: Random, clock: Pick<Clock, 'nowMs' | 'wallMs'>) {
    this.#composer = new Composer(random, clock);
    this.#wallAheadMs = clock.wallMs() - clock.nowMs();
  }

  /** Makes an upstream's answer to this query, and remembers it. */
  say(query: UpstreamQuery, upstream: number, manner: Manner): Statement {
    const number = this.#statements.length;
    const { message, isLie } = this.#composer.compose(query, number, manner);
    const read = isLie ? null : readMessage(message);
    const statement: Statement = {
      number,
      key: keyOf(query.message),
      recursionDesired: (query.message.flags & rd) !== 0,
      manner,
      upstream,
      rcode: read?.rcode ?? message[3] & 0x0f,
      records: read?.records ?? [],
      isLie,
      isTruncated: ((read?.flags ?? 0) & tc) !== 0,
      isCut: ((read?.flags ?? 0) & tc) !== 0 && query.transport === 'udp',
      isWithoutOpt: query.message.opt === null,
      message,
      wallAheadMs: this.#wallAheadMs,
      arrivedAtMs: null,
      configs: [],
    };
    this.#statements.push(statement);
    this.#byMessage.set(message.toString('latin1'), statement);
    const ofKey = this.#byKey.get(statement.key) ?? [];
    ofKey.push(statement);
    this.#byKey.set(statement.key, ofKey);
    return statement;
  }

  /** The statement that these bytes are; the latest of those that are alike. */
  of(message: Uint8Array): Statement | undefined {
    return this.#byMessage.get(Buffer.from(message).toString('latin1'));
  }

  /** The statement whose number is in this record; undefined when it has none. */
  behind(record: WireRecord): Statement | undefined {
    const number = numberIn(record);
    return number === null ? undefined : this.#statements[number];
  }

  /**
   * Everything said under this key, oldest first. Who cannot take an OPT is asked without one, and what is said then is
   * given to DO as well, but not kept.
   */
  about(key: string): readonly Statement[] {
    const said = this.#byKey.get(key) ?? [];
    if (!isDo(key)) return said;
    const plain = (this.#byKey.get(key.slice(0, -3)) ?? []).filter(({ isWithoutOpt }) => isWithoutOpt);
    return [...said, ...plain].sort((one, other) => one.number - other.number);
  }

  get size(): number {
    return this.#statements.length;
  }
}
