/**
 * Readers of a directive's arguments and block. Each returns the value, or throws a ConfigError that names the directive,
 * what was expected and what to change.
 */
import { isInZone, rcodeNumber } from '../dns/names.js';
import { canonicalAddress, formatEndpoint, meantEndpoint } from './addresses.js';
import { ConfigError, eachOf, type Position } from './config.js';
import type { Directive } from './corefile.js';
import { parseDuration } from './durations.js';
import type { ConfigFiles } from './imports.js';
import type { Token } from './lexer.js';
import { Pattern } from './pattern.js';

/** The environment of a directive. */
export interface DirectiveContext {
  /** The zones of the server block. */
  readonly zones: readonly string[];
  readonly files: ConfigFiles;
  /** The addresses of a network interface; undefined if no interface has this name. */
  interfaceAddresses(name: string): readonly string[] | undefined;
  hostName?(): string;
  /** A sentence about an unwise format of `log`, or null; observe/ knows its fields. */
  checkLogFormat?(format: string): string | null;
  warn(at: Position, message: string): void;
}

export function fail(directive: Directive, sentence: string, at: Position = directive.at): never {
  throw new ConfigError(at, `${directive.path}: ${sentence}`);
}

export function warn(context: DirectiveContext, directive: Directive, sentence: string): void {
  context.warn(directive.at, `${directive.path}: ${sentence}`);
}

/** All arguments, `least` to `most` of them; `expected` describes them in the error. */
export function words(directive: Directive, least: number, most: number, expected: string): readonly Token[] {
  const given = directive.arguments;
  if (given.length < least) {
    fail(directive, `expects ${expected}, but has ${given.length === 0 ? 'none' : 'too few'}.`);
  }
  if (given.length > most) {
    const surplus = given[most];
    fail(directive, `expects ${expected}; remove "${surplus.text}".`, surplus.at);
  }
  return given;
}

/** At least one argument. */
export function someWords(directive: Directive, expected: string): readonly Token[] {
  return words(directive, 1, Number.POSITIVE_INFINITY, expected);
}

export function oneWord(directive: Directive, expected: string): Token {
  return words(directive, 1, 1, expected)[0];
}

export function noWords(directive: Directive): void {
  words(directive, 0, 0, 'no arguments');
}

export function noBlock(directive: Directive): void {
  if (directive.block !== null) fail(directive, 'takes no block; remove the { }.');
}

/** A whole number from `least` to `most`. */
export function wholeNumber(directive: Directive, token: Token, what: string, least: number, most: number): number {
  const value = /^[+-]?\d{1,15}$/u.test(token.text) ? Number(token.text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    fail(directive, `${what} must be a whole number from ${least} to ${most}, not "${token.text}".`, token.at);
  }
  return value;
}

/** Milliseconds; a number without unit is seconds. */
export function durationMs(directive: Directive, token: Token, what: string): number {
  try {
    return parseDuration(token.text);
  } catch (error) {
    return fail(directive, `${what} must be a duration such as 30s or 500ms: ${(error as Error).message}`, token.at);
  }
}

/** One of a closed set of words. */
export function oneOf<Word extends string>(
  directive: Directive,
  token: Token,
  what: string,
  choices: readonly Word[],
): Word {
  const chosen = choices.find((choice) => choice === token.text);
  return chosen ?? fail(directive, `${what} must be ${listed(choices)}, not "${token.text}".`, token.at);
}

export function rcode(directive: Directive, token: Token): number {
  const number = rcodeNumber(token.text);
  return (
    number ??
    fail(directive, `"${token.text}" is not an rcode; write one like NXDOMAIN, SERVFAIL or REFUSED.`, token.at)
  );
}

/** Calls the reader of each line of the block, also behind a line with an error. */
export function eachOption(directive: Directive, readers: Readonly<Record<string, (option: Directive) => void>>): void {
  eachOf(directive.block ?? [], (option) => {
    if (!Object.hasOwn(readers, option.name)) {
      const known = Object.keys(readers);
      const meant = nearest(option.name, known);
      const hint = meant === undefined ? `known: ${known.join(', ')}` : `did you mean ${meant}?`;
      fail(directive, `does not know "${option.name}"; ${hint}${meant === undefined ? '.' : ''}`, option.at);
    }
    readers[option.name](option);
  });
}

/** A reader for an option, which sets `key` of `draft` to the value of `read`. */
export function set<Draft, Key extends keyof Draft>(
  draft: Draft,
  key: Key,
  read: (option: Directive) => Draft[Key],
): (option: Directive) => void {
  return (option) => {
    draft[key] = read(option);
  };
}

/** A reader for an option without arguments, which sets `key` of `draft` to true. */
export function switchOn<Key extends string>(draft: Record<Key, boolean>, key: Key): (option: Directive) => void {
  return set(draft, key, (option) => {
    noWords(option);
    return true;
  });
}

/** The only argument, in milliseconds. */
export function oneDurationMs(option: Directive, what: string): number {
  return durationMs(option, oneWord(option, 'a duration'), what);
}

/** A reader for an option that is known and not supported. */
export function unsupported(reason: string): (option: Directive) => void {
  return (option) => fail(option, `is not supported yet; ${reason}`);
}

/** Warns of zones that have no name in common with the block's. */
export function warnOfForeignZones(context: DirectiveContext, directive: Directive, zones: readonly string[]): void {
  for (const zone of zones) {
    if (context.zones.some((own) => isInZone(zone, own) || isInZone(own, zone))) continue;
    const block = context.zones.join(' ');
    warn(context, directive, `has no effect: no name of ${zone} reaches this server block (${block}).`);
  }
}

/** Warns of an IPv6 address that ends like one with the usual port (`fd00::10:53`), which needs brackets. */
export function warnOfMissingBrackets(
  context: DirectiveContext,
  directive: Directive,
  { text, port }: { readonly text: string; readonly port: number },
): void {
  const meant = meantEndpoint(text, 0);
  if (meant?.port !== port || canonicalAddress(text) === undefined) return;
  const { address } = meant;
  const remedy = directive.name === 'bind' ? `"bind ${address}"` : formatEndpoint(meant);
  warn(context, directive, `"${text}" is an IPv6 address; for port ${port} of ${address} write ${remedy}.`);
}

/** A sentence to add if the word is one of node-cache's placeholders. */
export function aboutPlaceholder(text: string): string {
  return /__[A-Z]+__/u.test(text)
    ? ' It is a placeholder that node-cache replaces when it writes the Corefile from its template.'
    : '';
}

/** `a, b or c`. */
export function listed(choices: readonly string[]): string {
  return choices.length < 2 ? choices.join('') : `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
}

export function readPattern(token: Token, directive: Directive): Pattern {
  try {
    return new Pattern(token.text);
  } catch (error) {
    return fail(directive, `"${token.text}" is not a usable pattern: ${(error as Error).message}`, token.at);
  }
}

/** The word of `known` that takes the fewest edits to reach, if at most a third of its letters differ. */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestEdits = Number.POSITIVE_INFINITY;
  const wanted = written.slice(0, wordLengthMax).toLowerCase();
  for (const word of known) {
    const edits = editsBetween(wanted, word.toLowerCase());
    if (edits < bestEdits && edits <= Math.max(1, Math.floor(word.length / 3))) {
      best = word;
      bestEdits = edits;
    }
  }
  return best;
}

/** Bounds the table below; longer words are no typing errors. */
const wordLengthMax = 64;

/** Insertions, deletions, changes and swaps of neighbours (optimal string alignment). */
function editsBetween(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const change = from[row - 1] === to[column - 1] ? 0 : 1;
      let edits = Math.min(last[column] + 1, current[column - 1] + 1, last[column - 1] + change);
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        edits = Math.min(edits, beforeLast[column - 2] + 1);
      }
      current.push(edits);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length];
}
