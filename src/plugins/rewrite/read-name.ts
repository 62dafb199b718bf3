/**
 * The names that rules of `rewrite` match, and their replacements. `exact` and `suffix` match whole names, which get closing
 * dots; the text of `prefix` and `substring` is used as written.
 */

import { fail, readPattern } from '../../config/arguments.js';
import type { Directive } from '../../config/corefile.js';
import type { Token } from '../../config/lexer.js';
import type { Pattern } from '../../config/pattern.js';
import { lowerCaseName, nameToWire } from '../../dns/names.js';
import { patternCharactersMax } from '../../limits.js';
import type { AnswerChange, NameChange, NameMatch } from './name-rules.js';

const ways = ['exact', 'prefix', 'suffix', 'substring', 'regex'] as const;
type How = NameMatch['how'];

/** The kind of match, `exact` by default, and the words behind it; without it a rule has `plain` words. */
export function splitMatch(rule: Directive, plain: number): { readonly how: How; readonly words: readonly Token[] } {
  const [first, ...rest] = rule.arguments;
  const how = ways.find((way) => way === first?.text.toLowerCase());
  if (how === undefined || rule.arguments.length === plain) return { how: 'exact', words: rule.arguments };
  return { how, words: rest };
}

export function readMatch(rule: Directive, how: How, token: Token): NameMatch {
  if (how === 'regex') return { how, pattern: patternOf(rule, token) };
  const text = lowerCaseName(token.text);
  if (text === '') fail(rule, 'the name to match is empty.', token.at);
  return { how, text: how === 'exact' || how === 'suffix' ? withClosingDot(text) : text };
}

/** The replacement in the form that this kind of rule keeps. */
export function renamedTo(rule: Directive, match: NameMatch, token: Token): string {
  const text = lowerCaseName(token.text);
  if (match.how === 'regex') return withClosingDot(checkedGroups(rule, match.pattern, token, text));
  if (match.how !== 'exact') return match.how === 'suffix' ? withClosingDot(text) : text;
  try {
    nameToWire(text);
  } catch (error) {
    fail(rule, (error as Error).message, token.at);
  }
  return withClosingDot(text);
}

/** `name [exact|prefix|suffix|substring|regex] FROM TO [answer auto|name F T|value F T …]`. */
export function readNameChange(rule: Directive): NameChange {
  const { how, words } = splitMatch(rule, 2);
  const [from, to, ...rest] = words;
  if (to === undefined) fail(rule, 'expects [exact|prefix|suffix|substring|regex] FROM TO.');
  const match = readMatch(rule, how, from);
  const answers = readAnswers(rule, rest);
  return {
    field: 'name',
    match,
    to: renamedTo(rule, match, to),
    isUndone: how === 'exact' || answers.auto,
    answers: answers.changes,
  };
}

/** `answer` begins each part, and may be omitted from the second on. */
function readAnswers(
  rule: Directive,
  words: readonly Token[],
): { readonly auto: boolean; readonly changes: readonly AnswerChange[] } {
  const changes: AnswerChange[] = [];
  let auto = false;
  let at = 0;
  if (words.length > 0 && words[0].text !== 'answer') {
    fail(rule, `"${words[0].text}" is unexpected; only "answer …" may follow.`, words[0].at);
  }
  while (at < words.length) {
    if (words[at].text === 'answer') at++;
    const [part, from, to] = words.slice(at);
    if (part === undefined) fail(rule, 'a value is missing after answer; write auto, name FROM TO or value FROM TO.');
    if (part.text === 'auto') {
      auto = true;
      at++;
    } else if (part.text === 'name' || part.text === 'value') {
      if (to === undefined) fail(rule, `answer ${part.text} expects FROM TO, a pattern and its replacement.`, part.at);
      const pattern = patternOf(rule, from);
      changes.push({
        part: part.text,
        pattern,
        to: withClosingDot(checkedGroups(rule, pattern, to, lowerCaseName(to.text))),
      });
      at += 3;
    } else fail(rule, `answer must be auto, name or value, not "${part.text}".`, part.at);
  }
  if (auto && changes.some(({ part }) => part === 'name')) {
    fail(rule, 'answer auto and answer name contradict each other; keep one of them.');
  }
  return { auto, changes };
}

function patternOf(rule: Directive, token: Token): Pattern {
  if (token.text.length > patternCharactersMax) {
    fail(rule, `a pattern may have ${patternCharactersMax} characters at most; write several rules.`, token.at);
  }
  return readPattern(token, rule);
}

/** The text; it may only use groups of the pattern. */
function checkedGroups(rule: Directive, pattern: Pattern, token: Token, text: string): string {
  for (const [group, number] of text.matchAll(/\{(\d{1,3})\}/gu)) {
    if (Number(number) > pattern.groups) {
      fail(rule, `"${token.text}" uses ${group}, but its pattern has ${pattern.groups} groups.`, token.at);
    }
  }
  return text;
}

function withClosingDot(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}
