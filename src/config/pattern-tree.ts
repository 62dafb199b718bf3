/**
 * A pattern taken apart into characters, sequences, choices, groups, repetitions and anchors, from the JavaScript that
 * regular-expression.ts has made of it. It matches nothing; linear-pattern.ts does.
 */

/** A pattern taken apart. */
export type PatternNode =
  | { readonly kind: 'character'; readonly table: Uint8Array }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'group'; readonly number: number; readonly inner: PatternNode }
  | {
      readonly kind: 'repeat';
      readonly inner: PatternNode;
      readonly min: number;
      readonly max: number;
      readonly isLazy: boolean;
    }
  | { readonly kind: 'place'; readonly isThere: Place };

/** Whether a text has at this place what an anchor wants. */
export type Place = (text: string, at: number) => boolean;

/** What may stand for one character, an anchor, a bracket or a sign. */
const token =
  /\\u\{[0-9a-f]+\}|\\[pP]\{[^}]*\}|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\.|\[(?:\\.|[^\]\\])*\]|\(\?<!\[\\s\\S\]\)|\(\?!\[\\s\\S\]\)|\(\?:|\(\?<\w+>|./isuy;
const quantifier = /(?:([*+?])|\{(\d+)(,(\d*))?\})(\??)/y;

export interface ParsedPattern {
  readonly node: PatternNode;
  /** How many there are, the whole pattern not counted. */
  readonly groups: number;
  /** The numbers of groups that have names. */
  readonly names: ReadonlyMap<string, number>;
}

/** Reads a pattern's source, which V8 has found good. */
export function parsePattern(source: string, flags: string): ParsedPattern {
  const tables = new Map<string, Uint8Array>();
  const names = new Map<string, number>();
  let at = 0;
  let groups = 0;

  function choice(): PatternNode {
    const parts = [sequence()];
    while (source[at] === '|') {
      at++;
      parts.push(sequence());
    }
    return parts.length === 1 ? parts[0] : { kind: 'choice', parts };
  }

  function sequence(): PatternNode {
    const parts: PatternNode[] = [];
    while (at < source.length && source[at] !== '|' && source[at] !== ')') parts.push(repeated(one()));
    return { kind: 'sequence', parts };
  }

  function one(): PatternNode {
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

  function inBrackets(number: number | null): PatternNode {
    const inner = choice();
    at++;
    return number === null ? inner : { kind: 'group', number, inner };
  }

  function repeated(inner: PatternNode): PatternNode {
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
