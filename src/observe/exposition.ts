/**
 * From plain numbers to the lines that Prometheus reads: families, samples, and histograms whose buckets were counted
 * before the scrape. Labels are text from the start, because most of them are the same at every scrape: a line is a few
 * texts put together. This file knows no family by name and nothing of prom-client.
 */

/** Labels as a line has them, without braces: `server="dns://10.0.0.1:53",zone="."`; empty for none. */
export type Labels = string;

/** The text of these labels, values escaped. */
export function labelText(labels: Readonly<Record<string, string>>): Labels {
  const escaped = (value: string): string => (/[\\\n"]/.test(value) ? escapeValue(value) : value);
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');
}

function escapeValue(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');
}

export function joinLabels(first: Labels, second: Labels): Labels {
  if (first === '' || second === '') return first + second;
  return `${first},${second}`;
}

/** CoreDNS labels series with the view that they belong to; zerohop has no views. */
export const noView: Labels = 'view=""';

/** One line of the exposition. */
export interface Sample {
  /** What follows the family's name. */
  readonly suffix: '' | '_bucket' | '_sum' | '_count';
  readonly labels: Labels;
  readonly value: number;
}

/** One metric family; `From` is the source of its samples. */
export interface Family<From> {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'untyped';
  /** Repeats a present family under a name that CoreDNS has given up; `-metrics-former-names=false` leaves it out. */
  readonly isFormer?: true;
  /** A method, so that the families of one plugin fit into the list of all plugins. A long family makes them one by one. */
  samples(from: From): Iterable<Sample>;
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
  read: (from: From) => Iterable<LabelledHistogram>,
): Family<From> {
  const limits = [...bounds, '+Inf'].map((bound) => `le="${bound}"`);
  return {
    name,
    help,
    type: 'histogram',
    samples: (from) => inParts(read(from), (one) => histogramSamples(one, limits)),
  };
}

/** The samples of each item in turn, made when the reader gets there. */
export function* inParts<Item>(items: Iterable<Item>, samples: (item: Item) => readonly Sample[]): Iterable<Sample> {
  for (const item of items) yield* samples(item);
}

/** A sample with the family's own name. */
export function sample(labels: Labels, value: number): Sample {
  return { suffix: '', labels, value };
}

/** The line of a sample. */
export function sampleLine(name: string, { suffix, labels, value }: Sample): string {
  return labels === ''
    ? `${name}${suffix} ${numberText(value)}\n`
    : `${name}${suffix}{${labels}} ${numberText(value)}\n`;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return `${value}`;
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? '+Inf' : '-Inf';
}

/** A histogram's numbers: one per bound, one above all bounds, and the sum of the observations. */
interface HistogramNumbers {
  readonly numbers: Float64Array;
  /** Index of the first bucket, 0 by default. */
  readonly first?: number;
}

interface CountedHistogram extends HistogramNumbers {
  /** Upper bounds, rising. */
  readonly bounds: readonly number[];
}

interface LabelledHistogram extends HistogramNumbers {
  readonly labels: Labels;
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

/** The histogram's lines; Prometheus's buckets are cumulative, ours are not. `limits` has the label of each bucket. */
function histogramSamples({ labels, numbers, first = 0 }: LabelledHistogram, limits: readonly Labels[]): Sample[] {
  const lines: Sample[] = [];
  let cumulative = 0;
  for (let bucket = 0; bucket < limits.length; bucket++) {
    cumulative += numbers[first + bucket];
    lines.push({ suffix: '_bucket', labels: joinLabels(limits[bucket], labels), value: cumulative });
  }
  lines.push({ suffix: '_sum', labels, value: numbers[first + limits.length] });
  lines.push({ suffix: '_count', labels, value: cumulative });
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
    const group = groups.get(labels);
    if (group === undefined) groups.set(labels, { labels, members: [item] });
    else group.members.push(item);
  }
  return [...groups.values()];
}

/** `make`, whose result for an object is kept as long as the object: for lists that stay the same until a reload. */
export function remembered<Key extends object, Made>(make: (key: Key) => Made): (key: Key) => Made {
  const made = new WeakMap<Key, Made>();
  return (key) => {
    const known = made.get(key) ?? make(key);
    made.set(key, known);
    return known;
  };
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
