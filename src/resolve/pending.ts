/**
 * Questions under way and who waits for each. `PendingTable` joins identical questions of clients. `Sharing` joins what is
 * asked upstream: several clients' questions may become the same request, when rules put the same name in their place or
 * add the same option. Everything that waits is bounded here.
 */
import type { Counters } from '../counters.js';
import { type HashKey, hashQuestion } from '../dns/hash.js';
import { sameName } from '../dns/wire.js';
import {
  chainEntriesMax,
  clientWaitersLeast,
  freeQuestionsMax,
  identicalQuestionsMax,
  pendingMax,
  waitersMax,
  waitersPerQuestionMax,
} from '../limits.js';
import type { Client } from '../listen/client.js';
import { toEach } from '../scheduling/each.js';
import type { Answer, Ask, Failure, Outcome, Request } from '../upstream/ask.js';
import type { QueryPlan, Route } from './route.js';
import type { ServedZone } from './zones.js';

interface Chained<Entry> {
  readonly hash: number;
  /** The next entry of the same chain; set by the table. */
  next: Entry | null;
}

/** A power of two. */
const chainCount = pendingMax / 4;

/**
 * A hash table whose entries carry its links. Not a Map: where thousands of short-lived entries come and go, each table
 * that a Map outgrows keeps its successor and its contents alive until the next full collection, which cost a quarter of
 * a miss.
 */
class ChainTable<Entry extends Chained<Entry>> {
  readonly #chains: (Entry | null)[] = new Array(chainCount).fill(null);

  /** The first entry of the hash's chain, which also has entries with other hashes. */
  first(hash: number): Entry | null {
    return this.#chains[hash & (chainCount - 1)];
  }

  add(entry: Entry): void {
    const chain = entry.hash & (chainCount - 1);
    entry.next = this.#chains[chain];
    this.#chains[chain] = entry;
  }

  /** An entry that is not in the table is left alone. */
  remove(entry: Entry): void {
    const chain = entry.hash & (chainCount - 1);
    let before: Entry | null = null;
    let one = this.#chains[chain];
    while (one !== null && one !== entry) {
      before = one;
      one = one.next;
    }
    if (one === null) return;
    if (before === null) this.#chains[chain] = entry.next;
    else before.next = entry.next;
    entry.next = null;
  }
}

/** What one client may have of the places for one question: at least a few, else as many as are free for others. */
function shareOf(waiting: number): number {
  return Math.max(clientWaitersLeast, waitersPerQuestionMax - waiting);
}

export interface Waiter {
  readonly client: Client;
  /** The part of the query that answering needs (`keptQuery`). */
  readonly packet: Uint8Array;
  /** Bytes of the packet as received. */
  readonly queryBytes: number;
  readonly receivedAtMs: number;
  /** The zone that answers and counts it: a client that joins may have come by another listener. */
  readonly zone: ServedZone;
  /** `aaaa`: an AAAA question whose name's A is being asked for. */
  readonly wants: 'answer' | 'aaaa';
  /** Of a subquery: told instead of the client. Null: a client waits. */
  readonly ours: OwnWaiter | null;
}

export interface OwnWaiter {
  /** The answer, borrowed until it returns. Not `mayKeep`: it is for this client or this moment. */
  answered(answer: Uint8Array, mayKeep: boolean): void;
  failed(why: Failure): void;
}

/** What tells questions apart; the question (name, type and class) as first asked. */
interface Identity {
  readonly question: Uint8Array;
  readonly zoneId: number;
  readonly key: number;
  readonly recursionDesired: boolean;
}

export interface Pending extends Identity {
  /** `hashOf` its identity. */
  readonly hash: number;
  /** False where the answer may depend on the client. */
  readonly isJoinable: boolean;
  /** Not null: something else is made or asked for it. */
  readonly plan: QueryPlan | null;
  readonly zone: ServedZone;
  /** The route at the time of the question; a reload may have changed it since. */
  readonly route: Route;
  readonly startedAtMs: number;
  /** There was an answer that can be used if the upstream is slow. */
  readonly hasStale: boolean;
  /** How many subqueries led to it. */
  readonly depth: number;
  /** It waits for a subquery. Subqueries wait like clients, so two that waited for each other would wait for ever. */
  asksOurselves: boolean;
  waiters: Waiter[];
  next: Pending | null;
}

/**
 * The same for the same question in any spelling and any zone: one hash serves `PendingTable` and `Sharing`. The key
 * keeps clients from choosing names that collide.
 */
export function hashOf(question: Uint8Array, key: number, hashKey: HashKey): number {
  return hashQuestion(question, 0, question.length, hashKey, key);
}

function isSameIdentity(one: Identity, other: Identity): boolean {
  if (one.zoneId !== other.zoneId || one.key !== other.key || one.recursionDesired !== other.recursionDesired) {
    return false;
  }
  return sameQuestion(one.question, other.question);
}

/** Whether two questions are the same, in any spelling. */
function sameQuestion(one: Uint8Array, other: Uint8Array): boolean {
  const typeAt = other.length - 4;
  if (one.length !== other.length) return false;
  for (let at = typeAt; at < other.length; at++) if (one[at] !== other[at]) return false;
  return sameName(one, 0, other, 0, typeAt);
}

/** The caller of `remove` completes the question. */
export class PendingTable {
  readonly #table = new ChainTable<Pending>();
  #size = 0;
  #waiters = 0;
  /** Waiters by the client's address; none is 0, so there are no more entries than waiters. */
  readonly #ofClient = new Map<string, number>();

  get size(): number {
    return this.#size;
  }

  get waiters(): number {
    return this.#waiters;
  }

  /** The joinable question under way that is the same. It looks at `chainEntriesMax` questions at the most. */
  find(wanted: Pick<Pending, keyof Identity | 'hash'>): Pending | null {
    let one = this.#table.first(wanted.hash);
    while (one !== null && !(one.hash === wanted.hash && isSameIdentity(one, wanted))) one = one.next;
    return one;
  }

  /** Whether another question, with a waiter, may be added. */
  get hasRoom(): boolean {
    return this.#size < pendingMax && this.#waiters < waitersMax;
  }

  /**
   * Whether this client may wait for one more question. It may have as much as is still free for others: a client that
   * floods us gets half of what there is, and a new client finds room.
   */
  hasShareFor(client: string): boolean {
    const free = Math.min(pendingMax - this.#size, waitersMax - this.#waiters);
    return (this.#ofClient.get(client) ?? 0) < Math.max(clientWaitersLeast, free);
  }

  add(pending: Pending): void {
    // What cannot be found is not joined: a question that is for its client alone, and the 33rd of a chain.
    if (pending.isJoinable && this.#hasPlaceFor(pending)) this.#table.add(pending);
    this.#size++;
    for (const waiter of pending.waiters) this.#count(waiter, 1);
  }

  #hasPlaceFor({ hash }: Pending): boolean {
    let left = chainEntriesMax;
    for (let one = this.#table.first(hash); one !== null; one = one.next) left--;
    return left > 0;
  }

  /** Adds a waiter, or returns the bound that is reached: here too a client may have as much as is free for others. */
  join(pending: Pending, waiter: Waiter): 'joined' | 'overloadedWaiters' | 'overloadedClient' {
    const { waiters } = pending;
    if (waiters.length >= waitersPerQuestionMax || this.#waiters >= waitersMax) return 'overloadedWaiters';
    const client = waiter.client.remote.address;
    const has = this.#ofClient.get(client) ?? 0;
    if (has >= Math.max(clientWaitersLeast, waitersMax - this.#waiters)) return 'overloadedClient';
    const share = shareOf(waiters.length);
    if (has >= share && waitersOf(client, waiters) >= share) return 'overloadedClient';
    waiters.push(waiter);
    this.#count(waiter, 1);
    return 'joined';
  }

  /** Takes the waiters away; the question stays under way. */
  takeWaiters(pending: Pending): Waiter[] {
    const taken = pending.waiters;
    pending.waiters = [];
    for (const waiter of taken) this.#count(waiter, -1);
    return taken;
  }

  /** The question is over; its waiters stay with it, and wait no more. */
  remove(pending: Pending): readonly Waiter[] {
    this.#table.remove(pending);
    this.#size--;
    for (const waiter of pending.waiters) this.#count(waiter, -1);
    return pending.waiters;
  }

  #count({ client }: Waiter, change: 1 | -1): void {
    const { address } = client.remote;
    const count = (this.#ofClient.get(address) ?? 0) + change;
    if (count === 0) this.#ofClient.delete(address);
    else this.#ofClient.set(address, count);
    this.#waiters += change;
  }
}

function waitersOf(address: string, waiters: readonly Waiter[]): number {
  let count = 0;
  for (const { client } of waiters) if (client.remote.address === address) count++;
  return count;
}

interface Sharer {
  readonly client: string | undefined;
  readonly done: (outcome: Outcome) => void;
  readonly late: ((answer: Answer) => void) | undefined;
}

/** Borrowed until `ask` returns. */
interface Sharable {
  readonly ask: Ask;
  readonly request: Request;
  /** When the client's query came. */
  readonly askedAtMs: number;
  /** The same for the same name, type and class in any spelling. */
  readonly hash: number;
}

const tooMany: Outcome = { ok: false, why: 'overloaded', text: 'too many queries are waiting for the same question' };

/**
 * Asks the same thing upstream once: each request under way has an id that may be guessed, so identical ones would help a
 * forger (RFC 5452 5). Identical are: forwards, name, type, class, RD, CD, DO and options.
 */
export class Sharing {
  readonly #table = new ChainTable<SharedQuery>();
  readonly #counters: Pick<Counters, 'count'>;
  readonly #free: SharedQuery[] = [];

  constructor(counters: Pick<Counters, 'count'>) {
    this.#counters = counters;
  }

  /** Asks, or waits for the same request under way; `done` and `late` are called as an `Ask` calls them. */
  ask(wanted: Sharable, done: Sharer['done'], late: Sharer['late']): void {
    const running = this.#find(wanted);
    if (running === null) return this.#start(wanted, done, late);
    const { client } = wanted.request;
    const bound = boundFor(client, running);
    this.#counters.count(bound ?? 'coalesced');
    if (bound === null) running.others.push({ client, done, late });
    else queueMicrotask(() => done(tooMany));
  }

  /** A request that was asked later ends after this query's deadline, so up to `identicalQuestionsMax` run at once. */
  #find(wanted: Sharable): SharedQuery | null {
    let count = 0;
    let oldest: SharedQuery | null = null;
    for (let one = this.#table.first(wanted.hash); one !== null; one = one.next) {
      if (!isSameRequest(one, wanted)) continue;
      count++;
      if (oldest === null || one.askedAtMs < oldest.askedAtMs) oldest = one;
    }
    if (oldest === null || oldest.askedAtMs <= wanted.askedAtMs) return oldest;
    return count < identicalQuestionsMax ? null : oldest;
  }

  #start(wanted: Sharable, done: Sharer['done'], late: Sharer['late']): void {
    const shared = this.#free.pop() ?? new SharedQuery(this.#over);
    shared.begin(wanted, done, late);
    this.#table.add(shared);
    wanted.ask(wanted.request, shared.done, late && shared.late);
  }

  readonly #over = (shared: SharedQuery, outcome: Outcome): void => {
    this.#table.remove(shared);
    const { first, others } = shared;
    if (others.length === 0) first.done(outcome);
    else toEach([first, ...others], ({ done }) => done(outcome));
    // After a failure a late answer may come.
    if (!outcome.ok || this.#free.length >= freeQuestionsMax) return;
    if (others.length > 0) shared.others = [];
    this.#free.push(shared);
  };
}

/** A request under way and those who share it. An object is used for one after another, as a `PendingQuestion` is. */
class SharedQuery implements Sharable {
  ask!: Ask;
  request!: Request;
  askedAtMs = 0;
  hash = 0;
  next: SharedQuery | null = null;
  /** For whom it is asked. */
  readonly first: { -readonly [Key in keyof Sharer]: Sharer[Key] } = { client: undefined, done() {}, late: undefined };
  others: Sharer[] = [];
  readonly done: (outcome: Outcome) => void;
  readonly late = (answer: Answer): void => toEach([this.first, ...this.others], (sharer) => sharer.late?.(answer));

  constructor(over: (shared: SharedQuery, outcome: Outcome) => void) {
    this.done = (outcome) => over(this, outcome);
  }

  begin({ ask, request, askedAtMs, hash }: Sharable, done: Sharer['done'], late: Sharer['late']): void {
    this.ask = ask;
    this.request = request;
    this.askedAtMs = askedAtMs;
    this.hash = hash;
    this.first.client = request.client;
    this.first.done = done;
    this.first.late = late;
  }
}

function isSameRequest(one: Sharable, other: Sharable): boolean {
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

/** The bound that keeps one more from waiting, or null. */
function boundFor(
  client: string | undefined,
  { first, others }: SharedQuery,
): 'overloadedWaiters' | 'overloadedClient' | null {
  const sharers = 1 + others.length;
  if (sharers >= waitersPerQuestionMax) return 'overloadedWaiters';
  const share = shareOf(sharers);
  if (sharers < share) return null;
  const has = [first, ...others].filter((sharer) => sharer.client === client).length;
  return has >= share ? 'overloadedClient' : null;
}
