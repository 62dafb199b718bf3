/**
 * The regular expressions of a Corefile. They are written for Go's RE2, and re2js matches in linear time like that. Clients
 * choose the names that patterns are matched with, and V8's backtracking takes seconds for a malicious name.
 */
import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';
import { patternStepsMax } from '../limits.js';

/** Loaded with the first pattern, since few Corefiles have one and loading takes 10 ms and 2 MB. */
let library: { readonly RE2JS: typeof RE2JS } | null = null;

export class Pattern {
  /** As written in the Corefile. */
  readonly source: string;
  /** Their number, without the whole match. */
  readonly groups: number;
  /** The numbers of named groups. */
  readonly names: ReadonlyMap<string, number>;
  readonly #matcher: ReturnType<RE2JS['re2']>;

  /** Throws an Error with one sentence if Go would refuse the pattern, or if it takes too many steps. */
  constructor(source: string) {
    library ??= createRequire(import.meta.url)('re2js') as { readonly RE2JS: typeof RE2JS };
    const compiled = compile(library, source);
    if (compiled.programSize() > patternStepsMax) throw new Error('too many repetitions; shorten it.');
    this.source = source;
    this.groups = compiled.groupCount();
    this.names = new Map(Object.entries(compiled.namedGroups()));
    this.#matcher = compiled.re2();
  }

  /** The leftmost match and its groups, undefined for unmatched ones; null without a match. */
  exec(text: string): readonly (string | undefined)[] | null {
    // With groups: without them re2js keeps an automaton, which grows to 8 MB with the texts that it has matched.
    const [isThere, places] = this.#matcher.matchWithGroup(text, 0, text.length, anywhere, this.groups + 1);
    return isThere ? groupsOf(text, places as readonly number[]) : null;
  }

  test(text: string): boolean {
    return this.exec(text) !== null;
  }

  toJSON(): string {
    return this.source;
  }
}

/** re2js: UNANCHORED. */
const anywhere = 0;

function compile({ RE2JS: regex }: { readonly RE2JS: typeof RE2JS }, source: string): RE2JS {
  try {
    return regex.compile(source);
  } catch (error) {
    throw new Error(`${(error as Error).message.replace('error parsing regexp: ', '')}.`);
  }
}

function groupsOf(text: string, places: readonly number[]): (string | undefined)[] {
  return Array.from({ length: places.length / 2 }, (_, group) => {
    const from = places[2 * group];
    return from < 0 ? undefined : text.slice(from, places[2 * group + 1]);
  });
}
