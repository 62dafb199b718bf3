/**
 * What is asked upstream now, and for how many. Questions of clients that are joined wait together (pending.ts); others may
 * still have the same asked for them: a name that rules put in the place of theirs, or one and the same option. Each question
 * under way has an id of its own that may be guessed, so the same is asked once (RFC 5452 5): same forwards, name, type, class,
 * RD, CD, DO and options.
 */

import type { Counters } from '../counters.js';
import { clientWaitersLeast, identicalQuestionsMax, pendingMax, waitersPerQuestionMax } from '../limits.js';
import { toEach } from '../scheduling/each.js';
import type { Answer, Ask, Outcome, Request } from '../upstream/ask.js';
import { sameQuestion } from './pending.js';

/** Who hears what becomes of it. */
interface Sharer {
  readonly client: string | undefined;
  readonly done: (outcome: Outcome) => void;
  readonly late: ((answer: Answer) => void) | undefined;
}

/** One question under way. */
interface Shared {
  readonly hash: number;
  readonly ask: Ask;
  readonly request: Request;
  readonly askedAtMs: number;
  /** The first is the one that it was asked for. */
  readonly sharers: Sharer[];
  /** The next with the same place in the table. */
  next: Shared | null;
}

/** How it is asked. */
interface Sharable {
  readonly ask: Ask;
  readonly request: Request;
  /** When the query came that it is asked for. */
  readonly askedAtMs: number;
  /** The same for the same name, type and class in any spelling. */
  readonly hash: number;
}

/** Chains; a power of two. */
const places = pendingMax / 4;
const tooMany: Outcome = { ok: false, why: 'overloaded', text: 'too many queries are waiting for the same question' };

/** Not a Map, for the reason that PendingTable is none. */
export class Sharing {
  readonly #places: (Shared | null)[] = new Array(places).fill(null);
  readonly #counters: Pick<Counters, 'count'>;

  constructor(counters: Pick<Counters, 'count'>) {
    this.#counters = counters;
  }

  /** Has it asked, or lets it wait for the same under way; `done` and `late` are called as an `Ask` calls them. */
  ask(wanted: Sharable, done: Sharer['done'], late: Sharer['late']): void {
    const running = this.#find(wanted);
    const sharer: Sharer = { client: wanted.request.client, done, late };
    if (running === null) return this.#start(wanted, sharer);
    const bound = boundFor(sharer.client, running.sharers);
    this.#counters.count(bound ?? 'coalesced');
    if (bound === null) running.sharers.push(sharer);
    else queueMicrotask(() => done(tooMany));
  }

  /**
   * The one to wait for. One that was asked later ends after the time of the query that this is for, so the same is asked
   * once more; but not without end.
   */
  #find(wanted: Sharable): Shared | null {
    let count = 0;
    let oldest: Shared | null = null;
    for (let one = this.#places[wanted.hash & (places - 1)]; one !== null; one = one.next) {
      if (!isSame(one, wanted)) continue;
      count++;
      if (oldest === null || one.askedAtMs < oldest.askedAtMs) oldest = one;
    }
    if (oldest === null || oldest.askedAtMs <= wanted.askedAtMs) return oldest;
    return count < identicalQuestionsMax ? null : oldest;
  }

  #start({ ask, request, askedAtMs, hash }: Sharable, first: Sharer): void {
    const place = hash & (places - 1);
    const shared: Shared = { hash, ask, request, askedAtMs, sharers: [first], next: this.#places[place] };
    this.#places[place] = shared;
    const { late } = first;
    ask(
      request,
      (outcome) => {
        this.#remove(shared);
        toEach(shared.sharers, ({ done }) => done(outcome));
      },
      late && ((answer) => toEach(shared.sharers, (sharer) => sharer.late?.(answer))),
    );
  }

  #remove(shared: Shared): void {
    const place = shared.hash & (places - 1);
    let before: Shared | null = null;
    let one = this.#places[place];
    while (one !== shared) {
      before = one;
      one = one!.next;
    }
    if (before === null) this.#places[place] = shared.next;
    else before.next = shared.next;
    shared.next = null;
  }
}

function isSame(one: Shared, other: Sharable): boolean {
  if (one.hash !== other.hash || one.ask !== other.ask) return false;
  const { question, recursionDesired, checkingDisabled, dnssecOk, options } = one.request;
  const wanted = other.request;
  return (
    recursionDesired === wanted.recursionDesired &&
    checkingDisabled === wanted.checkingDisabled &&
    dnssecOk === wanted.dnssecOk &&
    sameQuestion(question, wanted.question) &&
    isSameBytes(options, wanted.options)
  );
}

function isSameBytes(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return Buffer.compare(one, other) === 0;
}

/** What keeps one more from waiting, if anything does: a client may have as many places as are free for others. */
function boundFor(
  client: string | undefined,
  sharers: readonly Sharer[],
): 'overloadedWaiters' | 'overloadedClient' | null {
  const free = waitersPerQuestionMax - sharers.length;
  if (free <= 0) return 'overloadedWaiters';
  const share = Math.max(clientWaitersLeast, free);
  if (sharers.length < share) return null;
  const has = sharers.filter((sharer) => sharer.client === client).length;
  return has >= share ? 'overloadedClient' : null;
}
