/**
 * The last hour as numbers, a point for every ten seconds, in memory of a fixed size: 23,040 bytes for the charts, and
 * 46,080 for the round-trip times of up to 32 upstreams. A point that is 361 points old is overwritten.
 */
import { pagePointsMax, pageUpstreamsMax } from '../limits.js';
import { answerSources, type Point, shownRcodes } from './totals.js';

/** The columns of the charts, in the order in which the page gets them. */
export const historyColumns: readonly string[] = [...answerSources, 'hitRatio', 'p50Ms', 'p99Ms', ...shownRcodes];

/** Everything with the oldest point first; null where nothing was measured. */
interface HistoryShown {
  readonly columns: readonly string[];
  /** The ends of the points: seconds since 1970. */
  readonly times: readonly number[];
  /** By column. */
  readonly values: readonly (readonly (number | null)[])[];
  /** Round-trip times in milliseconds, by upstream. */
  readonly upstreams: Readonly<Record<string, readonly (number | null)[]>>;
}

export class History {
  readonly #times = new Float64Array(pagePointsMax);
  readonly #values = historyColumns.map(() => new Float32Array(pagePointsMax));
  readonly #rttMemory = Array.from({ length: pageUpstreamsMax }, () => new Float32Array(pagePointsMax));
  /** Rows of `#rttMemory`, by upstream, the longest absent first. */
  readonly #rttOf = new Map<string, Float32Array>();
  /** All points so far. */
  #count = 0;

  get bytes(): number {
    const arrays = [this.#times, ...this.#values, ...this.#rttMemory];
    return arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** `rttMs` has the upstreams of the point, NaN for one without an answer. */
  add(atMs: number, point: Point, rttMs: ReadonlyMap<string, number>): void {
    const place = this.#count % pagePointsMax;
    this.#times[place] = atMs / 1000;
    for (const [column, value] of valuesOf(point).entries()) this.#values[column][place] = value;
    for (const row of this.#rttOf.values()) row[place] = Number.NaN;
    for (const [to, ms] of rttMs) {
      const row = this.#rowOf(to, rttMs);
      if (row !== undefined) row[place] = ms;
    }
    this.#count++;
  }

  shown(): HistoryShown {
    const read = (column: Float32Array) => this.#inOrder(column, rounded);
    return {
      columns: historyColumns,
      times: this.#inOrder(this.#times, Math.round),
      values: this.#values.map(read),
      upstreams: Object.fromEntries([...this.#rttOf].map(([to, row]) => [to, read(row)])),
    };
  }

  /** The upstream's row; one that is not among `present` makes room. Undefined if all rows are of present upstreams. */
  #rowOf(to: string, present: ReadonlyMap<string, number>): Float32Array | undefined {
    let row = this.#rttOf.get(to);
    if (row !== undefined) {
      this.#rttOf.delete(to);
    } else if (this.#rttOf.size < pageUpstreamsMax) {
      row = this.#rttMemory[this.#rttOf.size].fill(Number.NaN);
    } else {
      const gone = [...this.#rttOf.keys()].find((known) => !present.has(known));
      if (gone === undefined) return undefined;
      row = this.#rttOf.get(gone)!.fill(Number.NaN);
      this.#rttOf.delete(gone);
    }
    this.#rttOf.set(to, row);
    return row;
  }

  #inOrder<Shown>(values: Float64Array | Float32Array, show: (value: number) => Shown): Shown[] {
    const length = Math.min(this.#count, pagePointsMax);
    return Array.from({ length }, (_, index) => show(values[(this.#count - length + index) % pagePointsMax]));
  }
}

/** By column. */
export function valuesOf({ sources, hitRatio, p50Ms, p99Ms, rcodes }: Point): readonly number[] {
  return [...answerSources.map((source) => sources[source]), hitRatio, p50Ms, p99Ms, ...rcodes];
}

/** Three figures, which a chart shows; null for NaN, which JSON lacks. */
export function rounded(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(3)) : null;
}
