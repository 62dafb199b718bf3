/**
 * Applies a block's `rewrite` rules in order to a query: each sees the result of those before it, and the first match ends the
 * walk unless it says `continue`. Changes of names are undone in the answer in reverse order. Aliases are known only with the
 * answer, so rules about them do not end the walk.
 */

import { lowerCaseName, wireOf, wireToName } from '../../dns/names.js';
import { questionForName } from '../../dns/query.js';
import { setU16, u16 } from '../../dns/wire.js';
import type { Changer, QueryPlanDraft, QueryToPlan } from '../../resolve/route.js';
import { byPattern, matches, type NameChange, type RewriteRule, renamed } from './name-rules.js';
import { changeOptions } from './option-rules.js';
import { type CnameChange, redirecting } from './redirect.js';
import { backFrom, overWire, type Renaming } from './renaming.js';

/** The effect of the matching rules on the answer. */
interface Undoing {
  readonly owners: (readonly Renaming[])[];
  readonly values: (readonly Renaming[])[];
  readonly aliases: CnameChange[];
}

export function rewriter(rules: readonly RewriteRule[]): Changer {
  return (draft, query) => {
    const undoing: Undoing = { owners: [], values: [], aliases: [] };
    for (const rule of rules) {
      const done = apply(rule, draft, undoing, query);
      if (done === 'broken') {
        const { file, line } = rule.at;
        return `rewrite at ${file}:${line}: the rewritten ${wireToName(query.question, 0)} is not a valid name`;
      }
      if (done && rule.then === 'stop') break;
    }
    draft.owner = overWire(undoing.owners.reverse().flat());
    draft.value = overWire(undoing.values.reverse().flat());
    if (undoing.aliases.length > 0) draft.next.push(redirecting(undoing.aliases, draft.question, query));
    return null;
  };
}

function apply(
  { change }: RewriteRule,
  draft: QueryPlanDraft,
  undoing: Undoing,
  query: QueryToPlan,
): boolean | 'broken' {
  switch (change.field) {
    case 'name':
      return rename(change, draft, undoing);
    case 'type':
      return replaceNumber(draft, draft.question.length - 4, change);
    case 'class':
      return replaceNumber(draft, draft.question.length - 2, change);
    case 'ttl': {
      if (!matches(change.match, questionName(draft))) return false;
      const { minSeconds, maxSeconds } = change;
      const before = draft.ttlSeconds;
      draft.ttlSeconds = (seconds) => {
        return Math.min(Math.max(before === null ? seconds : before(seconds), minSeconds), maxSeconds);
      };
      return true;
    }
    case 'rcode': {
      if (!matches(change.match, questionName(draft))) return false;
      const before = draft.rcode;
      draft.rcode = (upstreams) => {
        const rcode = before === null ? upstreams : before(upstreams);
        return rcode === change.from ? change.to : rcode;
      };
      return true;
    }
    case 'cname':
      undoing.aliases.push(change);
      return false;
    case 'edns0':
      return changeOptions(change, draft, query);
  }
}

function rename(change: NameChange, draft: QueryPlanDraft, undoing: Undoing): boolean | 'broken' {
  const name = questionName(draft);
  if (!matches(change.match, name)) return false;
  const other = renamed(change.match, change.to, name);
  const wire = wireOf(other);
  if (wire === null) return 'broken';
  draft.question = questionForName(draft.question, wire);
  const undo = change.isUndone ? [undone(change, name, lowerCaseName(wireToName(wire, 0)))] : [];
  const said = (part: 'name' | 'value') =>
    change.answers
      .filter((answer) => answer.part === part)
      .map(
        ({ pattern, to }): Renaming =>
          (owner) =>
            byPattern(pattern, to, owner),
      );
  undoing.owners.push([...undo, ...said('name')]);
  undoing.values.push([...undo, ...said('value')]);
  return true;
}

/** A suffix rule restores every name that ends in the replacement; other rules restore the original name. */
function undone({ match, to }: NameChange, name: string, other: string): Renaming {
  if (match.how !== 'suffix') return backFrom(other, name);
  return (owner) => (owner.endsWith(to) ? owner.slice(0, -to.length) + match.text : owner);
}

function replaceNumber(
  draft: QueryPlanDraft,
  at: number,
  { from, to }: { readonly from: number; readonly to: number },
): boolean {
  if (u16(draft.question, at) !== from) return false;
  draft.question = new Uint8Array(draft.question);
  setU16(draft.question, at, to);
  return true;
}

function questionName({ question }: QueryPlanDraft): string {
  return lowerCaseName(wireToName(question, 0));
}
