/**
 * What the program must still know, because it has given it to a client a while ago and had every reason to keep it.
 * As long as that may be used, fresh or stale, nobody is to be told of a failure instead.
 */
import type { BlockConfig, CacheConfig, Config } from '../../../src/config/config.js';
import { types, type WireMessage } from '../../conformance/message.js';
import type { ClientQuery } from './conversation.js';
import { blockOf } from './history.js';
import { type Book, keyOf, type Statement } from './said.js';
import { lifetimesMs } from './times.js';

/** Stores below this may have thrown it out for another. */
const entriesEnough = 5_000;
/** What is not to be given for so long a failure may take the place of, before another configuration is in force. */
const staleEnoughMs = 3_600_000;

interface Given {
  readonly query: ClientQuery;
  readonly asked: WireMessage;
  readonly answer: WireMessage;
  readonly nowMs: number;
}

interface KnownAnswer {
  readonly statement: Statement;
  readonly zone: string;
  readonly name: string;
  readonly address: string;
  readonly staleMs: number;
}

export class Known {
  readonly #book: Book;
  readonly #answers = new Map<string, KnownAnswer>();

  constructor(book: Book) {
    this.#book = book;
  }

  /** This block has given a client this statement as fresh. */
  gave(
    { query, asked, answer, nowMs }: Given,
    { block, zone }: { readonly block: BlockConfig; readonly zone: string },
    statement: Statement,
  ): void {
    // Which of two configurations has kept it, if any, is not to be seen.
    const [config, ...others] = statement.configs;
    if (others.length > 0 || !config.blocks.includes(block) || !isLarge(block.cache)) return;
    if (Math.min(...lifetimesMs(statement, block)) <= nowMs - statement.arrivedAtMs!) return;
    // Its last second went by while it was put aside.
    if (answer.records.some(({ section, ttl }) => section !== 'additional' && ttl === 0)) return;
    const staleMs = block.cache?.stale?.maxAgeMs ?? 0;
    const { name } = asked.questions[0];
    this.#answers.set(`${zone} ${keyOf(asked)}`, { statement, zone, name, address: query.at.address, staleMs });
  }

  /** Another configuration is in force: what its zones do not keep is forgotten. */
  settled(config: Config): void {
    for (const [key, known] of this.#answers) {
      const now = blockOf(config, known.address, known.name);
      const cache = now?.block.cache ?? null;
      const staleMs = Math.min(known.staleMs, cache?.stale?.maxAgeMs ?? 0);
      if (now?.zone !== known.zone || !isLarge(cache) || staleMs < staleEnoughMs) this.#answers.delete(key);
    }
  }

  /** Null, or what should have been given instead of this failure. */
  whyNot(query: ClientQuery, asked: WireMessage, answer: WireMessage, config: Config, nowMs: number): string | null {
    if (answer.rcode === 0 || answer.rcode === 3) return null;
    const { name, type } = asked.questions[0];
    const here = blockOf(config, query.at.address, name);
    const cache = here?.block.cache ?? null;
    if (here === null || cache === null || !isLarge(cache)) return null;
    const isSmart = here.block.aaaa === 'smart' && type === types.AAAA;
    const key = keyOf(asked, isSmart ? types.A : type);
    const known = this.#answers.get(`${here.zone} ${key}`);
    if (known === undefined) return null;
    const since = this.#book
      .about(key)
      .filter(({ arrivedAtMs }) => arrivedAtMs !== null && arrivedAtMs >= known.statement.arrivedAtMs!);
    // What may not be kept may have ended it all the same.
    if (since.some((one) => isSuccess(one) && Math.min(...lifetimesMs(one, here.block)) <= 0)) return null;
    // Whatever came since may have taken its place, and nothing that is kept lives for less than a second.
    const usableUntilMs =
      Math.min(...since.map(({ arrivedAtMs }) => arrivedAtMs!)) + 1_000 + (cache.stale?.maxAgeMs ?? 0);
    return nowMs < usableUntilMs
      ? `rcode ${answer.rcode}, although statement ${known.statement.number} is known`
      : null;
  }
}

function isSuccess({ rcode, isLie, recursionDesired }: Statement): boolean {
  return (rcode === 0 || rcode === 3) && !isLie && recursionDesired;
}

/** It keeps everything that may be kept. */
function isLarge(cache: CacheConfig | null): boolean {
  if (cache === null || cache.successDisabled !== null || cache.denialDisabled !== null) return false;
  return cache.success.entriesMax >= entriesEnough && cache.denial.entriesMax >= entriesEnough;
}
