/**
 * The regular expressions of a Corefile. They are written for Go's RE2, and re2js matches them as that does: in time that grows
 * with the text and not with what was tried before. Clients choose the names that patterns are matched with, and V8 goes one
 * way through a pattern after the other, which takes seconds for a name made for it.
 */
import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';
import { patternStepsMax } from '../limits.js';

/** Few Corefiles have a pattern, and loading takes 10 ms and 2 MB. */
let library: { readonly RE2JS: typeof RE2JS } | null = null;

export class Pattern {
  /** As it is written in the Corefile. */
  readonly source: string;
  /** How many it has, the whole pattern not counted. */
  readonly groups: number;
  /** The numbers of groups that have names. */
  readonly names: ReadonlyMap<string, number>;
  readonly #matcher: ReturnType<RE2JS['re2']>;

  /** Throws an Error with one sentence for what is no pattern to Go, or takes too many steps. */
  constructor(source: string) {
    library ??= createRequire(import.meta.url)('re2js') as { readonly RE2JS: typeof RE2JS };
    const compiled = compile(library, source);
    if (compiled.programSize() > patternStepsMax) throw new Error('too many repetitions; shorten it.');
    this.source = source;
    this.groups = compiled.groupCount();
    this.names = new Map(Object.entries(compiled.namedGroups()));
    this.#matcher = compiled.re2();
  }

  /** The leftmost match and its groups, undefined for one that took no part; null where there is none. */
  exec(text: string): readonly (string | undefined)[] | null {
    // With groups, as without them an automaton is kept, which grows to 8 MB with what it has seen.
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
