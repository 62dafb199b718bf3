/**
 * What is asked, as files of dnsperf's input: a name and a type per line, in the order in which they are asked. The
 * names are those of names.ts; chance is a seed, so that every run and every server is asked the same.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { namespaces, outsideName, outsideNames, podName, range, searchPath, serviceName, services } from './names.js';

/** Questions that are asked again and again, so that a warm cache answers them. */
export type Repeated = 'positive' | 'negative' | 'aaaa' | 'mix' | 'walk';

export interface QuestionFiles {
  readonly repeated: Readonly<Record<Repeated, string>>;
  /** Everything that the mix asks, each once, to fill a cache. */
  readonly mixOnce: string;
  /** So many names that are asked once each. Runs of one process must have purposes of their own. */
  once(purpose: string, count: number): string;
}

/** Writes the files of the repeated questions; those asked once are written when a run needs them. */
export function writeQuestions(folder: string): QuestionFiles {
  const write = (name: string, lines: readonly string[]): string => writeLines(folder, name, lines);
  const written = new Map<string, string>();
  const ofServices = (type: string): string[] => range(services, (number) => `${serviceName(number)} ${type}`);
  const universe = mixUniverse();
  return {
    repeated: {
      positive: write('positive', ofServices('A')),
      negative: write(
        'negative',
        range(services, (number) => `${searchedName(number)} A`),
      ),
      aaaa: write('aaaa', ofServices('AAAA')),
      // Few names asked often, many seldom: services, names that do not exist, AAAA, pods.
      mix: write('mix', zipf(universe, mixLength)),
      // Outside names and services along a pod's search path, A and AAAA of each.
      walk: write('walk', walk()),
    },
    mixOnce: write('mix-once', universe),
    once(purpose, count) {
      const name = `once-${purpose}-${count}`;
      const path = written.get(name) ?? write(name, distinctNames(purpose, count));
      written.set(name, path);
      return path;
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
