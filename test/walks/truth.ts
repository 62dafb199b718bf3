/** Holds answers against what the cluster was like: whether they were true, and how long ago. */
import assert from 'node:assert/strict';
import type { DecodedPacket } from 'dns-packet';
import type { Cluster } from './cluster.js';
import { answer, type NameAndType } from './kubernetes-answers.js';
import { textOf, textOfReply, ttlOf } from './messages.js';

export interface AskedAt {
  readonly askedAtMs: number;
  /** From the cluster DNS's answer to ours. */
  readonly onTheWayMs: number;
}

/**
 * The answer was true not longer ago than the truth may be kept, and not longer ago than it says itself: of a TTL of
 * five seconds with two left, three have passed, or almost four.
 */
export function assertTrue(cluster: Cluster, question: NameAndType, given: DecodedPacket, at: AskedAt): void {
  const { askedAtMs, onTheWayMs } = at;
  const got = textOf(given);
  const since = cluster.since(askedAtMs - 1000 * cluster.now.ttlSeconds - onTheWayMs);
  const said = since.map(({ state, untilMs }) => {
    const truth = answer(question, state);
    return { text: textOfReply(question, truth), ttlSeconds: ttlOf(truth), untilMs };
  });
  const what = `${question.name} ${question.type}`;
  const match = said.find(({ text }) => text === got);
  assert.ok(match !== undefined, `${what}\n  got  ${got}\n  true ${said.map(({ text }) => text).join('\n    or ')}`);
  const passedSeconds = match.ttlSeconds - ttlOf(given);
  assert.ok(passedSeconds >= 0, `${what} has a TTL of ${ttlOf(given)}, not ${match.ttlSeconds}`);
  const falseMs = askedAtMs - match.untilMs;
  assert.ok(
    falseMs <= 1000 * (passedSeconds + 1) + onTheWayMs,
    `${what} has been false for ${falseMs} ms, and only ${passedSeconds} s of its TTL have passed`,
  );
}

/** For how long the answer had not been true at `atMs`; 0 for the truth, infinite for what was not true within two minutes. */
export function falseForMs(cluster: Cluster, question: NameAndType, given: DecodedPacket, atMs: number): number {
  const got = textOf(given);
  for (const { state, untilMs } of cluster.since(atMs - rememberedMs)) {
    if (textOfReply(question, answer(question, state)) === got) return Math.max(0, atMs - untilMs);
  }
  return Number.POSITIVE_INFINITY;
}

const rememberedMs = 120_000;
