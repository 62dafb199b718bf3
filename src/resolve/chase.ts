/**
 * A question made or asked, and then what its answer leads to, until there is one outcome: what a template's alias leads
 * to, and what a course asks next. It decides nothing about clients, and asks in the words of who hands it `ask`; each
 * question is judged before.
 */

import { answerers, byForward } from '../counters.js';
import { withAliasAnswer } from '../dns/sections.js';
import { messageRcode, rcodeNoError, rcodeNxDomain } from '../dns/wire.js';
import type { Outcome } from '../upstream/ask.js';
import { extendedErrorOf } from './lane.js';
import { isFinal, type MadeFacts } from './respond.js';
import type { Made, Next } from './route.js';

export interface Chase {
  /** Why the client may not have what this question has; null where it may. */
  judge(question: Uint8Array): Extract<Outcome, { ok: false }> | null;
  /** Null and `next`: it is asked. */
  make(question: Uint8Array): Made | null;
  /** Asks once; `done` is called once, never before the call has returned. */
  ask(question: Uint8Array, done: (outcome: Outcome) => void): void;
  /** The same of the whole server: whichever block the name is in. */
  lookUp(question: Uint8Array, done: (outcome: Outcome) => void): void;
  readonly next: Next | null;
}

/** `made` is null for what an upstream has said. The outcome is borrowed until it returns. */
export type Done = (outcome: Outcome, made: MadeFacts | null) => void;

/** Makes or asks, as often as it takes. */
export function followUp(chase: Chase, question: Uint8Array, done: Done): void {
  const goOn: Done = (outcome, facts) => {
    const step = chase.next === null ? null : chase.next(outcome);
    if (step === null) return done(outcome, facts);
    if (step.kind === 'end') return done(step.outcome, step.isForNow ? forNow(facts) : facts);
    if (step.kind === 'ask') return followUp(chase, step.question, done);
    chase.lookUp(step.question, (found) => goOn(found, null));
  };
  const refused = chase.judge(question);
  if (refused !== null) return goOn(refused, null);
  const made = chase.make(question);
  if (made === null || made.kind === 'next') chase.ask(question, (outcome) => goOn(outcome, null));
  else finishMade(made, chase.lookUp, goOn);
}

function forNow(facts: MadeFacts | null): MadeFacts {
  return { extendedError: facts?.extendedError ?? null, by: facts?.by ?? byForward, mayKeep: false };
}

/** What was made as an outcome. A stub resolver follows no alias: it gets what one leads to, if that can be had. */
export function finishMade(made: Exclude<Made, { kind: 'next' }>, lookUp: Chase['lookUp'], done: Done): void {
  if (made.kind === 'servfail') return done({ ok: false, why: 'nobody', text: made.text }, null);
  const { message, by, follow, extendedError: error } = made;
  const extendedError = error === null ? null : extendedErrorOf(error.code, error.text);
  const from = answerers[by];
  if (follow === null)
    return done({ ok: true, message, from }, { extendedError, mayKeep: made.isForAskerAlone !== true, by });
  lookUp(follow, (target) => {
    if (!target.ok && isFinal(target.why)) return done(target, null);
    const isWhole = target.ok && isAnswered(target.message);
    const whole = isWhole ? withAliasAnswer(message, target.message) : message;
    done({ ok: true, message: whole, from }, { extendedError, mayKeep: isWhole && target.mayKeep !== false, by });
  });
}

/** Whether the upstream knows the name or knows that it does not exist; any other rcode is a failure of this moment. */
function isAnswered(message: Uint8Array): boolean {
  const rcode = messageRcode(message);
  return rcode === rcodeNoError || rcode === rcodeNxDomain;
}
