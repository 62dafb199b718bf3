/**
 * `rewrite [continue|stop] FIELD …`: the query that is asked on a miss in place of the client's, and changes to the answer. A
 * block holds the same words on several lines.
 */

import { type DirectiveContext, fail, listed, nearest, warn } from '../../config/arguments.js';
import { eachOf } from '../../config/config.js';
import type { Directive } from '../../config/corefile.js';
import type { Token } from '../../config/lexer.js';
import { classNumber, rcodeNumber, typeNumber } from '../../dns/names.js';
import { rewriteRulesMax, ttlSecondsMax } from '../../limits.js';
import type { Plugin } from '../plugin.js';
import { type RewriteChange, type RewriteRule, rewritten } from './name-rules.js';
import { readMatch, readNameChange, renamedTo, splitMatch } from './read-name.js';
import { readOptionChange } from './read-option.js';
import { rewriter } from './rewriter.js';

/** Rcode bits of a header. */
const headerRcodeMax = 15;

type RuleReader = (rule: Directive, context: DirectiveContext) => RewriteChange | null;

const ruleReaders: Readonly<Record<string, RuleReader>> = {
  name: readNameChange,
  type: (rule) => numbers(rule, 'type', 'record type', typeNumber),
  class: (rule) => numbers(rule, 'class', 'class', classNumber),
  ttl: readTtl,
  rcode: readRcode,
  cname: readCname,
  edns0: readOptionChange,
};

export const rewrite: Plugin<readonly RewriteRule[]> = {
  name: 'rewrite',
  repeats: 'all',
  read: readRewrites,
  traits: (rules) =>
    rules.length === 0
      ? {}
      : { asksOtherNames: true, cachedBy: { rewrite: rules }, onward: [(question) => rewritten(rules, question)] },
  start: (rules) => (rules.length === 0 ? null : { changer: rewriter(rules) }),
};

/** All rules of a block, in order. */
function readRewrites(directives: readonly Directive[], context: DirectiveContext): readonly RewriteRule[] {
  if (directives.length > rewriteRulesMax) {
    fail(directives[rewriteRulesMax], `at most ${rewriteRulesMax} rules are allowed per server block; use patterns.`);
  }
  return eachOf(directives, (directive) => readRewrite(directive, context)).flatMap((rule) => rule ?? []);
}

/** Null for a rule that changes nothing. */
function readRewrite(directive: Directive, context: DirectiveContext): RewriteRule | null {
  const words = [...directive.arguments, ...wordsOfBlock(directive)];
  const first = words[0]?.text.toLowerCase();
  const then = first === 'continue' ? 'continue' : 'stop';
  const [field, ...rest] = first === 'continue' || first === 'stop' ? words.slice(1) : words;
  if (field === undefined) fail(directive, `expects ${listed(Object.keys(ruleReaders))}.`);
  const name = field.text.toLowerCase();
  if (name === 'answer')
    fail(directive, 'answer must follow a name rule, as in "name suffix A B answer auto".', field.at);
  if (!Object.hasOwn(ruleReaders, name)) {
    const meant = nearest(name, Object.keys(ruleReaders));
    const hint = meant === undefined ? `known: ${Object.keys(ruleReaders).join(', ')}.` : `did you mean ${meant}?`;
    fail(directive, `does not know "${field.text}"; ${hint}`, field.at);
  }
  const rule = { ...directive, at: field.at, path: `${directive.path} ${name}`, arguments: rest, block: null };
  const change = ruleReaders[name](rule, context);
  return change === null ? null : { at: directive.at, then, change };
}

function wordsOfBlock({ block }: Directive): Token[] {
  return (block ?? []).flatMap((line) => {
    if (line.block !== null) fail(line, 'takes no block; remove the { }.');
    return [{ text: line.name, at: line.at }, ...line.arguments] as Token[];
  });
}

function numbers(
  rule: Directive,
  field: 'type' | 'class',
  what: string,
  numberOf: (text: string) => number | undefined,
): RewriteChange {
  if (rule.arguments.length !== 2) fail(rule, `expects FROM TO, two names of a ${what}.`);
  const [from, to] = rule.arguments.map(
    ({ text, at }) => numberOf(text) ?? fail(rule, `"${text}" is not a ${what}.`, at),
  );
  return { field, from, to };
}

function readTtl(rule: Directive): RewriteChange {
  const { how, words } = splitMatch(rule, 2);
  if (words.length !== 2) fail(rule, 'expects [exact|prefix|suffix|substring|regex] NAME SECONDS, or MIN-MAX seconds.');
  const [name, seconds] = words;
  const [, min, dash, max] = /^(\d*)(-?)(\d*)$/u.exec(seconds.text) ?? [];
  const isRange = dash === '-';
  const minSeconds = Number(min || 0);
  const maxSeconds = isRange ? Number(max || ttlSecondsMax) : minSeconds;
  const isWritten = min !== undefined && (min !== '' || (isRange && max !== ''));
  if (!isWritten || minSeconds > maxSeconds || maxSeconds > ttlSecondsMax) {
    fail(rule, `"${seconds.text}" must be seconds, or a range of them such as 30-300, 30- or -300.`, seconds.at);
  }
  return { field: 'ttl', match: readMatch(rule, how, name), minSeconds, maxSeconds };
}

function readRcode(rule: Directive, context: DirectiveContext): RewriteChange {
  const { how, words } = splitMatch(rule, 3);
  if (words.length !== 3)
    fail(rule, 'expects [exact|prefix|suffix|substring|regex] NAME FROM TO, the last two rcodes.');
  const [name, ...rcodes] = words;
  const [from, to] = rcodes.map(
    ({ text, at }) => rcodeNumber(text) ?? fail(rule, `"${text}" is not an rcode; write one like NXDOMAIN.`, at),
  );
  if (to > headerRcodeMax) {
    fail(
      rule,
      `"${rcodes[1].text}" does not fit in a header without EDNS, which some clients lack; write another.`,
      rcodes[1].at,
    );
  }
  if (to === 0) warn(context, rule, 'makes failures look like names without records, which clients do not retry.');
  return { field: 'rcode', match: readMatch(rule, how, name), from, to };
}

function readCname(rule: Directive): RewriteChange {
  const { how, words } = splitMatch(rule, 2);
  if (words.length !== 2) fail(rule, 'expects [exact|prefix|suffix|substring|regex] FROM TO.');
  const match = readMatch(rule, how, words[0]);
  return { field: 'cname', match, to: renamedTo(rule, match, words[1]) };
}
