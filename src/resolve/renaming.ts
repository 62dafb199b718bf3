/**
 * Names become others, as rules of `rewrite` say: on text, and on names in wire form with text in between. A name that
 * would not be one (an empty label, more than 255 bytes) is never made.
 */
import type { NameMatch } from '../config/changing.js';
import { linearOf } from '../config/linear-pattern.js';
import { lowerCaseName, nameToWire, wireToName } from '../dns/names.js';

/** What a lower-case presentation name becomes; the same text where it is not concerned. */
export type Renaming = (name: string) => string;

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
      return linearOf(match.pattern).exec(name) !== null;
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
export function byPattern(pattern: RegExp, to: string, name: string): string {
  const groups = linearOf(pattern).exec(name);
  if (groups === null) return name;
  // A group that took no part is empty in Go and undefined here; a number without a group stays as it is written.
  const other = to.replace(/\{(\d{1,3})\}/gu, (text, group) => {
    return Number(group) < groups.length ? (groups[Number(group)] ?? '') : text;
  });
  // A last group that reached the name's end has brought the closing dot along.
  return other.endsWith('..') ? other.slice(0, -1) : other;
}

/** Leads names that are `from`, or below it, back to `to`. */
export function backFrom(from: string, to: string): Renaming {
  return (name) => {
    if (name === from) return to;
    return name.endsWith(`.${from}`) ? name.slice(0, -from.length) + to : name;
  };
}

/** The wire form; null for text that is no name. */
export function wireOf(name: string): Uint8Array | null {
  try {
    return nameToWire(name);
  } catch {
    return null;
  }
}

/**
 * One after the other over a name in wire form. Null where nothing changes it, and where what comes out is no name: a
 * record keeps its own then.
 */
export function overWire(renamings: readonly Renaming[]): ((name: Uint8Array) => Uint8Array | null) | null {
  if (renamings.length === 0) return null;
  // The records of an answer mostly have the same owner.
  let last = new Uint8Array(0);
  let lastBecame: Uint8Array | null = null;
  return (wire) => {
    if (Buffer.compare(wire, last) === 0) return lastBecame;
    const name = lowerCaseName(wireToName(wire, 0));
    const other = renamings.reduce((text, renaming) => renaming(text), name);
    last = new Uint8Array(wire);
    lastBecame = other === name ? null : wireOf(other);
    return lastBecame;
  };
}
