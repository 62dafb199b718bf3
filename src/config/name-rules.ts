/**
 * What a rule of `rewrite` is about, and what becomes of a name: functions over text. A name is in lower case with its
 * closing dot; what comes out may be none.
 */
import type { NameMatch } from './config.js';
import type { Pattern } from './pattern.js';

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

/** What a name that matches becomes: its matching part is replaced, by a regex the whole. */
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

/** The text with the groups of the match in it; the name itself where there is none. */
export function byPattern(pattern: Pattern, to: string, name: string): string {
  const groups = pattern.exec(name);
  if (groups === null) return name;
  // A group that took no part is empty in Go and undefined here; a number without a group stays as it is written.
  const other = to.replace(/\{(\d{1,3})\}/gu, (text, group) => {
    return Number(group) < groups.length ? (groups[Number(group)] ?? '') : text;
  });
  // A last group that reached the name's end has brought the closing dot along.
  return other.endsWith('..') ? other.slice(0, -1) : other;
}
