/**
 * The rules of `rewrite` and their effect on names, as text: in lower case with the closing dot. A result may be no valid name.
 */

import type { NamedQuestion, Position } from '../../config/config.js';
import type { Pattern } from '../../config/pattern.js';
import { lowerCaseName, wireOf, wireToName } from '../../dns/names.js';

export type NameMatch =
  | { readonly how: 'exact' | 'prefix' | 'suffix' | 'substring'; readonly text: string }
  | { readonly how: 'regex'; readonly pattern: Pattern };

export interface RewriteRule {
  readonly at: Position;
  /** Whether later rules are tried after a match. */
  readonly then: 'stop' | 'continue';
  readonly change: RewriteChange;
}

export type RewriteChange =
  | NameChange
  | { readonly field: 'type' | 'class'; readonly from: number; readonly to: number }
  | { readonly field: 'ttl'; readonly match: NameMatch; readonly minSeconds: number; readonly maxSeconds: number }
  | { readonly field: 'rcode'; readonly match: NameMatch; readonly from: number; readonly to: number }
  | { readonly field: 'cname'; readonly match: NameMatch; readonly to: string }
  | OptionChange;

export interface NameChange {
  readonly field: 'name';
  readonly match: NameMatch;
  /** The replacement of the match; for a regex of the whole name, with `{1}` for its groups. */
  readonly to: string;
  /** The answer gets the original name back. */
  readonly isUndone: boolean;
  readonly answers: readonly AnswerChange[];
}

/** Renames owners in answers, or the names in their data. */
export interface AnswerChange {
  readonly part: 'name' | 'value';
  readonly pattern: Pattern;
  readonly to: string;
}

export interface OptionChange {
  readonly field: 'edns0';
  readonly action: 'set' | 'append' | 'replace' | 'unset';
  readonly code: number;
  readonly data: OptionData;
}

export const optionVariables = [
  'qname',
  'qtype',
  'client_ip',
  'client_port',
  'protocol',
  'server_ip',
  'server_port',
] as const;

export type OptionData =
  | { readonly kind: 'bytes'; readonly bytes: readonly number[] }
  | { readonly kind: 'variable'; readonly name: (typeof optionVariables)[number] }
  /** The client's network, this many bits of its address (RFC 7871). */
  | { readonly kind: 'subnet'; readonly v4Bits: number; readonly v6Bits: number };

/** The query that the rules make of this one; null if its name becomes invalid. */
export function rewritten(rules: readonly RewriteRule[], { name, type }: NamedQuestion): NamedQuestion | null {
  const question = { name, type };
  for (const { change, then } of rules) {
    let isAbout = false;
    switch (change.field) {
      case 'name': {
        isAbout = matches(change.match, question.name);
        const other = isAbout ? validName(renamed(change.match, change.to, question.name)) : question.name;
        if (other === null) return null;
        question.name = other;
        break;
      }
      case 'type':
        isAbout = question.type === change.from;
        if (isAbout) question.type = change.to;
        break;
      case 'ttl':
      case 'rcode':
        isAbout = matches(change.match, question.name);
        break;
      case 'edns0':
        isAbout = change.action === 'set';
        break;
    }
    if (isAbout && then === 'stop') break;
  }
  return question;
}

function validName(text: string): string | null {
  const wire = wireOf(text);
  return wire === null ? null : lowerCaseName(wireToName(wire, 0));
}

/** Whether the rule is about the name. */
export function matches(match: NameMatch, name: string): boolean {
  switch (match.how) {
    case 'exact':
      return name === match.text;
    case 'prefix':
      return name.startsWith(match.text);
    case 'suffix':
      return name.endsWith(match.text);
    case 'substring':
      return name.includes(match.text);
    case 'regex':
      return match.pattern.test(name);
  }
}

/** The name after a match: the matching part is replaced, for a regex the whole name. */
export function renamed(match: NameMatch, to: string, name: string): string {
  switch (match.how) {
    case 'exact':
      return to;
    case 'prefix':
      return to + name.slice(match.text.length);
    case 'suffix':
      return name.slice(0, -match.text.length) + to;
    case 'substring':
      return name.replaceAll(match.text, () => to);
    case 'regex':
      return byPattern(match.pattern, to, name);
  }
}

/** The text with the match's groups; the name itself without a match. */
export function byPattern(pattern: Pattern, to: string, name: string): string {
  const groups = pattern.exec(name);
  if (groups === null) return name;
  // In Go a group without a match is empty; a number without a group stays as written.
  const other = to.replace(/\{(\d{1,3})\}/gu, (text, group) => {
    return Number(group) < groups.length ? (groups[Number(group)] ?? '') : text;
  });
  // A last group that reaches the name's end includes the closing dot.
  return other.endsWith('..') ? other.slice(0, -1) : other;
}
