/**
 * Patterns matched in time that grows with the text and not with what was tried before, as RE2 promises: all ways
 * through a pattern are followed side by side, a character at a time (Thompson, Pike). V8 goes one way after the other,
 * and a name made for it can keep a pattern like (.*)-(.*)-(.*) busy for seconds. It takes what regular-expression.ts
 * makes of Go's syntax; the first of several ways counts, as in Go and V8.
 */
import { patternStepsMax } from '../limits.js';
import { type PatternNode, type Place, parsePattern } from './pattern-tree.js';

/** A step of the program; `to` and `or` are steps, `or` the second choice. */
type Step =
  | { readonly kind: 'character'; readonly table: Uint8Array }
  | { readonly kind: 'save'; readonly slot: number }
  | { readonly kind: 'place'; readonly isThere: Place }
  | { readonly kind: 'fork'; to: number; or: number }
  | { readonly kind: 'end' };

/** One way that is followed: its next step, and where its groups began and ended; -1 is not (yet). */
interface Way {
  readonly step: number;
  readonly places: readonly number[];
}

const compiled = new WeakMap<RegExp, LinearPattern>();

/** The pattern to be matched so; made once. Throws an Error with one sentence when it takes too many steps. */
export function linearOf(pattern: RegExp): LinearPattern {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const made = new LinearPattern(pattern);
  compiled.set(pattern, made);
  return made;
}

/** Of text outside Latin-1 no character matches anything: names as we write them are ASCII. */
export class LinearPattern {
  /** The numbers of groups that have names. */
  readonly names: ReadonlyMap<string, number>;
  readonly #program: readonly Step[];
  readonly #slots: number;
  /** At which place each step was last reached. */
  readonly #reachedAt: Int32Array;

  constructor({ source, flags }: RegExp) {
    const { node, groups, names } = parsePattern(source, flags);
    this.names = names;
    this.#program = [...programOf({ kind: 'group', number: 0, inner: node }), { kind: 'end' }];
    this.#slots = 2 * (groups + 1);
    this.#reachedAt = new Int32Array(this.#program.length);
  }

  /** The leftmost match and its groups, undefined for one that took no part; null where there is none. */
  exec(text: string): readonly (string | undefined)[] | null {
    this.#reachedAt.fill(-1);
    let found: readonly number[] | null = null;
    let ways: Way[] = [];
    for (let at = 0; at <= text.length; at++) {
      if (found === null) this.#follow(ways, 0, new Array(this.#slots).fill(-1), text, at);
      if (ways.length === 0 && found !== null) break;
      const next: Way[] = [];
      for (const { step, places } of ways) {
        const { kind, table } = this.#program[step] as { kind: Step['kind']; table: Uint8Array };
        if (kind === 'end') {
          found = places; // ways behind this one are worse
          break;
        }
        if (at < text.length && table[text.charCodeAt(at)] === 1) this.#follow(next, step + 1, places, text, at + 1);
      }
      ways = next;
    }
    return found === null ? null : groupsOf(text, found);
  }

  /** Adds the way, and all that it forks into, as far as they go without taking a character. */
  #follow(ways: Way[], step: number, places: readonly number[], text: string, at: number): void {
    if (this.#reachedAt[step] === at) return;
    this.#reachedAt[step] = at;
    const what = this.#program[step];
    if (what.kind === 'fork') {
      this.#follow(ways, what.to, places, text, at);
      this.#follow(ways, what.or, places, text, at);
    } else if (what.kind === 'save') {
      this.#follow(ways, step + 1, places.with(what.slot, at), text, at);
    } else if (what.kind === 'place') {
      if (what.isThere(text, at)) this.#follow(ways, step + 1, places, text, at);
    } else ways.push({ step, places });
  }
}

function groupsOf(text: string, places: readonly number[]): (string | undefined)[] {
  return Array.from({ length: places.length / 2 }, (_, group) => {
    const end = places[2 * group + 1];
    return end === -1 ? undefined : text.slice(places[2 * group], end);
  });
}

function programOf(node: PatternNode): Step[] {
  const steps: Step[] = [];
  write(node, steps);
  return steps;
}

function write(node: PatternNode, steps: Step[]): void {
  if (steps.length > patternStepsMax) throw new Error('it repeats too much; write it shorter.');
  switch (node.kind) {
    case 'character':
    case 'place':
      steps.push(node);
      return;
    case 'sequence':
      for (const part of node.parts) write(part, steps);
      return;
    case 'group':
      steps.push({ kind: 'save', slot: 2 * node.number });
      write(node.inner, steps);
      steps.push({ kind: 'save', slot: 2 * node.number + 1 });
      return;
    case 'choice':
      return writeChoice(node.parts, steps);
    case 'repeat':
      return writeRepeat(node, steps);
  }
}

function writeChoice(parts: readonly PatternNode[], steps: Step[]): void {
  const ends: { to: number; or: number }[] = [];
  for (const part of parts.slice(0, -1)) {
    const fork = { kind: 'fork' as const, to: steps.length + 1, or: 0 };
    steps.push(fork);
    write(part, steps);
    const end = { kind: 'fork' as const, to: 0, or: 0 };
    steps.push(end);
    ends.push(end);
    fork.or = steps.length;
  }
  write(parts[parts.length - 1], steps);
  for (const end of ends) end.to = end.or = steps.length;
}

function writeRepeat({ inner, min, max, isLazy }: Extract<PatternNode, { kind: 'repeat' }>, steps: Step[]): void {
  for (let times = 0; times < min; times++) write(inner, steps);
  if (max === Number.POSITIVE_INFINITY) {
    const again = steps.length;
    const fork = { kind: 'fork' as const, to: 0, or: 0 };
    steps.push(fork);
    write(inner, steps);
    steps.push({ kind: 'fork', to: again, or: again });
    aim(fork, again + 1, steps.length, isLazy);
    return;
  }
  const forks: { at: number; fork: { to: number; or: number } }[] = [];
  for (let times = min; times < max; times++) {
    const fork = { kind: 'fork' as const, to: 0, or: 0 };
    forks.push({ at: steps.length, fork });
    steps.push(fork);
    write(inner, steps);
  }
  for (const { at, fork } of forks) aim(fork, at + 1, steps.length, isLazy);
}

function aim(fork: { to: number; or: number }, into: number, past: number, isLazy: boolean): void {
  fork.to = isLazy ? past : into;
  fork.or = isLazy ? into : past;
}
