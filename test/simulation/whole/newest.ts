/**
 * The newest successful answer that clients have had, for each question of each zone: nobody who asks after that is to
 * get an older one, be it fresh or stale, and whether or not the newer one could be kept (RFC 8767 4).
 */
import type { BlockConfig } from '../../../src/config/config.js';
import type { WireMessage } from '../../conformance/message.js';
import type { ClientQuery } from './conversation.js';
import { keyOf, type Statement } from './said.js';
import { denies } from './times.js';

interface Given {
  readonly query: ClientQuery;
  readonly asked: WireMessage;
  readonly nowMs: number;
  readonly zone: string;
  readonly block: BlockConfig;
}

export class Newest {
  readonly #given = new Map<string, { readonly statement: Statement; readonly atMs: number }>();

  /** A client has been given this as fresh. */
  gave({ asked, nowMs, zone, block }: Given, statement: Statement): void {
    const { rcode, recursionDesired, isTruncated } = statement;
    // An upstream's own view, and an answer that was cut, end nothing.
    if ((rcode !== 0 && rcode !== 3) || !recursionDesired || isTruncated) return;
    // In which zone of two configurations it came is not to be seen.
    const [config, ...others] = statement.configs;
    if (others.length > 0 || !config.blocks.includes(block)) return;
    const key = `${zone} ${keyOf(asked)}`;
    const before = this.#given.get(key);
    if (before !== undefined && before.statement.arrivedAtMs! >= statement.arrivedAtMs!) return;
    this.#given.set(key, { statement, atMs: nowMs });
  }

  /** Null, or which answer should have been the end of this one. */
  whyNot({ query, asked, zone, block }: Given, statement: Statement): string | null {
    const newest = this.#given.get(`${zone} ${keyOf(asked)}`);
    // Who asked before that may have been waiting for the older one, or slow in taking it.
    if (newest === undefined || !statement.recursionDesired || query.arrivedAtMs <= newest.atMs) return null;
    if (newest.statement.arrivedAtMs! <= statement.arrivedAtMs!) return null;
    if (block.cache?.preferPositive === true && denies(newest.statement) && !denies(statement)) return null;
    return `statement ${statement.number} is older than ${newest.statement.number}, which was given at ${newest.atMs}`;
  }
}
