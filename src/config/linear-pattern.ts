/**
 * Patterns matched in time that grows with the text and not with what was tried before, as RE2 promises: all ways
 * through a pattern are followed side by side, a character at a time (Thompson, Pike). V8 goes one way after the other,
 * and a name made for it can keep a pattern like (.*)-(.*)-(.*) busy for seconds. It takes what regular-expression.ts
 * makes of Go's syntax; the first of several ways counts, as in Go and V8.
 */
import { patternStepsMax } from '../limits.js';

type Node =
  | { readonly kind: 'character'; readonly table: Uint8Array }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'group'; readonly number: number; readonly inner: Node }
  | {
      readonly kind: 'repeat';
      readonly inner: Node;
      readonly min: number;
      readonly max: number;
      readonly isLazy: boolean;
    }
  | { readonly kind: 'place'; readonly isThere: Place };

/** Whether a text has at this place what an anchor wants. */
type Place = (text: string, at: number) => boolean;

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
    const { node, groups, names } = parse(source, flags);
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

function programOf(node: Node): Step[] {
  const steps: Step[] = [];
  write(node, steps);
  return steps;
}

function write(node: Node, steps: Step[]): void {
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

function writeChoice(parts: readonly Node[], steps: Step[]): void {
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

function writeRepeat({ inner, min, max, isLazy }: Extract<Node, { kind: 'repeat' }>, steps: Step[]): void {
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

/** What may stand for one character, an anchor, a bracket or a sign. */
const token =
  /\\u\{[0-9a-f]+\}|\\[pP]\{[^}]*\}|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\.|\[(?:\\.|[^\]\\])*\]|\(\?<!\[\\s\\S\]\)|\(\?!\[\\s\\S\]\)|\(\?:|\(\?<\w+>|./isuy;
const quantifier = /(?:([*+?])|\{(\d+)(,(\d*))?\})(\??)/y;

interface Parsed {
  readonly node: Node;
  readonly groups: number;
  readonly names: ReadonlyMap<string, number>;
}

/** Reads a pattern's source, which V8 has found good. */
function parse(source: string, flags: string): Parsed {
  const tables = new Map<string, Uint8Array>();
  const names = new Map<string, number>();
  let at = 0;
  let groups = 0;

  function choice(): Node {
    const parts = [sequence()];
    while (source[at] === '|') {
      at++;
      parts.push(sequence());
    }
    return parts.length === 1 ? parts[0] : { kind: 'choice', parts };
  }

  function sequence(): Node {
    const parts: Node[] = [];
    while (at < source.length && source[at] !== '|' && source[at] !== ')') parts.push(repeated(one()));
    return { kind: 'sequence', parts };
  }

  function one(): Node {
    token.lastIndex = at;
    const [text] = token.exec(source)!;
    at += text.length;
    const isThere = placeOf(text, flags);
    if (isThere !== null) return { kind: 'place', isThere };
    if (text === '(?:') return inBrackets(null);
    if (text.startsWith('(')) {
      groups++;
      if (text !== '(') names.set(text.slice('(?<'.length, -1), groups);
      return inBrackets(groups);
    }
    const table = tables.get(text) ?? tableOf(text, flags);
    tables.set(text, table);
    return { kind: 'character', table };
  }

  function inBrackets(number: number | null): Node {
    const inner = choice();
    at++;
    return number === null ? inner : { kind: 'group', number, inner };
  }

  function repeated(inner: Node): Node {
    quantifier.lastIndex = at;
    const found = quantifier.exec(source);
    if (found === null) return inner;
    at += found[0].length;
    const [, sign, least, comma, most, lazy] = found;
    const endless = Number.POSITIVE_INFINITY;
    const isLazy = lazy === '?';
    if (sign !== undefined) {
      return { kind: 'repeat', inner, min: sign === '+' ? 1 : 0, max: sign === '?' ? 1 : endless, isLazy };
    }
    const min = Number(least);
    const max = comma === undefined ? min : most === '' ? endless : Number(most);
    return { kind: 'repeat', inner, min, max, isLazy };
  }

  return { node: choice(), groups, names };
}

function placeOf(text: string, flags: string): Place | null {
  const isMultiline = flags.includes('m');
  switch (text) {
    case '^':
      return (all, at) => at === 0 || (isMultiline && all[at - 1] === '\n');
    case '$':
      return (all, at) => at === all.length || (isMultiline && all[at] === '\n');
    case '(?<![\\s\\S])':
      return (_, at) => at === 0;
    case '(?![\\s\\S])':
      return (all, at) => at === all.length;
    case '\\b':
      return (all, at) => isWord(all, at - 1) !== isWord(all, at);
    case '\\B':
      return (all, at) => isWord(all, at - 1) === isWord(all, at);
    default:
      return null;
  }
}

function isWord(text: string, at: number): boolean {
  return /^\w$/u.test(text[at] ?? '');
}

/** Which of the 256 characters a part for one character takes: V8 says so, of each. */
function tableOf(text: string, flags: string): Uint8Array {
  const pattern = new RegExp(`^(?:${text})(?![\\s\\S])`, flags.replace('m', ''));
  return Uint8Array.from({ length: 256 }, (_, code) => (pattern.test(String.fromCharCode(code)) ? 1 : 0));
}
