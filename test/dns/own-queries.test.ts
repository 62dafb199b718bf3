import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOwnQuestion, isReplyTo, noOwnMark, ownMarks, ownQuery, ownQuestion } from '../../src/dns/own-queries.js';
import { Query, questionOf, readQuery } from '../../src/dns/query.js';
import { flagAd, flagCd, flagRd } from '../../src/dns/wire.js';

const question = Uint8Array.from(Buffer.from('\x03wWw\x04test\0\0\x1c\0\x01', 'latin1'));

test('an own query is read as what it asks for', () => {
  const query = new Query();
  for (const dnssecOk of [true, false]) {
    const packet = ownQuery({ question, recursionDesired: dnssecOk, checkingDisabled: !dnssecOk, dnssecOk });
    assert.equal(readQuery(packet, packet.length, query), 'ok');
    assert.deepEqual([query.type, query.class, query.dnssecOk, query.edns], [28, 1, dnssecOk, true]);
    assert.equal(query.flags, flagAd | (dnssecOk ? flagRd : flagCd));
    assert.deepEqual(questionOf(packet, query), question);
  }
});

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

test('a reply has the id and the question of its query, whatever else is in it', () => {
  const query = ownQuery({ question, recursionDesired: true, checkingDisabled: false, dnssecOk: false });
  const reply = query.with(2, 0x81);
  assert.ok(isReplyTo(reply, query));
  assert.ok(isReplyTo(reply.subarray(0, 12 + question.length), query), 'without an OPT');
  assert.ok(!isReplyTo(query, query), 'the query itself');
  assert.ok(!isReplyTo(reply.with(1, 1), query), 'another id');
  assert.ok(!isReplyTo(reply.with(14, 0x77), query), 'another spelling');
  assert.ok(!isReplyTo(reply.with(12 + question.length - 3, 1), query), 'another type');
  assert.ok(!isReplyTo(reply.with(5, 2), query), 'two questions');
  for (let bytes = 0; bytes < 12 + question.length; bytes++) assert.ok(!isReplyTo(reply.subarray(0, bytes), query));
});
