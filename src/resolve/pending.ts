/**
 * Questions that are being asked, and who waits for each: identical ones are asked once. A question leaves the table
 * in one place, when its outcome is there; everything that waits is bounded here.
 */
import { type HashKey, hashQuestion } from '../dns/hash.js';
import { sameName } from '../dns/wire.js';
import { chainEntriesMax, clientWaitersLeast, pendingMax, waitersMax, waitersPerQuestionMax } from '../limits.js';
import type { Client } from '../listen/client.js';
import type { Failure } from '../upstream/ask.js';
import type { Course, Route } from './route.js';
import type { ServedZone } from './zones.js';

/** A client's query, kept until it can be answered. */
export interface Waiter {
  readonly asker: Client;
  /** What answering it takes of it (`keptQuery`). */
  readonly packet: Uint8Array;
  /** Bytes of the packet as it came. */
  readonly queryBytes: number;
  readonly receivedAtMs: number;
  /** By which it is answered and counted: whoever joins may have come in by another listener. */
  readonly zone: ServedZone;
  /** `aaaa`: an AAAA question whose name's A is being asked for. */
  readonly wants: 'answer' | 'aaaa';
  /** Of a question of ours, which is nobody's query: told instead of the asker. Null: a client waits. */
  readonly ours: OwnWaiter | null;
}

export interface OwnWaiter {
  /** The answer, borrowed until it returns. Not `mayKeep`: it is for this client or this moment. */
  answered(answer: Uint8Array, mayKeep: boolean): void;
  failed(why: Failure): void;
}

/** What tells questions apart, and the question as first asked: name, type and class. */
interface Identity {
  readonly question: Uint8Array;
  readonly zoneId: number;
  readonly key: number;
  readonly recursionDesired: boolean;
}

/** One question under way. */
export interface Pending extends Identity {
  /** `hashOf` its identity. */
  readonly hash: number;
  /** False where an answer may depend on who asks: nobody joins it. */
  readonly isJoinable: boolean;
  /** Not null: something else is made or asked for it. */
  readonly course: Course | null;
  readonly zone: ServedZone;
  /** As it was when the question was asked; a reload may have changed it since. */
  readonly route: Route;
  readonly startedAtMs: number;
  /** There was an answer that will do if the upstream is slow. */
  readonly hasStale: boolean;
  /** How many questions of ours led to it. */
  readonly depth: number;
  /** It waits for a question of ours, which waits like a client: two that waited for each other would wait for ever. */
  asksOurselves: boolean;
  waiters: Waiter[];
  /** The next with the same place in the table; the table's own. */
  next: Pending | null;
}

/** The same for the same question in any spelling. The key keeps clients from choosing names that fall together. */
export function hashOf(question: Uint8Array, zoneId: number, key: number, hashKey: HashKey): number {
  return hashQuestion(question, 0, question.length, hashKey, (zoneId << 2) | key);
}

function isSame(one: Identity, other: Identity): boolean {
  if (one.zoneId !== other.zoneId || one.key !== other.key || one.recursionDesired !== other.recursionDesired) {
    return false;
  }
  return sameQuestion(one.question, other.question);
}

/** Whether two questions ask the same, in whatever spelling. */
export function sameQuestion(one: Uint8Array, other: Uint8Array): boolean {
  const typeAt = other.length - 4;
  if (one.length !== other.length) return false;
  for (let at = typeAt; at < other.length; at++) if (one[at] !== other[at]) return false;
  return sameName(one, 0, other, 0, typeAt);
}

/** Chains; a power of two. */
const places = pendingMax / 4;

/**
 * Not a Map: where thousands of short-lived entries come and go, each table that a Map outgrows keeps the next one
 * and what was in it alive until the next full collection, which cost a quarter of a miss.
 */
export class PendingTable {
  readonly #places: (Pending | null)[] = new Array(places).fill(null);
  #size = 0;
  #waiters = 0;
  /** Waiters by the client's address; none is 0, so there are no more of them than waiters. */
  readonly #ofClient = new Map<string, number>();

  get size(): number {
    return this.#size;
  }

  get waiters(): number {
    return this.#waiters;
  }

  /** The one under way for the same question, that may be joined. It looks at `chainEntriesMax` questions at the most. */
  find(wanted: Pick<Pending, keyof Identity | 'hash'>): Pending | null {
    let one = this.#places[wanted.hash & (places - 1)];
    while (one !== null && !(one.hash === wanted.hash && isSame(one, wanted))) one = one.next;
    return one;
  }

  /** Whether another question, with a waiter, may be added. */
  get hasRoom(): boolean {
    return this.#size < pendingMax && this.#waiters < waitersMax;
  }

  /**
   * Whether this client may wait for one more question. It may have as much as is still free for others: one that
   * floods us gets half of what there is, and whoever comes finds room.
   */
  hasShareFor(client: string): boolean {
    const free = Math.min(pendingMax - this.#size, waitersMax - this.#waiters);
    return (this.#ofClient.get(client) ?? 0) < Math.max(clientWaitersLeast, free);
  }

  add(pending: Pending): void {
    // Nobody joins what cannot be found: neither a question that is for its asker alone, nor the 33rd of a chain.
    if (pending.isJoinable && this.#hasPlaceFor(pending)) {
      const place = pending.hash & (places - 1);
      pending.next = this.#places[place];
      this.#places[place] = pending;
    }
    this.#size++;
    for (const waiter of pending.waiters) this.#count(waiter, 1);
  }

  #hasPlaceFor({ hash }: Pending): boolean {
    let left = chainEntriesMax;
    for (let one = this.#places[hash & (places - 1)]; one !== null; one = one.next) left--;
    return left > 0;
  }

  /** Lets one more wait, or says which bound is in the way: here too a client may have as much as is free for others. */
  join(pending: Pending, waiter: Waiter): 'joined' | 'overloadedWaiters' | 'overloadedClient' {
    const { waiters } = pending;
    if (waiters.length >= waitersPerQuestionMax || this.#waiters >= waitersMax) return 'overloadedWaiters';
    const client = waiter.asker.remote.address;
    const has = this.#ofClient.get(client) ?? 0;
    if (has >= Math.max(clientWaitersLeast, waitersMax - this.#waiters)) return 'overloadedClient';
    const free = Math.max(clientWaitersLeast, waitersPerQuestionMax - waiters.length);
    if (has >= free && countOf(client, waiters) >= free) return 'overloadedClient';
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

  /** Takes the question out; who removes it completes it. */
  remove(pending: Pending): Waiter[] {
    const place = pending.hash & (places - 1);
    let before: Pending | null = null;
    let one = this.#places[place];
    while (one !== null && one !== pending) {
      before = one;
      one = one.next;
    }
    if (one !== null) {
      if (before === null) this.#places[place] = pending.next;
      else before.next = pending.next;
      pending.next = null;
    }
    this.#size--;
    return this.takeWaiters(pending);
  }

  #count({ asker }: Waiter, change: 1 | -1): void {
    const client = asker.remote.address;
    const count = (this.#ofClient.get(client) ?? 0) + change;
    if (count === 0) this.#ofClient.delete(client);
    else this.#ofClient.set(client, count);
    this.#waiters += change;
  }
}

function countOf(client: string, waiters: readonly Waiter[]): number {
  let count = 0;
  for (const { asker } of waiters) if (asker.remote.address === client) count++;
  return count;
}
