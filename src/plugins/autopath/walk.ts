/**
 * If a name ends in the first domain of a search path and does not exist, this walks the rest of the path and answers with an
 * alias to the name that exists. If none exists, or a query fails, the client gets the answer to its own query and walks on.
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
  /** The file's search domains, in the order in which names are tried. */
  readonly search: readonly string[];
}

export interface Autopath extends PluginAtWork {
  readonly changer: Changer;
  /** Walks that found another name, by the zone's place in the counters. */
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

/** The queries that the client would send next, in order: the rest of the path, then the name alone. */
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
      // The client meets the same failure when it comes to that name.
      if (aliased === null) return { kind: 'end', outcome: first, isForNow: true };
      found();
      return { kind: 'end', outcome: { ...outcome, message: aliased } as Outcome };
    }
    index++;
    return index === questions.length ? { kind: 'end', outcome: first } : { kind: 'ask', question: questions[index] };
  };
}

/** The answer to the client's query: an alias to the name that was found, and its records; null for what is no answer. */
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

/** The lowest TTL behind the alias; without records, that of the denial (RFC 2308 5). */
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
