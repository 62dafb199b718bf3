/**
 * The shapes between plain numbers and the text that Prometheus reads: families, samples, and histograms whose buckets
 * were counted before the scrape. This file knows no family by name and nothing of prom-client.
 */

export type Labels = Readonly<Record<string, string>>;

/** One line of the exposition, with prom-client's property names. */
export interface Sample {
  /** The line's name if it is not the family's: `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string;
  readonly labels: Labels;
  /** Labels of all lines of one histogram. */
  readonly sharedLabels?: Labels;
  readonly value: number;
}

/** One metric family; `From` is the source of its samples. */
export interface Family<From> {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'untyped';
  /** Repeats a present family under a name that CoreDNS has given up; `-metrics-former-names=false` leaves it out. */
  readonly isFormer?: true;
  /** A method, so that the families of one plugin fit into the list of all plugins. */
  samples(from: From): readonly Sample[];
}

export function counter<From>(name: string, help: string, samples: Family<From>['samples']): Family<From> {
  return { name, help, type: 'counter', samples };
}

export function gauge<From>(name: string, help: string, samples: Family<From>['samples']): Family<From> {
  return { name, help, type: 'gauge', samples };
}

/** Marks a family that repeats the numbers of `present`, today's name, under a former one. */
export function former<From>(present: string, family: Family<From>): Family<From> {
  return { ...family, help: `${family.help} Former name of ${present}.`, isFormer: true };
}

/** A family of histograms with these buckets. */
export function histogram<From>(
  name: string,
  help: string,
  bounds: readonly number[],
  read: (from: From) => readonly (Omit<CountedHistogram, 'bounds'> & { readonly labels: Labels })[],
): Family<From> {
  const samples = (from: From): Sample[] =>
    read(from).flatMap(({ labels, ...counted }) => histogramSamples(name, labels, { ...counted, bounds }));
  return { name, help, type: 'histogram', samples };
}

/** A sample with the family's own name. */
export function sample(labels: Labels, value: number): Sample {
  return { labels, value };
}

/** A histogram's numbers: one per bound, one above all bounds, and the sum of the observations. */
interface CountedHistogram {
  readonly numbers: Float64Array;
  /** Index of the first bucket, 0 by default. */
  readonly first?: number;
  /** Upper bounds, rising. */
  readonly bounds: readonly number[];
}

export function emptyHistogram(bounds: readonly number[]): Float64Array {
  return new Float64Array(bounds.length + 2);
}

export function observe({ numbers, first = 0, bounds }: CountedHistogram, value: number): void {
  const bucket = bounds.findIndex((bound) => value <= bound);
  numbers[first + (bucket === -1 ? bounds.length : bucket)]++;
  numbers[first + bounds.length + 1] += value;
}

/** The number of observations. */
export function countOf({ numbers, first = 0, bounds }: CountedHistogram): number {
  let count = 0;
  for (let bucket = 0; bucket <= bounds.length; bucket++) count += numbers[first + bucket];
  return count;
}

/** The histogram's lines; Prometheus's buckets are cumulative, ours are not. */
export function histogramSamples(name: string, labels: Labels, histogram: CountedHistogram): Sample[] {
  const { numbers, first = 0, bounds } = histogram;
  const lines: Sample[] = [];
  let cumulative = 0;
  const line = (suffix: string, own: Labels, value: number): void => {
    lines.push({ metricName: `${name}_${suffix}`, labels: own, sharedLabels: labels, value });
  };
  for (let bucket = 0; bucket < bounds.length; bucket++) {
    cumulative += numbers[first + bucket];
    line('bucket', { le: String(bounds[bucket]) }, cumulative);
  }
  cumulative += numbers[first + bounds.length];
  line('bucket', { le: '+Inf' }, cumulative);
  line('sum', {}, numbers[first + bounds.length + 1]);
  line('count', {}, cumulative);
  return lines;
}

export interface Group<Item> {
  readonly labels: Labels;
  readonly members: Item[];
}

/**
 * The items by their labels, in the order of first appearance: two upstreams with one address, or a zone in two server
 * blocks, are one series, and a series written twice makes Prometheus refuse the scrape.
 */
export function groupByLabels<Item>(items: Iterable<Item>, labelsOf: (item: Item) => Labels): Group<Item>[] {
  const groups = new Map<string, Group<Item>>();
  for (const item of items) {
    const labels = labelsOf(item);
    const key = JSON.stringify(labels);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { labels, members: [item] });
    else group.members.push(item);
  }
  return [...groups.values()];
}

/** Adds `numbers` to `sums`, up to the shorter length. */
export function addNumbers(sums: Float64Array, numbers: Float64Array): void {
  const places = Math.min(sums.length, numbers.length);
  for (let place = 0; place < places; place++) sums[place] += numbers[place];
}

/** One sample for each set of labels: the sum of its counts. */
export function sumsOf<Item extends { readonly count: number }>(
  items: readonly Item[],
  labelsOf: (item: Item) => Labels,
): Sample[] {
  return groupByLabels(items, labelsOf).map(({ labels, members }) =>
    sample(
      labels,
      sum(members, ({ count }) => count),
    ),
  );
}

export function sum<Item>(items: readonly Item[], read: (item: Item) => number): number {
  return items.reduce((total, item) => total + read(item), 0);
}
