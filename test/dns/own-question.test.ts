import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOwnQuestion, noOwnMark, ownMarks, ownQuestion } from '../../src/dns/own-question.js';

test('a question of ours is known by its mark, and by nothing less', () => {
  for (const mark of [0, 1, 0x8000_0001, ownMarks - 1]) {
    const question = ownQuestion(0xabcd, mark);
    assert.deepEqual([...question.subarray(0, 8)], [0xab, 0xcd, 0x10, 0, 0, 0, 0, 0]);
    assert.ok(isOwnQuestion(question, 12, mark));
    assert.ok(!isOwnQuestion(question, 13, mark));
    assert.ok(!isOwnQuestion(question, 12, mark ^ 1 ? 2 : 3));
    assert.ok(!isOwnQuestion(question, 12, noOwnMark));
    assert.ok(!isOwnQuestion(question.with(2, 0x20), 12, mark), 'another opcode');
    assert.ok(!isOwnQuestion(question.with(2, 0x90), 12, mark), 'a response');
  }
});
