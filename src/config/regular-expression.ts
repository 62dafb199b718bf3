/**
 * Regular expressions as Go writes them (RE2 syntax) turned into JavaScript's, because Corefiles are written for Go.
 * What the two share is copied, what JavaScript spells otherwise is respelled, and what either lacks is an error
 * rather than a pattern that means something else.
 */
import { fail } from './arguments.js';
import type { Directive } from './corefile.js';
import type { Token } from './lexer.js';
import { linearOf } from './linear-pattern.js';

/** The pattern in a directive's argument; `warn` hears of patterns that can take very long. */
export function readPattern(token: Token, directive: Directive, warn: (message: string) => void): RegExp {
  try {
    const pattern = translatePattern(token.text);
    if (repeatsRepetition(token.text)) {
      warn(
        `"${token.text}" repeats something that repeats itself, which can take very long on a name made for it; ` +
          'write it without the inner or the outer repetition.',
      );
    }
    return pattern;
  } catch (error) {
    return fail(directive, `"${token.text}" is no pattern we can use: ${(error as Error).message}`, token.at);
  }
}

/**
 * The pattern in a directive's argument, for `linearOf`: clients choose the names that it is matched with, and none of
 * them is to take long.
 */
export function readNamePattern(token: Token, directive: Directive): RegExp {
  const pattern = readPattern(token, directive, () => {});
  try {
    linearOf(pattern);
  } catch (error) {
    return fail(directive, `"${token.text}" is no pattern we can use: ${(error as Error).message}`, token.at);
  }
  return pattern;
}

/** The JavaScript pattern that matches what RE2 would, with flag u. Throws an Error with one sentence. */
export function translatePattern(go: string): RegExp {
  const flags = /^\(\?([a-zA-Z-]*)\)/u.exec(go);
  const body = flags === null ? go : go.slice(flags[0].length);
  const source = translate(body);
  try {
    return new RegExp(source, `${translateFlags(flags?.[1] ?? '')}u`);
  } catch (error) {
    const reason = (error as Error).message.replace(/^.*\/[a-z]*: /su, '');
    throw new Error(`${reason}.`);
  }
}

function translateFlags(flags: string): string {
  const unknown = /[^ims]/u.exec(flags);
  if (unknown === null) return [...new Set(flags)].join('');
  throw new Error(`the flag (?${unknown[0]}) is not supported; only (?i), (?m) and (?s) at the start are.`);
}

interface Step {
  readonly source: string;
  /** Where the next part starts. */
  readonly end: number;
}

function translate(go: string): string {
  let source = '';
  let at = 0;
  while (at < go.length) {
    const step = nextPart(go, at);
    source += step.source;
    at = step.end;
  }
  return source;
}

function nextPart(go: string, at: number): Step {
  const character = String.fromCodePoint(go.codePointAt(at)!);
  if (character === '\\') return escapeSequence(go, at, outside);
  if (character === '[') return characterClass(go, at);
  if (character === '(') return group(go, at);
  if (character === '{') {
    const repeat = /^\{\d+(,\d*)?\}/u.exec(go.slice(at))?.[0];
    return repeat === undefined ? { source: '\\{', end: at + 1 } : { source: repeat, end: at + repeat.length };
  }
  if (character === '}' || character === ']') return { source: `\\${character}`, end: at + 1 };
  return { source: character, end: at + character.length };
}

function group(go: string, at: number): Step {
  if (go[at + 1] !== '?') return { source: '(', end: at + 1 };
  const named = /^\(\?P?<([A-Za-z0-9_]+)>/u.exec(go.slice(at));
  if (named !== null) return { source: `(?<${named[1]}>`, end: at + named[0].length };
  if (go.startsWith('(?:', at)) return { source: '(?:', end: at + 3 };
  if (/^\(\?<?[=!]/u.test(go.slice(at))) throw new Error('Go has no (?= ) and (?! ); write the pattern without them.');
  throw new Error(
    `the group "${go.slice(at, at + 4)}" is not supported; flags like (?i) may only stand at the very start.`,
  );
}

/** What an escape may mean here; a class is part of a larger `[…]` and cannot bring its own brackets. */
interface Place {
  readonly blank: string;
  readonly notBlank: string;
  readonly isClass: boolean;
}
const goBlank = '\\t\\n\\f\\r ';
const outside: Place = { blank: `[${goBlank}]`, notBlank: `[^${goBlank}]`, isClass: false };
const inside: Place = { blank: goBlank, notBlank: '\\S', isClass: true };

function escapeSequence(go: string, at: number, place: Place): Step {
  const rest = go.slice(at);
  const letter = go[at + 1];
  if (letter === undefined) throw new Error('it ends in a lone backslash.');
  const quoted = /^\\Q(.*?)(\\E|$)/su.exec(rest);
  if (quoted !== null)
    return {
      source: [...quoted[1]].map((character) => literal(character, place)).join(''),
      end: at + quoted[0].length,
    };
  const code = /^\\x([0-9A-Fa-f]{2})|^\\x\{([0-9A-Fa-f]{1,6})\}|^\\(0[0-7]{0,2}|[1-7][0-7]{2})/u.exec(rest);
  if (code !== null) {
    const value = code[3] === undefined ? Number.parseInt(code[1] ?? code[2], 16) : Number.parseInt(code[3], 8);
    return { source: `\\u{${value.toString(16)}}`, end: at + code[0].length };
  }
  const property = /^\\([pP])(?:\{(\^?)(\w+)\}|(\w))/u.exec(rest);
  if (property !== null) return { source: unicodeProperty(property), end: at + property[0].length };
  const end = at + 2;
  if (letter === 's') return { source: place.blank, end };
  if (letter === 'S') return { source: place.notBlank, end };
  if ('dDwWtnrfv'.includes(letter)) return { source: `\\${letter}`, end };
  if (letter === 'a') return { source: '\\x07', end };
  if (!place.isClass) {
    if (letter === 'b' || letter === 'B') return { source: `\\${letter}`, end };
    if (letter === 'A') return { source: '(?<![\\s\\S])', end };
    if (letter === 'z') return { source: '(?![\\s\\S])', end };
    if (letter === 'E') return { source: '', end };
  }
  if (/[\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e ]/u.test(letter)) return { source: literal(letter, place), end };
  throw new Error(`"\\${letter}" has no meaning in Go's patterns; take the backslash out.`);
}

const generalCategories = /^(C[cfos]?|L[mlotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?)$/u;

function unicodeProperty([, letter, not, long, short]: RegExpExecArray): string {
  const name = long ?? short;
  const isNegated = (letter === 'P') !== (not === '^');
  const value = generalCategories.test(name) ? name : `Script=${name}`;
  return `\\${isNegated ? 'P' : 'p'}{${value}}`;
}

const posixClasses: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7f',
  blank: '\\t ',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`\\{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

function characterClass(go: string, from: number): Step {
  let at = from + 1;
  let source = '[';
  if (go[at] === '^') {
    source += '^';
    at++;
  }
  for (let isFirst = true; ; isFirst = false) {
    if (at >= go.length) throw new Error('a [ is never closed; add its ].');
    if (go[at] === ']' && !isFirst) return { source: `${source}]`, end: at + 1 };
    const posix = /^\[:(\^?)(\w+):\]/u.exec(go.slice(at));
    if (posix !== null) {
      if (posix[1] === '^' || !Object.hasOwn(posixClasses, posix[2])) {
        throw new Error(`the class ${posix[0]} is not supported; write its characters.`);
      }
      source += posixClasses[posix[2]];
      at += posix[0].length;
      continue;
    }
    const step = go[at] === '\\' ? escapeSequence(go, at, inside) : classCharacter(go, at);
    source += step.source;
    at = step.end;
  }
}

function classCharacter(go: string, at: number): Step {
  const character = String.fromCodePoint(go.codePointAt(at)!);
  const isRange = character === '-';
  return { source: isRange ? rangeDash(go, at) : literal(character, inside), end: at + character.length };
}

/** A dash between two characters makes a range; beside a class (`[\w-.]`) or a bracket it is itself, as in Go. */
function rangeDash(go: string, at: number): string {
  const before = go.slice(0, at);
  const isBesideClass =
    /\\[dDwWsSpP]$|\\[pP]\{\^?\w+\}$|:\]$/u.test(before) || /^-(\\[dDwWsSpP]|\[:)/u.test(go.slice(at));
  const isBesideBracket = /(^|[^\\])\[\^?$/u.test(before) || go[at + 1] === ']';
  return isBesideClass || isBesideBracket ? '\\-' : '-';
}

/** A character that stands for itself; outside a class a dash must not be escaped. */
function literal(character: string, { isClass }: Place): string {
  const isSpecial = isClass ? /[[\\\]^-]/u.test(character) : /[$()*+./?[\\\]^{|}]/u.test(character);
  return isSpecial ? `\\${character}` : character;
}

/** Whether a group that can repeat without end holds something that can: `(a+)+` takes exponential time here. */
function repeatsRepetition(go: string): boolean {
  const bare = go.replace(/\\Q.*?(\\E|$)|\\./gsu, 'x').replace(/\[\^?\]?[^\]]*\]/gu, 'x');
  const opened: boolean[] = [];
  let holds = false;
  for (let at = 0; at < bare.length; at++) {
    if (bare[at] === '(') {
      opened.push(holds);
      holds = false;
    } else if (bare[at] === ')') {
      const isRepeated = /^(?:[*+]|\{\d+,\})/u.test(bare.slice(at + 1));
      if (isRepeated && holds) return true;
      holds = (opened.pop() ?? false) || holds || isRepeated;
    } else if (bare[at] === '*' || bare[at] === '+' || /^\{\d+,\}/u.test(bare.slice(at))) {
      holds = true;
    }
  }
  return false;
}
