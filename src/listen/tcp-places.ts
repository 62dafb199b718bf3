/**
 * Bounds TCP clients over all listeners: who may have a place, who is closed for a newcomer, how long a client may be
 * idle while few places are left, and the bytes of unread answers in all. An address may have as many places as are
 * free for others, so no client keeps the others out.
 */
import { tcpClientsMax, tcpClientsOfAddressLeast, tcpIdleLeastMs, tcpUnsentBytesMax } from '../limits.js';

export interface PlacedClient {
  readonly address: string;
  /** No query is being answered and no answer is unsent. */
  readonly isIdle: boolean;
  readonly activeAtMs: number;
  readonly unsentBytes: number;
  /** The part of `unsentBytes` in the sum of `TcpPlaces`. */
  countedBytes: number;
  giveUp(cause: 'crowded' | 'slow'): void;
}

export class TcpPlaces {
  readonly #ofAddress = new Map<string, Set<PlacedClient>>();
  #taken = 0;
  #unsentBytes = 0;

  get taken(): number {
    return this.#taken;
  }

  /** Whether a client at this address may have a place; it may close another client for that. */
  makeRoom(address: string): boolean {
    const own = this.#ofAddress.get(address);
    const has = own?.size ?? 0;
    const free = tcpClientsMax - this.#taken;
    const isOverShare = has >= Math.max(tcpClientsOfAddressLeast, free);
    if (free > 0 && !isOverShare) return true;
    const from = isOverShare ? [own!] : this.#largest();
    const mayBeBusy = !isOverShare && from[0].size > has + 1;
    const leaving = longestQuiet(from, 'idle') ?? (mayBeBusy ? longestQuiet(from, 'any') : null);
    if (leaving !== null) this.#evict(leaving, 'crowded');
    return leaving !== null;
  }

  add(one: PlacedClient): void {
    const others = this.#ofAddress.get(one.address);
    if (others === undefined) this.#ofAddress.set(one.address, new Set([one]));
    else others.add(one);
    this.#taken++;
  }

  remove(one: PlacedClient): void {
    const others = this.#ofAddress.get(one.address);
    if (!others?.delete(one)) return;
    if (others.size === 0) this.#ofAddress.delete(one.address);
    this.#taken--;
    this.#unsentBytes -= one.countedBytes;
  }

  /** The idle timeout: `ms` while at least half of the places are free, less when fewer are. */
  idleMs(ms: number): number {
    const freeOfHalf = (2 * (tcpClientsMax - this.#taken)) / tcpClientsMax;
    return Math.min(ms, Math.max(tcpIdleLeastMs, ms * freeOfHalf));
  }

  /**
   * Called after writes. While too many bytes are unread in all, the address with most loses its connection with most.
   */
  wrote(one: PlacedClient): void {
    this.#count(one);
    if (this.#unsentBytes <= tcpUnsentBytesMax) return;
    for (const ones of this.#ofAddress.values()) for (const each of ones) this.#count(each);
    while (this.#unsentBytes > tcpUnsentBytesMax) {
      const ones = mostOf(this.#ofAddress.values(), (all) => placesSum(all));
      this.#evict(
        mostOf(ones, ({ countedBytes }) => countedBytes),
        'slow',
      );
    }
  }

  #count(one: PlacedClient): void {
    const { unsentBytes } = one;
    this.#unsentBytes += unsentBytes - one.countedBytes;
    one.countedBytes = unsentBytes;
  }

  #evict(one: PlacedClient, cause: 'crowded' | 'slow'): void {
    this.remove(one);
    one.giveUp(cause);
  }

  #largest(): Set<PlacedClient>[] {
    let most = 0;
    for (const { size } of this.#ofAddress.values()) most = Math.max(most, size);
    return [...this.#ofAddress.values()].filter(({ size }) => size === most);
  }
}

function longestQuiet(from: readonly Set<PlacedClient>[], which: 'idle' | 'any'): PlacedClient | null {
  let found: PlacedClient | null = null;
  for (const ones of from) {
    for (const one of ones) {
      if (which === 'idle' && !one.isIdle) continue;
      if (found === null || one.activeAtMs < found.activeAtMs) found = one;
    }
  }
  return found;
}

function placesSum(ones: Iterable<PlacedClient>): number {
  let sum = 0;
  for (const { countedBytes } of ones) sum += countedBytes;
  return sum;
}

function mostOf<One>(ones: Iterable<One>, of: (one: One) => number): One {
  let found: One | null = null;
  let most = Number.NEGATIVE_INFINITY;
  for (const one of ones) {
    const has = of(one);
    if (has <= most) continue;
    found = one;
    most = has;
  }
  return found!;
}
