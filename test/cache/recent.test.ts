import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blockBytesOf, firstBlockByte, type Keep, kindSuccess } from '../../src/cache/blocks.js';
import { RecentAnswers } from '../../src/cache/recent.js';
import { nameToWire } from '../../src/dns/names.js';
import { headerBytes, recentAnswersBytes, recentAnswersMax } from '../../src/limits.js';
import { hashKey } from '../dns/hash-key.js';

const questionEndOf = (name: string) => headerBytes + nameToWire(name).length + 4;

/** A question, then so many bytes of this value. */
function answerOf(name: string, bytes = 0, value = 0, zoneId = 1): Keep {
  const questionEnd = questionEndOf(name);
  const message = new Uint8Array(questionEnd + bytes).fill(value);
  message.set(new Uint8Array(headerBytes));
  message.set(nameToWire(name), headerBytes);
  message.set([0, 1, 0, 1], questionEnd - 4);
  const facts = { messageBytes: message.length, questionEnd, ttlOffsets: new Uint16Array(0), records: 0 };
  return { message, ...facts, kind: kindSuccess, zoneId, key: 0, lifetimeMs: 1_000 };
}

const find = ({ blocks }: RecentAnswers, name: string, zoneId = 1) =>
  blocks.find(answerOf(name).message, questionEndOf(name), zoneId, 0);
const roomOf = (answer: Keep) => (blockBytesOf(answer) + 7) & ~7;
/** The message that is found. */
function found(recent: RecentAnswers, name: string): readonly number[] | null {
  const ref = find(recent, name);
  return ref === 0 ? null : [...recent.blocks.message(ref)];
}

test('what is kept is found by its question, with its time, until it is kept anew', () => {
  const recent = new RecentAnswers(hashKey());
  assert.equal(find(recent, 'a.test.'), 0);
  const first = recent.keep(answerOf('a.test.', 10, 1), 50);
  assert.equal(find(recent, 'a.test.'), first);
  assert.equal(find(recent, 'A.TEST.'), first);
  assert.deepEqual([recent.blocks.storedAtMs(first), recent.blocks.expiresAtMs(first)], [50, 1_050]);
  assert.deepEqual([find(recent, 'b.test.'), find(recent, 'a.test.', 2)], [0, 0]);
  const second = recent.keep(answerOf('a.test.', 10, 2), 60);
  assert.equal(find(recent, 'a.test.'), second);
  assert.equal(recent.size, 2, 'the older one is behind it until it is overwritten');
});

test('what is lent can be read and is not found', () => {
  const recent = new RecentAnswers(hashKey());
  const kept = recent.keep(answerOf('a.test.', 5, 1), 0);
  const lent = recent.lend(answerOf('a.test.', 9, 2), 0);
  assert.notEqual(lent, kept);
  assert.equal(find(recent, 'a.test.'), kept);
  assert.equal(recent.lend(answerOf('b.test.'), 0) !== 0 && find(recent, 'b.test.'), 0);
  assert.deepEqual([...recent.blocks.message(lent)], [...answerOf('a.test.', 9, 2).message]);
  assert.equal(recent.size, 3);
});

test('the oldest are overwritten, and then not found', () => {
  const each = roomOf(answerOf('n0.test.', 100));
  const recent = new RecentAnswers(hashKey(), 4 * each);
  const refs = [0, 1, 2, 3].map((number) => recent.keep(answerOf(`n${number}.test.`, 100, number), 0));
  assert.deepEqual(
    refs,
    [0, 1, 2, 3].map((number) => firstBlockByte + number * each),
  );
  assert.ok(refs.every((ref, number) => find(recent, `n${number}.test.`) === ref));
  assert.equal(recent.keep(answerOf('n4.test.', 100), 0), refs[0]);
  assert.deepEqual([find(recent, 'n0.test.'), find(recent, 'n1.test.')], [0, refs[1]]);
  // A longer one takes the place of two.
  assert.equal(recent.keep(answerOf('n5.test.', 101 + each / 2), 0), refs[1]);
  assert.deepEqual(
    ['n1.test.', 'n2.test.', 'n3.test.', 'n4.test.', 'n5.test.'].map((name) => find(recent, name)),
    [0, 0, refs[3], refs[0], refs[1]],
  );
});

test('one that does not fit at the end begins at the beginning, and what was at the end is forgotten', () => {
  const each = roomOf(answerOf('n0.test.', 100));
  const recent = new RecentAnswers(hashKey(), 3 * each + 40);
  const refs = [0, 1, 2].map((number) => recent.keep(answerOf(`n${number}.test.`, 100), 0));
  assert.equal(recent.keep(answerOf('n3.test.', 100), 0), refs[0]);
  assert.deepEqual(
    [find(recent, 'n0.test.'), find(recent, 'n1.test.'), find(recent, 'n2.test.')],
    [0, refs[1], refs[2]],
  );
  // Behind the second there is no room for two.
  assert.equal(recent.keep(answerOf('n4.test.', 100 + 2 * each), 0), refs[0]);
  assert.deepEqual(
    ['n1.test.', 'n2.test.', 'n3.test.'].map((name) => find(recent, name)),
    [0, 0, 0],
  );
  assert.equal(recent.size, 1);
});

test('an answer that is longer than the ring is refused, and nothing is lost for it', () => {
  const recent = new RecentAnswers(hashKey(), 1_024);
  const ref = recent.keep(answerOf('a.test.'), 0);
  for (const write of [recent.keep.bind(recent), recent.lend.bind(recent)]) {
    assert.equal(write(answerOf('b.test.', 1_024), 0), 0);
  }
  assert.deepEqual([find(recent, 'a.test.'), find(recent, 'b.test.'), recent.size], [ref, 0, 1]);
  const whole = 1_024 - roomOf(answerOf('c.test.')) + answerOf('c.test.').messageBytes;
  assert.notEqual(recent.keep(answerOf('c.test.', (whole & ~7) - answerOf('c.test.').messageBytes), 0), 0);
});

test('no more are remembered than there is a place for, however short they are', () => {
  const recent = new RecentAnswers(hashKey());
  const count = recentAnswersMax + 88;
  assert.ok(count * roomOf(answerOf('n100.test.')) < recentAnswersBytes);
  for (let number = 0; number < count; number++) recent.keep(answerOf(`n${number}.test.`), 0);
  assert.equal(recent.size, recentAnswersMax);
  for (let number = 0; number < count; number++) {
    assert.equal(find(recent, `n${number}.test.`) !== 0, number >= count - recentAnswersMax, `${number}`);
  }
});

test('after clear nothing is found, and all of the room is free', () => {
  const recent = new RecentAnswers(hashKey(), 4_096);
  for (let number = 0; number < 50; number++) recent.keep(answerOf(`n${number}.test.`, 100), 0);
  recent.lend(answerOf('lent.test.'), 0);
  recent.clear();
  assert.equal(recent.size, 0);
  for (let number = 0; number < 50; number++) assert.equal(find(recent, `n${number}.test.`), 0);
  assert.equal(recent.keep(answerOf('a.test.'), 0), firstBlockByte);
});

interface Written {
  readonly name: string;
  readonly message: readonly number[];
  readonly from: number;
  readonly to: number;
  readonly isKept: boolean;
}

test('whatever is kept and lent, the newest kept answer is found as it was, and nothing that was overwritten', () => {
  const step = fc.record({
    does: fc.constantFrom('keep', 'keep', 'keep', 'keep', 'lend', 'lend', 'clear'),
    name: fc.nat(11).map((number) => `n${number}.test.`),
    bytes: fc.oneof(fc.nat(60), fc.nat(900), fc.constantFrom(1_000, 2_500)),
  });
  const sizes = fc.integer({ min: 25, max: 300 }).map((number) => number * 8);
  fc.assert(
    fc.property(sizes, fc.array(step, { maxLength: 150, size: 'max' }), (size, steps) => {
      const recent = new RecentAnswers(hashKey(), size);
      let written: Written[] = [];
      let end = firstBlockByte;
      for (const [index, { does, name, bytes }] of steps.entries()) {
        if (does === 'clear') {
          if (index % 5 !== 0) continue;
          recent.clear();
          written = [];
          end = firstBlockByte;
          continue;
        }
        const answer = answerOf(name, bytes, index);
        const from = does === 'keep' ? recent.keep(answer, index) : recent.lend(answer, index);
        assert.equal(from === 0, roomOf(answer) > size);
        if (from === 0) continue;
        const to = from + roomOf(answer);
        assert.ok(from === end || (from === firstBlockByte && end + roomOf(answer) > firstBlockByte + size));
        assert.ok(to <= firstBlockByte + size && from % 8 === 0);
        // What lies behind a gap at the end is forgotten with what lay in it.
        if (from !== end) written = written.filter((other) => other.from < end);
        written = written.filter((other) => other.to <= from || other.from >= to);
        written.push({ name, message: [...answer.message], from, to, isKept: does === 'keep' });
        end = to;
        assert.deepEqual([...recent.blocks.message(from)], [...answer.message]);
        assert.equal(recent.size, written.length);
        for (let number = 0; number < 12; number++) {
          const asked = `n${number}.test.`;
          const newest = written.findLast((one) => one.isKept && one.name === asked);
          assert.deepEqual(found(recent, asked), newest?.message ?? null);
        }
      }
    }),
    { numRuns: 100 },
  );
});
