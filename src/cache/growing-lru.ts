/**
 * The order in which entries were added, by lru-cache. Bounded by `max` it keeps the order in arrays of 16-bit numbers, but
 * takes the memory for all entries at once; so a small one is replaced by a larger one whenever it is full.
 */
import { LRUCache } from 'lru-cache';
import { orderEntriesMin } from '../limits.js';

/** Of a table that is as large as was expected and full all the same, … */
const growthBeyond = 1.25;
/** … and of a smaller one: growing moves each entry a third of a time. */
const growthWithin = 4;

export class GrowingLru<Entry extends number> {
  /** How many entries are expected; there may be more. */
  readonly #expected: number;
  #order: LRUCache<Entry, Entry> | null = null;

  constructor(expected: number) {
    this.#expected = expected;
  }

  get size(): number {
    return this.#order?.size ?? 0;
  }

  has(entry: Entry): boolean {
    return this.#order?.has(entry) ?? false;
  }

  /** Adds an entry that is not there, as the youngest. */
  add(entry: Entry): void {
    if (this.#order === null || this.#order.size === this.#order.max) this.#order = this.#larger();
    this.#order.set(entry, entry);
  }

  /** False if it is not here. */
  delete(entry: Entry): boolean {
    return this.#order?.delete(entry) ?? false;
  }

  /** Takes out the oldest. */
  pop(): Entry | undefined {
    return this.#order?.pop();
  }

  /** Not by the iterators of lru-cache, which take twice as long. */
  oldestFirst(met: (entry: Entry) => void): void {
    this.#order?.rforEach(met);
  }

  /** A copy with room for more. */
  #larger(): LRUCache<Entry, Entry> {
    const { size } = this;
    const wanted = size < this.#expected ? Math.min(this.#expected, size * growthWithin) : size * growthBeyond;
    const larger = new LRUCache<Entry, Entry>({ max: Math.max(orderEntriesMin, Math.ceil(wanted)) });
    this.oldestFirst((entry) => void larger.set(entry, entry));
    return larger;
  }
}
