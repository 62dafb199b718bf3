/**
 * What is asked, as files of dnsperf's input: a name and a type per line, in the order in which they are asked. The
 * names are those of names.ts; chance is a seed, so that every run and every server is asked the same.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { namespaces, outsideName, outsideNames, podName, range, searchPath, serviceName, services } from './names.js';

export interface Questions {
  /** Everything that is to be in the cache, asked once and first; null where warming up does it. */
  readonly fill: string | null;
  /** Asked before the measurement until the code is compiled. */
  readonly warmUp: string;
  readonly measured: string;
  /** Of warming up and of measuring: what may be asked but once is done there. */
  readonly atEnd: 'again' | 'done';
}

export interface QuestionFiles {
  readonly positive: Questions;
  readonly negative: Questions;
  readonly aaaa: Questions;
  /** Few names asked often, many seldom: services, names that do not exist, AAAA, pods. */
  readonly mix: Questions;
  /** Outside names and services along a pod's search path, A and AAAA of each. */
  readonly walk: Questions;
  /** Every name once: nothing is asked twice of one process. */
  readonly distinct: Questions;
}

/** More than any server answers in a second over one upstream; dnsperf stops where they end. */
const distinctPerSecond = 60_000;

/** Writes the files for runs of so many seconds. */
export function writeQuestions(
  folder: string,
  seconds: { readonly warmUp: number; readonly measured: number },
): QuestionFiles {
  const write = (name: string, lines: readonly string[]): string => writeLines(folder, name, lines);
  const same = (name: string, lines: readonly string[]): Questions => {
    const path = write(name, lines);
    return { fill: null, warmUp: path, measured: path, atEnd: 'again' };
  };
  const distinct = (word: string, count: number): string => write(word, distinctNames(word, Math.ceil(count)));
  const universe = mixUniverse();
  return {
    positive: same(
      'positive',
      range(services, (number) => `${serviceName(number)} A`),
    ),
    negative: same(
      'negative',
      range(services, (number) => `${searchedName(number)} A`),
    ),
    aaaa: same(
      'aaaa',
      range(services, (number) => `${serviceName(number)} AAAA`),
    ),
    mix: { ...same('mix', zipf(universe, mixLength)), fill: write('mix-all', universe) },
    walk: same('walk', walk()),
    distinct: {
      fill: null,
      warmUp: distinct('warm', seconds.warmUp * distinctPerSecond),
      measured: distinct('cold', seconds.measured * distinctPerSecond),
      atEnd: 'done',
    },
  };
}

/** Writes one file of questions and returns where it is. */
export function writeLines(folder: string, name: string, lines: readonly string[]): string {
  const path = join(folder, `${name}.txt`);
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

/** So many names that nobody else asks. */
export function distinctNames(word: string, count: number): string[] {
  return range(count, (number) => `${podName(word, number)} A`);
}

/** An outside name with the first suffix of a pod's search path, which is tried before the name itself. */
function searchedName(number: number): string {
  return `${outsideName(number)}.${searchPath(number % namespaces)[0]}`;
}

/** Below dnsmasq's advice of 10,000 entries at most, so that nobody has to throw anything out. */
const mixPods = 5000;
const mixLength = 100_000;

/** Everything that the mix asks, the most wanted first: of ten questions four are denied, as in a real cluster. */
function mixUniverse(): string[] {
  const hot = range(services, (number) => [
    `${serviceName(number)} A`,
    `${searchedName(number)} A`,
    ...(number % 2 === 0 ? [`${serviceName(number)} AAAA`] : []),
  ]).flat();
  return [...hot, ...distinctNames('mix', mixPods)];
}

/** A sequence in which the n-th of `lines` comes with a frequency of 1/n. */
export function zipf(lines: readonly string[], length: number, seed = 1): string[] {
  const sums: number[] = [];
  for (let rank = 1, sum = 0; rank <= lines.length; rank++) {
    sum += 1 / rank;
    sums.push(sum);
  }
  const random = seededRandom(seed);
  return range(length, () => lines[firstAbove(sums, random() * sums[sums.length - 1])]);
}

/** The index of the first of the ascending `sums` that is above `value`. */
function firstAbove(sums: readonly number[], value: number): number {
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sums[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What resolvers with `search` and ndots:5 ask: each candidate with A and AAAA, until one has an address. */
function walk(): string[] {
  const candidates = range(outsideNames, (number) => {
    const name = outsideName(number);
    const service = serviceName(number);
    return [...searchPath(number % namespaces).map((suffix) => `${name}.${suffix}`), name, service];
  }).flat();
  return candidates.flatMap((name) => [`${name} A`, `${name} AAAA`]);
}
