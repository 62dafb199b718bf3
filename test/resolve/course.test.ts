import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { header } from '../../src/plugins/header/plugin.js';
import { type Changer, type Course, type Next, planFrom } from '../../src/resolve/route.js';
import type { Outcome } from '../../src/upstream/ask.js';
import { courseQuery, inWords, questionFor } from './course-fixture.js';

function planned(changer: Changer): Course | null {
  return planFrom([{ changer }])!(courseQuery('a.test')) as Course | null;
}

const outcome = (text: string): Outcome => ({ ok: false, why: 'timeout', text });

describe('planFrom', () => {
  it('is null where nothing changes questions', () => assert.equal(planFrom([{}]), null));

  it('plans nothing for a question that stays as it is', () =>
    assert.equal(
      planned(() => null),
      null,
    ));

  it('asks what the draft has become, and answers the question that came', () => {
    const course = planned((draft) => {
      draft.question = questionFor('b.test');
      draft.options.set(0xffee, Buffer.from('x'));
      return null;
    })!;
    assert.equal(inWords(course.question), 'b.test. A IN');
    assert.equal(inWords(course.changes!.question), 'a.test. A IN');
    assert.deepEqual([...course.options!], [0xff, 0xee, 0, 1, 0x78]);
    assert.equal(course.next, null);
  });

  it('leaves the answer alone where only options are added', () => {
    const course = planned((draft) => {
      draft.options.set(3, new Uint8Array(0));
      return null;
    })!;
    assert.deepEqual([course.changes, course.holdsFor], [null, 'everybody']);
  });

  it('sends no options at all when they have no room', () => {
    const course = planned((draft) => {
      for (let code = 1; code < 6; code++) draft.options.set(code, new Uint8Array(500));
      draft.holdsFor = 'asker';
      return null;
    })!;
    assert.deepEqual([course.options, course.holdsFor], [undefined, 'asker']);
  });

  it('asks with or without RD where that is not what the client did', () => {
    const recursion = (wanted: boolean, flags: number) => {
      const course = planFrom([header.start!({ recursionDesired: wanted, response: null }, {} as never)!])!({
        ...courseQuery('a.test'),
        flags,
      }) as Course | null;
      return course === null ? null : course.recursionDesired;
    };
    assert.deepEqual([recursion(true, 0), recursion(true, 0x0100)], [true, null]);
    assert.deepEqual([recursion(false, 0), recursion(false, 0x0100)], [null, false]);
    assert.equal(header.start!({ recursionDesired: null, response: null }, {} as never), null);
  });

  it('hands on why there is no way to answer', () => {
    assert.deepEqual(planFrom([{ changer: () => 'no name' }])!(courseQuery('a.test')), { failure: 'no name' });
  });

  it('lets the last that looks at outcomes end before the one before it looks', () => {
    const seen: string[] = [];
    const looks =
      (name: string, steps: ('ask' | 'end')[]): Next =>
      (came) => {
        seen.push(`${name} ${(came as { text: string }).text}`);
        return steps.shift() === 'ask'
          ? { kind: 'ask', question: questionFor('b.test') }
          : { kind: 'end', outcome: outcome(`by ${name}`) };
      };
    const { next } = planned((draft) => {
      draft.next.push(looks('first', ['ask', 'end']), looks('second', ['ask', 'end']));
      return null;
    })!;
    assert.equal(next!(outcome('1')).kind, 'ask');
    assert.equal(next!(outcome('2')).kind, 'ask');
    assert.deepEqual(next!(outcome('3')), { kind: 'end', outcome: outcome('by first') });
    assert.deepEqual(seen, ['second 1', 'second 2', 'first by second', 'first 3']);
  });
});
