/**
 * Questions that are being asked, and who waits for each: identical ones are asked once. A question leaves the table
 * in one place, when its outcome is there; everything that waits is bounded here.
 */
import { lower } from '../dns/wire.js';
import { clientWaitersLeast, pendingMax, waitersMax, waitersPerQuestionMax } from '../limits.js';
import type { Asker } from '../listen/asker.js';
import type { Route } from './route.js';
import type { ServedZone } from './zones.js';

/** A client's packet, kept until it can be answered. */
export interface Waiter {
  readonly asker: Asker;
  readonly packet: Uint8Array;
  readonly receivedAtMs: number;
  /** By which it is answered and counted: whoever joins may have come in by another listener. */
  readonly zone: ServedZone;
  /** `aaaa`: an AAAA question whose name's A is being asked for. */
  readonly wants: 'answer' | 'aaaa';
}

/** One question under way. */
export interface Pending {
  readonly id: string;
  readonly zone: ServedZone;
  /** As it was when the question was asked; a reload may have changed it since. */
  readonly route: Route;
  readonly key: number;
  /** Name, type and class as first asked. */
  readonly question: Uint8Array;
  readonly recursionDesired: boolean;
  readonly startedAtMs: number;
  /** There was an answer past its expiry that will do if the upstream is slow. */
  readonly hasStale: boolean;
  waiters: Waiter[];
}

/** What tells questions apart, besides the name's case. */
export interface Identity {
  readonly zoneId: number;
  readonly key: number;
  readonly recursionDesired: boolean;
}

export function pendingId(question: Uint8Array, identity: Identity): string {
  let text = `${identity.zoneId}/${identity.key}/${identity.recursionDesired ? 'rd' : ''}/`;
  for (let at = 0; at < question.length; at++) text += String.fromCharCode(lower[question[at]]);
  return text;
}

export class PendingTable {
  readonly #pending = new Map<string, Pending>();
  #waiters = 0;
  /** Waiters by the client's address; none is 0, so there are no more of them than waiters. */
  readonly #ofClient = new Map<string, number>();

  get size(): number {
    return this.#pending.size;
  }

  get waiters(): number {
    return this.#waiters;
  }

  get(id: string): Pending | undefined {
    return this.#pending.get(id);
  }

  /** Whether another question, with a waiter, may be added. */
  get hasRoom(): boolean {
    return this.#pending.size < pendingMax && this.#waiters < waitersMax;
  }

  /**
   * Whether this client may wait for one more. It may have as much as is still free for others: one that floods us
   * gets half of what there is, and whoever comes finds room.
   */
  hasShareFor(client: string): boolean {
    const has = this.#ofClient.get(client) ?? 0;
    return has < Math.max(clientWaitersLeast, pendingMax - this.#pending.size);
  }

  add(pending: Pending): void {
    this.#pending.set(pending.id, pending);
    for (const waiter of pending.waiters) this.#count(waiter, 1);
  }

  /** Lets one more client wait; false when too many do. */
  join(pending: Pending, waiter: Waiter): boolean {
    if (pending.waiters.length >= waitersPerQuestionMax || this.#waiters >= waitersMax) return false;
    pending.waiters.push(waiter);
    this.#count(waiter, 1);
    return true;
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
    this.#pending.delete(pending.id);
    return this.takeWaiters(pending);
  }

  #count({ asker }: Waiter, change: 1 | -1): void {
    const client = asker.remote.address;
    const count = (this.#ofClient.get(client) ?? 0) + change;
    if (count === 0) this.#ofClient.delete(client);
    else this.#ofClient.set(client, count);
    this.#waiters += change;
  }

  [Symbol.iterator](): Iterator<Pending> {
    return this.#pending.values();
  }
}
