import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Normaliser } from '../../src/dns/normalise.js';
import { type Damage, Soundness } from '../../src/dns/soundness.js';
import { readUpstream, upstreamQuestion } from '../corpus/read.js';
import { cut, cutInOpt, type Damaged, garbled, misplacedOpt } from '../upstream/damaged.js';
import { answerTo, type Query, question } from '../upstream/scripted.js';
import { hashKey } from './hash-key.js';

const query = { id: 1, question: question('a.example') } as Query;
const from = 12 + query.question.length;
const soundness = new Soundness();

for (const [damage, messages] of Object.entries({ cut, garbled })) {
  for (const [what, make] of Object.entries<Damaged>(messages)) {
    test(`${damage}: ${what}`, () => {
      assert.equal(soundness.look(make(query), from), damage);
      assert.equal(soundness.isOptDamaged, false);
    });
  }
}

for (const [damage, messages] of Object.entries({ cut: cutInOpt, garbled: misplacedOpt })) {
  for (const [what, make] of Object.entries<Damaged>(messages)) {
    test(`${damage}, and it is the OPT: ${what}`, () => {
      assert.equal(soundness.look(make(query), from), damage);
      assert.equal(soundness.isOptDamaged, true);
    });
  }
}

test('a whole message is sound, and says what its OPT says', () => {
  assert.equal(soundness.look(answerTo(query, { addresses: ['10.0.0.1', '10.0.0.2'] }), from), 'none');
  assert.equal(soundness.hasOpt, false);
  const extended = answerTo(query, { opt: true });
  extended[extended.length - 6] = 1;
  assert.equal(soundness.look(extended, from), 'none');
  assert.deepEqual([soundness.hasOpt, soundness.isOptDamaged, soundness.extendedRcode], [true, false, 16]);
  assert.equal(soundness.look(answerTo(query), from), 'none');
  assert.deepEqual([soundness.hasOpt, soundness.extendedRcode], [false, 0]);
});

test('a message cut anywhere behind its question is cut', () => {
  const whole = answerTo(query, { addresses: ['10.0.0.1', '10.0.0.2'], opt: true });
  for (let bytes = from; bytes < whole.length; bytes++) {
    assert.equal(soundness.look(whole.subarray(0, bytes), from), 'cut', String(bytes));
  }
});

test('the corpus, with any of its bytes changed or its end cut off: sound is what the normaliser reads', () => {
  const normaliser = new Normaliser(hashKey());
  const behind = 12 + upstreamQuestion.length;
  const hasQuestion = (bytes: Uint8Array): boolean =>
    bytes.length >= behind && bytes[5] === 1 && Buffer.compare(bytes.subarray(12, behind), upstreamQuestion) === 0;
  const messages = readUpstream()
    .map(({ bytes }) => bytes)
    .filter(hasQuestion);
  assert.ok(messages.length > 20);
  const seen: Record<Damage, number> = { none: 0, cut: 0, garbled: 0 };
  const change = fc.record({ at: fc.nat(200), to: fc.oneof(fc.nat(255), fc.constantFrom(0, 12, 0xc0, 1, 5, 41)) });
  fc.assert(
    fc.property(
      fc.constantFrom(...messages),
      fc.array(change, { maxLength: 3 }),
      fc.nat(30),
      (bytes, changes, left) => {
        const message = Uint8Array.from(bytes.subarray(0, Math.max(behind, bytes.length - Math.max(0, left - 20))));
        // Record counts and records; not the question, nor counts that make a walk of 65,535 records.
        for (const { at, to } of changes) if (at === 7 || at >= behind) message[at] = to;
        const damage = soundness.look(message, behind);
        seen[damage]++;
        assert.equal(damage === 'none', normaliser.read(message));
      },
    ),
    { numRuns: 5_000 },
  );
  for (const [damage, times] of Object.entries(seen)) assert.ok(times > 100, `${damage}: ${times}`);
});
