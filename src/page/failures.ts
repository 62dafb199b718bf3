/**
 * The last failed queries with their reasons. The same name with the same reason is one failure that happened again, so
 * an upstream that is down does not push out all others. Bounded in number, length and, per second, in work.
 */
import { rcodeName, typeName, wireToName } from '../dns/names.js';
import { skipName, u16 } from '../dns/wire.js';
import { pageFailuresMax, pageFailuresPerSecondMax, pageReasonCharactersMax } from '../limits.js';
import { newLineBudget } from '../observe/query-log.js';
import type { Clock } from '../os/clock.js';

interface NotedFailure {
  count: number;
  /** Of the last time: milliseconds since 1970. */
  atMs: number;
  readonly rcode: number;
}

interface FailureShown {
  readonly atMs: number;
  readonly count: number;
  /** Presentation form. */
  readonly name: string;
  readonly type: string;
  readonly rcode: string;
  readonly reason: string;
}

export class RecentFailures {
  /** By question and reason; the one that happened last is last. */
  readonly #noted = new Map<string, NotedFailure>();
  readonly #clock: Clock;
  readonly #fits: () => boolean;
  /** Too many in one second to be looked at. */
  unnoted = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#fits = newLineBudget(clock, pageFailuresPerSecondMax);
  }

  /** `question` is name, type and class in wire format, and borrowed. */
  note(question: Uint8Array, rcode: number, reason: string): void {
    if (!this.#fits()) {
      this.unnoted++;
      return;
    }
    const bytes = Buffer.from(question.buffer, question.byteOffset, question.length);
    const key = `${bytes.toString('latin1')}${reason.slice(0, pageReasonCharactersMax)}`;
    const before = this.#noted.get(key);
    this.#noted.delete(key);
    this.#noted.set(key, { count: (before?.count ?? 0) + 1, atMs: this.#clock.wallMs(), rcode });
    if (this.#noted.size <= pageFailuresMax) return;
    const [eldest] = this.#noted.keys();
    this.#noted.delete(eldest);
  }

  /** The latest first. */
  shown(): readonly FailureShown[] {
    return [...this.#noted].reverse().map(([key, { atMs, count, rcode }]) => {
      const bytes = Buffer.from(key, 'latin1');
      const end = skipName(bytes, 0, bytes.length) + 4;
      return {
        atMs,
        count,
        name: wireToName(bytes, 0),
        type: typeName(u16(bytes, end - 4)),
        rcode: rcodeName(rcode),
        reason: key.slice(end),
      };
    });
  }
}
