import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { byTemplate } from '../../src/counters.js';
import { followUp } from '../../src/resolve/chase.js';
import type { MadeFacts } from '../../src/resolve/respond.js';
import type { Made, Step } from '../../src/resolve/route.js';
import type { Outcome } from '../../src/upstream/ask.js';
import { inWords, questionFor } from './course-fixture.js';
import { message, type Reply } from './waiting-fixture.js';

/** Pursues the question for a.test; `made` and `replies` are by the name asked for. */
function pursued(
  parts: {
    readonly made?: Readonly<Record<string, Made>>;
    readonly replies?: Readonly<Record<string, Reply>>;
    /** A name that the client may not ask for. */
    readonly refused?: string;
    /** What every look-up ends in. */
    readonly failure?: Outcome;
  },
  steps: readonly string[] = [],
) {
  const asked: string[] = [];
  const lookedUp: string[] = [];
  const ended: [Outcome, MadeFacts | null][] = [];
  const left = [...steps];
  const next = (outcome: Outcome): Step => {
    const name = left.shift();
    if (name === undefined) return { kind: 'end', outcome };
    return { kind: name.startsWith('up.') ? 'lookUp' : 'ask', question: questionFor(name) };
  };
  const nameOf = (question: Uint8Array) => inWords(question).split(' ')[0];
  followUp(
    {
      make: (question) => parts.made?.[nameOf(question)] ?? null,
      judge: (question) =>
        nameOf(question) === parts.refused ? { ok: false, why: 'block', text: 'acl: block' } : null,
      ask(question, done) {
        asked.push(nameOf(question));
        done({ ok: true, message: message(question, parts.replies?.[nameOf(question)]), from: 'test' });
      },
      lookUp(question, done) {
        lookedUp.push(nameOf(question));
        done(
          parts.failure ?? { ok: true, message: message(question, parts.replies?.[nameOf(question)]), from: 'test' },
        );
      },
      next: steps.length === 0 ? null : next,
    },
    questionFor('a.test'),
    (outcome, facts) => ended.push([outcome, facts]),
  );
  assert.equal(ended.length, 1);
  const [[outcome, facts]] = ended;
  const { answers = [] } = outcome.ok ? packets.decode(Buffer.from(outcome.message)) : {};
  return { asked, lookedUp, outcome, facts, names: answers.map(({ name }) => name) };
}

const made = (
  name: string,
  follow: string | null,
  extendedError: { code: number; text: string } | null = null,
): Made => ({
  kind: 'message',
  message: message(
    questionFor(name),
    follow === null ? {} : { answers: [{ type: 'CNAME', name, ttl: 9, data: follow }] },
  ),
  by: byTemplate,
  extendedError,
  follow: follow === null ? null : questionFor(follow),
});

describe('followUp', () => {
  it('asks what nobody makes', () => {
    assert.deepEqual(pursued({ made: { 'a.test.': { kind: 'next' } } }).asked, ['a.test.']);
    assert.equal(pursued({}).facts, null);
  });

  it('takes what is made, and says who made it', () => {
    const { asked, names, facts } = pursued({ made: { 'a.test.': made('a.test', null, { code: 15, text: 'no' }) } });
    assert.deepEqual([asked, names], [[], ['a.test']]);
    assert.deepEqual([facts?.by, facts?.mayKeep, facts?.extendedError?.code], [byTemplate, true, 15]);
  });

  it('puts behind an alias made here what it leads to, if that can be had', () => {
    const alias = { 'a.test.': made('a.test', 'b.test') };
    const { asked, lookedUp, names, facts } = pursued({ made: alias });
    assert.deepEqual([asked, lookedUp, names, facts?.mayKeep], [[], ['b.test.'], ['a.test', 'b.test'], true]);
    const without = pursued({ made: alias, replies: { 'b.test.': { rcode: 2, answers: [] } } });
    assert.deepEqual([without.names, without.facts?.mayKeep], [['a.test'], false]);
  });

  it('gives what no client may have, and no end of a circle, as what it is', () => {
    const alias = { 'a.test.': made('a.test', 'b.test') };
    for (const why of ['block', 'filter', 'drop', 'circular'] as const) {
      const failure: Outcome = { ok: false, why, text: why };
      assert.deepEqual(pursued({ made: alias, failure }).outcome, failure);
    }
    const moment: Outcome = { ok: false, why: 'timeout', text: 'late' };
    assert.deepEqual(pursued({ made: alias, failure: moment }).names, ['a.test']);
  });

  it('judges each question before it is made or asked', () => {
    const first = pursued({ refused: 'a.test.', made: { 'a.test.': made('a.test', null) } });
    assert.deepEqual([first.asked, first.outcome], [[], { ok: false, why: 'block', text: 'acl: block' }]);
    const later = pursued({ refused: 'b.test.' }, ['b.test']);
    assert.deepEqual([later.asked, later.outcome.ok], [['a.test.'], false]);
  });

  it('looks up what a step says is for the whole server', () => {
    const { asked, lookedUp, names } = pursued({ made: { 'up.test.': made('up.test', null) } }, ['up.test']);
    assert.deepEqual([asked, lookedUp, names], [['a.test.'], ['up.test.'], ['up.test']]);
  });

  it('ends where something made fails', () => {
    const { outcome } = pursued({ made: { 'a.test.': { kind: 'servfail', text: 'no such field' } } });
    assert.deepEqual(outcome, { ok: false, why: 'nobody', text: 'no such field' });
  });

  it('goes on as it is told, making or asking, to the last outcome', () => {
    const { asked, names, facts } = pursued({ made: { 'b.test.': made('b.test', null) } }, ['b.test', 'c.test']);
    assert.deepEqual([asked, names, facts], [['a.test.', 'c.test.'], ['c.test'], null]);
    assert.equal(pursued({ made: { 'b.test.': made('b.test', null) } }, ['b.test']).facts?.by, byTemplate);
  });
});
