/**
 * Which of a worker's queries ask the same: one of them is asked upstream, and the others wait for its answer; and which
 * ones the main thread may be asking about. Questions are told apart by their keyed hashes; a query that has another's hash by chance gets no answer to it, and is deferred.
 */
import { deferredAgainMs, deferredRemembered, directQueriesMax } from '../limits.js';

/** After the last row. */
export const noMoreRows = -1;

export class JoinedRows {
  /** The rows that were asked, with their hashes, in no order. */
  readonly #hashes = new Int32Array(directQueriesMax);
  readonly #asked = new Int16Array(directQueriesMax);
  #count = 0;
  /** Of an asked row: its place in `#asked`. */
  readonly #placeOf = new Int16Array(directQueriesMax);
  /** The row that waits with this one. */
  readonly #next = new Int16Array(directQueriesMax).fill(noMoreRows);

  /** Rows that were asked and have not ended. */
  get asked(): number {
    return this.#count;
  }

  /** Whether a row with this hash has been asked; then this one waits with it. */
  join(row: number, hash: number): boolean {
    for (let place = 0; place < this.#count; place++) {
      if (this.#hashes[place] !== hash) continue;
      const first = this.#asked[place];
      this.#next[row] = this.#next[first];
      this.#next[first] = row;
      return true;
    }
    return false;
  }

  ask(row: number, hash: number): void {
    this.#placeOf[row] = this.#count;
    this.#asked[this.#count] = row;
    this.#hashes[this.#count] = hash;
    this.#next[row] = noMoreRows;
    this.#count++;
  }

  /** The asked row has ended; those that wait with it, the first one: `after` gives the next. */
  end(row: number): number {
    const place = this.#placeOf[row];
    this.#count--;
    const last = this.#asked[this.#count];
    this.#asked[place] = last;
    this.#hashes[place] = this.#hashes[this.#count];
    this.#placeOf[last] = place;
    return this.#next[row];
  }

  /** The row that waits behind this one, or `noMoreRows`; to be read before the row is used again. */
  after(row: number): number {
    return this.#next[row];
  }
}

/** The questions that this worker has deferred lately, by their hashes: the main thread may be asking about them. */
export class DeferredLately {
  readonly #hashes = new Int32Array(deferredRemembered);
  readonly #atMs = new Float64Array(deferredRemembered).fill(Number.NEGATIVE_INFINITY);

  add(hash: number, nowMs: number): void {
    const place = hash & (deferredRemembered - 1);
    this.#hashes[place] = hash;
    this.#atMs[place] = nowMs;
  }

  has(hash: number, nowMs: number): boolean {
    const place = hash & (deferredRemembered - 1);
    return this.#hashes[place] === hash && nowMs - this.#atMs[place] < deferredAgainMs;
  }
}
