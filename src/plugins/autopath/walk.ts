/**
 * `autopath`: where a name ends in the first domain of a search path and is not there, the rest of the path is walked
 * here, and the client gets an alias to the name that is. It would ask for the same names one after the other itself;
 * where none of them is there, or one cannot be had, it gets what its own question has, and does.
 */

import type { Position } from '../../config/config.js';
import { isInZone, lowerCaseName, wireOf, wireToName } from '../../dns/names.js';
import { questionForName } from '../../dns/query.js';
import { encodeAnswerTo } from '../../dns/records.js';
import { fixedBytes, ownerEnd, sectionsOf } from '../../dns/sections.js';
import {
  copyOf,
  messageRcode,
  rcodeNoError,
  rcodeNxDomain,
  setU16,
  setU32,
  typeCname,
  typeSoa,
  u16,
  u32,
} from '../../dns/wire.js';
import type { Changer, Next, PluginAtWork, QueryToPlan, Step } from '../../resolve/route.js';
import type { Outcome } from '../../upstream/ask.js';

export interface AutopathConfig {
  readonly at: Position;
  readonly zones: readonly string[];
  readonly file: string;
  /** What the file says, in the order in which names are tried. */
  readonly search: readonly string[];
}

/** The walker of one block. */
export interface Autopath extends PluginAtWork {
  readonly changer: Changer;
  /** How often another name was found, by the zone's place in the counters. */
  readonly found: ReadonlyMap<number, number>;
}

export function newAutopath({ zones, search }: AutopathConfig): Autopath {
  const found = new Map<number, number>();
  return {
    found,
    changer(draft, query) {
      const name = lowerCaseName(wireToName(draft.question, 0));
      if (!zones.some((zone) => isInZone(name, zone))) return null;
      const questions = questionsBehind(search, name, draft.question);
      const count = () => void found.set(query.ordinal, (found.get(query.ordinal) ?? 0) + 1);
      if (questions.length > 0) draft.next.push(walking(draft.question, questions, query, count));
      return null;
    },
  };
}

/** What the client would ask next, one after the other: the rest of the path, and the name alone. */
function questionsBehind(search: readonly string[], name: string, question: Uint8Array): Uint8Array[] {
  const [first, ...rest] = search;
  if (first === undefined || first === '.' || name === first || !isInZone(name, first)) return [];
  const base = name.slice(0, -first.length);
  const names = new Set([...rest.map((domain) => (domain === '.' ? base : base + domain)), base]);
  return [...names].flatMap((other) => {
    const wire = wireOf(other);
    return wire === null || other === name ? [] : [questionForName(question, wire)];
  });
}

function walking(asked: Uint8Array, questions: readonly Uint8Array[], query: QueryToPlan, found: () => void): Next {
  let first: Outcome | null = null;
  let index = -1;
  return (outcome): Step => {
    const isMissing = outcome.ok ? messageRcode(outcome.message) === rcodeNxDomain : outcome.why === 'nobody';
    if (first === null) {
      if (!outcome.ok || !isMissing) return { kind: 'end', outcome };
      first = { ...outcome, message: copyOf(outcome.message, 0, outcome.message.length) };
    } else if (!isMissing) {
      const aliased = outcome.ok ? answerBehindAlias(asked, questions[index], outcome.message, query) : null;
      // The client finds the same failure when it comes to that name itself.
      if (aliased === null) return { kind: 'end', outcome: first, isForNow: true };
      found();
      return { kind: 'end', outcome: { ...outcome, message: aliased } as Outcome };
    }
    index++;
    return index === questions.length ? { kind: 'end', outcome: first } : { kind: 'ask', question: questions[index] };
  };
}

/** The answer to the name that was asked: an alias to the one that was found, and what that has. Null: it is no answer. */
function answerBehindAlias(
  asked: Uint8Array,
  found: Uint8Array,
  message: Uint8Array,
  query: QueryToPlan,
): Uint8Array | null {
  const sections = messageRcode(message) === rcodeNoError ? sectionsOf(message) : null;
  if (sections === null) return null;
  const { answers, authorities: authority } = sections;
  const alias = aliasRecord(asked, found, ttlFor(answers, authority));
  try {
    const parts = { authoritative: false, rcode: rcodeNoError, answer: [alias, ...answers], authority, additional: [] };
    return encodeAnswerTo({ id: query.id, flags: query.flags, question: asked }, parts);
  } catch {
    return null; // too long together
  }
}

/** As long as the least of what it leads to; where that is nothing, as long as the denial (RFC 2308 5). */
function ttlFor(answers: readonly Uint8Array[], authorities: readonly Uint8Array[]): number {
  const soa = authorities.filter((record) => u16(record, ownerEnd(record)) === typeSoa);
  const ttls = (answers.length > 0 ? answers : soa).map((record) => u32(record, ownerEnd(record) + 4));
  const minimums = answers.length > 0 ? [] : soa.map((record) => u32(record, record.length - 4));
  return ttls.length === 0 ? 0 : Math.min(...ttls, ...minimums);
}

function aliasRecord(asked: Uint8Array, found: Uint8Array, ttlSeconds: number): Uint8Array {
  const owner = asked.subarray(0, asked.length - 4);
  const target = found.subarray(0, found.length - 4);
  const fixed = new Uint8Array(fixedBytes);
  setU16(fixed, 0, typeCname);
  setU16(fixed, 2, u16(asked, asked.length - 2));
  setU32(fixed, 4, ttlSeconds);
  setU16(fixed, 8, target.length);
  return Buffer.concat([owner, fixed, target]);
}
