/**
 * `rewrite cname`: replaces the target of an alias in the answer with another name, which the whole server is asked for. The
 * records before the alias stay; those behind it become the other name's.
 */

import { lowerCaseName, wireOf, wireToName } from '../../dns/names.js';
import { questionForName } from '../../dns/query.js';
import { encodeAnswerTo } from '../../dns/records.js';
import { fixedBytes, ownerEnd, sectionsOf } from '../../dns/sections.js';
import { messageRcode, rcodeNoError, rcodeNxDomain, setU16, typeAny, typeCname, u16 } from '../../dns/wire.js';
import type { Next, QueryToPlan, Step } from '../../resolve/route.js';
import type { Outcome } from '../../upstream/ask.js';
import { matches, type RewriteChange, renamed } from './name-rules.js';

export type CnameChange = Extract<RewriteChange, { field: 'cname' }>;

type AnsweredAlias = Extract<Outcome, { ok: true }>;

/** An answer up to the alias with its new target. */
interface Redirected {
  readonly answers: readonly Uint8Array[];
  readonly target: Uint8Array;
}

/** Follows the first alias that a rule matches; `question` is the query's. */
export function redirecting(rules: readonly CnameChange[], question: Uint8Array, query: QueryToPlan): Next {
  const type = u16(question, question.length - 4);
  let redirected: Redirected | null = null;

  function answer(
    rcode: number,
    answers: readonly Uint8Array[],
    authorities: readonly Uint8Array[],
    { from, mayKeep }: AnsweredAlias,
  ): Step {
    try {
      const { id, flags } = query;
      const parts = { authoritative: false, rcode, answer: answers, authority: authorities, additional: [] };
      return {
        kind: 'end',
        outcome: { ok: true, message: encodeAnswerTo({ id, flags, question }, parts), from, mayKeep },
      };
    } catch (error) {
      return { kind: 'end', outcome: { ok: false, why: 'malformed', text: (error as Error).message } };
    }
  }

  return (outcome: Outcome): Step => {
    if (!outcome.ok) return { kind: 'end', outcome };
    if (redirected === null) {
      redirected = redirect(rules, outcome.message);
      if (redirected === null) return { kind: 'end', outcome };
      // A query for CNAME gets the alias alone.
      if (type === typeCname || type === typeAny) return answer(rcodeNoError, redirected.answers, [], outcome);
      return { kind: 'lookUp', question: questionForName(question, redirected.target) };
    }
    const rcode = messageRcode(outcome.message);
    const sections = sectionsOf(outcome.message);
    if (sections === null) return { kind: 'end', outcome };
    if (rcode !== rcodeNoError && rcode !== rcodeNxDomain) return answer(rcode, [], [], outcome);
    return answer(rcode, [...redirected.answers, ...sections.answers], sections.authorities, outcome);
  };
}

/** Null: no rule matches an alias of the answer. */
function redirect(rules: readonly CnameChange[], message: Uint8Array): Redirected | null {
  const answers: Uint8Array[] = [];
  for (const record of sectionsOf(message)?.answers ?? []) {
    const targetAt = ownerEnd(record) + fixedBytes;
    if (u16(record, targetAt - fixedBytes) === typeCname) {
      const target = targetFor(rules, lowerCaseName(wireToName(record, targetAt)));
      if (target !== null) return { answers: [...answers, leadingTo(record, targetAt, target)], target };
    }
    answers.push(record);
  }
  return null;
}

/** Null if the target stays: a rule that maps a name to itself would be followed forever. */
function targetFor(rules: readonly CnameChange[], name: string): Uint8Array | null {
  const rule = rules.find(({ match }) => matches(match, name));
  const other = rule === undefined ? name : renamed(rule.match, rule.to, name);
  return other === name ? null : wireOf(other);
}

function leadingTo(record: Uint8Array, targetAt: number, target: Uint8Array): Uint8Array {
  const alias = Buffer.concat([record.subarray(0, targetAt), target]);
  setU16(alias, targetAt - 2, target.length);
  return alias;
}
