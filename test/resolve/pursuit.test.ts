import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { byTemplate } from '../../src/ops/counters.js';
import type { Step } from '../../src/resolve/course.js';
import { pursue } from '../../src/resolve/pursuit.js';
import type { Made } from '../../src/resolve/route.js';
import type { MadeFacts } from '../../src/resolve/settle.js';
import type { Outcome } from '../../src/upstream/ask.js';
import { inWords, questionFor } from './course-fixture.js';
import { message, type Reply } from './waiting-fixture.js';

/** Pursues the question for a.test; `made` and `replies` are by the name asked for. */
function pursued(
  parts: { readonly made?: Readonly<Record<string, Made>>; readonly replies?: Readonly<Record<string, Reply>> },
  steps: readonly string[] = [],
) {
  const asked: string[] = [];
  const ended: [Outcome, MadeFacts | null][] = [];
  const left = [...steps];
  const next = (outcome: Outcome): Step => {
    const name = left.shift();
    return name === undefined ? { kind: 'end', outcome } : { kind: 'ask', question: questionFor(name) };
  };
  const nameOf = (question: Uint8Array) => inWords(question).split(' ')[0];
  pursue(
    {
      make: (question) => parts.made?.[nameOf(question)] ?? null,
      ask(question, done) {
        asked.push(nameOf(question));
        done({ ok: true, message: message(question, parts.replies?.[nameOf(question)]), from: 'test' });
      },
      next: steps.length === 0 ? null : next,
    },
    questionFor('a.test'),
    (outcome, facts) => ended.push([outcome, facts]),
  );
  assert.equal(ended.length, 1);
  const [[outcome, facts]] = ended;
  const { answers = [] } = outcome.ok ? packets.decode(Buffer.from(outcome.message)) : {};
  return { asked, outcome, facts, names: answers.map(({ name }) => name) };
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

describe('pursue', () => {
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
    const { asked, names, facts } = pursued({ made: alias });
    assert.deepEqual([asked, names, facts?.mayKeep], [['b.test.'], ['a.test', 'b.test'], true]);
    const without = pursued({ made: alias, replies: { 'b.test.': { rcode: 2, answers: [] } } });
    assert.deepEqual([without.names, without.facts?.mayKeep], [['a.test'], false]);
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
