/**
 * The most frequent of many keys in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi 2005), with weights. Of
 * N in all, m counters hold every key that has more than N/m; a count is never too small, and too large by at most
 * what is said with it, which is at most N/m.
 */
export interface Counted {
  readonly key: string;
  /** At least as much as was added for the key. */
  readonly count: number;
  /** So much of it may be another key's. */
  readonly over: number;
}

interface Entry {
  key: string;
  count: number;
  over: number;
  /** In the heap. */
  place: number;
}

export class SpaceSaving {
  readonly #byKey = new Map<string, Entry>();
  /** The smallest count first; each is no larger than those at 2i+1 and 2i+2. */
  readonly #heap: Entry[] = [];
  #total = 0;

  /** `countersMax` at least 1. */
  constructor(readonly countersMax: number) {}

  /** All that was added. */
  get total(): number {
    return this.#total;
  }

  /** `weight` is above 0. */
  add(key: string, weight: number): void {
    this.#total += weight;
    const known = this.#byKey.get(key);
    if (known !== undefined) return this.#raise(known, weight);
    if (this.#heap.length < this.countersMax) {
      const entry = { key, count: 0, over: 0, place: this.#heap.length };
      this.#byKey.set(key, entry);
      this.#heap.push(entry);
      this.#toFront(entry);
      return this.#raise(entry, weight);
    }
    // The rarest gives its place, and its count is what the newcomer may have had before.
    const [rarest] = this.#heap;
    this.#byKey.delete(rarest.key);
    this.#byKey.set(key, rarest);
    rarest.key = key;
    rarest.over = rarest.count;
    this.#raise(rarest, weight);
  }

  /** The most frequent, at most so many. */
  top(countMax: number): Counted[] {
    return [...this.#heap]
      .sort((one, other) => other.count - one.count)
      .slice(0, countMax)
      .map(({ key, count, over }) => ({ key, count, over }));
  }

  /** A new entry, whose count is 0, goes to the front. */
  #toFront(entry: Entry): void {
    for (let parent = (entry.place - 1) >> 1; entry.place > 0; parent = (entry.place - 1) >> 1) {
      this.#swap(entry, this.#heap[parent]);
    }
  }

  #raise(entry: Entry, weight: number): void {
    entry.count += weight;
    const heap = this.#heap;
    for (;;) {
      const left = 2 * entry.place + 1;
      if (left >= heap.length) return;
      const right = left + 1 < heap.length && heap[left + 1].count < heap[left].count ? left + 1 : left;
      if (heap[right].count >= entry.count) return;
      this.#swap(entry, heap[right]);
    }
  }

  #swap(one: Entry, other: Entry): void {
    const { place } = one;
    this.#heap[other.place] = one;
    this.#heap[place] = other;
    one.place = other.place;
    other.place = place;
  }
}
