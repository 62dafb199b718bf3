/**
 * What is asked for a client beside its own question: whether it may be, how the whole server is asked, and which of the
 * questions under way may be waited for. A chain of such questions has one client, one deadline and one length.
 */
import { keyCheckingDisabled, keyDnssecOk } from '../cache/blocks.js';
import { overTcp, type Transport } from '../counters.js';
import { subquestionsMax } from '../limits.js';
import type { Client } from '../listen/client.js';
import type { Outcome } from '../upstream/ask.js';
import { circularText } from './lane.js';
import type { OwnWaiter, Pending } from './pending.js';

/** For whom a question of ours is asked. */
export interface Subquestion {
  /** When the client's query came. */
  readonly askedAtMs: number;
  /** How many there are from the client's question to this one. */
  readonly depth: number;
  readonly ours: OwnWaiter;
}

/** The client, and how its questions are asked. */
export interface Origin {
  readonly asker: Client;
  readonly transport: Transport;
}

type Refused = Extract<Outcome, { ok: false }>;

/** Why the client may not have what this question has; null where it may. Its own question has been judged before. */
export function judged({ route, zone, question: own }: Pending, question: Uint8Array, remote: string): Refused | null {
  if (route.judge === null || question === own) return null;
  const action = route.judge({ question, remote, ordinal: zone.ordinal, block: zone.block });
  return action === 'allow' ? null : { ok: false, why: action, text: `acl: ${action}` };
}

/** Asks the whole server what a name has to which an answer of `pending` leads; `done` is called in a later turn. */
export function lookUpFor(
  pending: Pending,
  question: Uint8Array,
  { asker, transport }: Origin,
  done: (outcome: Outcome) => void,
): void {
  const { key, recursionDesired, startedAtMs, route } = pending;
  const depth = pending.depth + 1;
  if (depth > subquestionsMax) return queueMicrotask(() => done({ ok: false, why: 'circular', text: circularText }));
  pending.asksOurselves = true;
  const request = {
    question,
    recursionDesired,
    checkingDisabled: (key & keyCheckingDisabled) !== 0,
    dnssecOk: (key & keyDnssecOk) !== 0,
    clientTransport: transport === overTcp ? 'tcp' : 'udp',
    client: asker.remote.address,
    askedAtMs: startedAtMs,
    depth,
  } as const;
  route.lookUp(request, asker, done);
}

/**
 * Whether a question of ours may wait for one under way: not for one that waits for questions of ours itself, since two
 * that wait for each other wait for ever, nor for one that was asked later, since its time ends after the client's.
 */
export function mayWaitFor(running: Pending, { startedAtMs }: Pending): boolean {
  return !running.asksOurselves && running.startedAtMs <= startedAtMs;
}
