/**
 * The owner of a zone has its server send answers as long as there are, made so that compressing their names is hard work
 * for the main thread, which serves everybody's misses. The work is counted in places looked at, not in time.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type HashKey, hashBefore } from '../../src/dns/hash.js';
import { nameToWire } from '../../src/dns/names.js';
import { NameCompressor, Normaliser } from '../../src/dns/normalise.js';
import { expandName, lower } from '../../src/dns/wire.js';
import { comparisonsInVainMax, headerBytes, messageBytesMax, nameBytesMax } from '../../src/limits.js';
import { hashKey } from '../dns/hash-key.js';
import { collidingNames, questionFor } from './colliding-fixture.js';

const ours = hashKey(1);
const message = new Uint8Array(2 * messageBytesMax);

/** Each byte's word is the byte in lower case: the multiplications and rotations that everybody knows, and no secret. */
const publicKey: HashKey = ours.map((_, index) => lower[index % 256]);

/** The hash of a question's name as names are found by it in a message, from the last byte to the first. */
function tailHash(question: Uint8Array, step: (hash: number, byte: number) => number): number {
  let hash = 0;
  for (let at = question.length - 6; at >= 0; at--) hash = step(hash, question[at]);
  return hash;
}

const by = (key: HashKey) => (hash: number, byte: number) => hashBefore(hash, byte, key);

/** Names that collide with the key that is used. */
const colliding = () => collidingNames(1_024, 'test.', (question) => tailHash(question, by(ours)), 'from the last');

/** Writes the names behind the question, with ten bytes and a preference between them as MX records have. */
function written(names: readonly string[], key = ours) {
  const out = new NameCompressor(key);
  const question = nameToWire('a.test.');
  message.set(question, headerBytes);
  out.begin(message, question.length);
  const places: number[] = [];
  let at = headerBytes + question.length + 4;
  let labels = 0;
  for (const name of names) {
    at += 14;
    if (at + nameBytesMax > messageBytesMax) break;
    places.push(at);
    const wire = nameToWire(name);
    labels += name.split('.').length - 1;
    at = out.write(message, at, wire, wire.length);
  }
  const back = new Uint8Array(nameBytesMax + 1);
  places.forEach((place, index) => {
    const length = expandName(message, place, at, back);
    assert.deepEqual([...back.subarray(0, length)], [...nameToWire(names[index])], 'every name can be read again');
  });
  return { bytes: at, steps: out.steps, labels, names: places.length };
}

describe('an answer whose names are made to be hard to compress', () => {
  const attacks: Record<string, string[]> = {
    'they collide in times 31, and differ in the last label of many': Array.from({ length: 400 }, (_, number) =>
      // z + 31 b = [ + 31 c.
      'a.'.repeat(100).concat([...Array(9).keys()].map((bit) => ((number >> bit) & 1 ? 'zb' : '[c')).join(''), '.'),
    ),
    'they collide by what is known of the hash': collidingNames(
      2_048,
      'test.',
      (question) => tailHash(question, by(publicKey)),
      'from the last',
    ),
    'they have as many labels as fit': Array.from(
      { length: 2_000 },
      (_, number) => `${'a.'.repeat(118)}${number.toString(36).padStart(3, '0').split('').join('.')}.test.`,
    ),
    'they share nothing': Array.from({ length: 4_000 }, (_, number) => `n${number}.t${number}.`),
  };
  for (const [what, names] of Object.entries(attacks)) {
    it(`${what}: a few steps for each label`, () => {
      const { steps, labels } = written(names);
      assert.ok(steps <= 4 * labels, `${steps} steps for ${labels} labels`);
    });
  }

  it('with the key in hand: compressing ends after some names that were another, and the message is whole', () => {
    const names = colliding();
    const hashes = new Set(names.map((name) => tailHash(questionFor(name), by(ours))));
    assert.equal(hashes.size, 1, 'they do collide');
    const { steps, labels, names: count } = written(names);
    assert.ok(count > 300);
    assert.ok(steps <= comparisonsInVainMax + 4 * labels, `${steps} steps for ${labels} labels`);
  });
});

it('an answer that is too long when it is not compressed is refused, and the next one is read as ever', () => {
  const normaliser = new Normaliser(ours);
  const names = colliding();
  assert.equal(normaliser.read(mxAnswer(names.slice(0, 400))), true);
  assert.ok(normaliser.out.messageBytes <= messageBytesMax);
  assert.equal(normaliser.read(mxAnswer(Array(3_000).fill('mail.example.'))), true);
  assert.ok(normaliser.out.messageBytes < 3_000 * 17);
});

/** An answer of MX records as an upstream sends it that does not compress the names in their data. */
function mxAnswer(names: readonly string[]): Uint8Array {
  const question = questionFor('a.test.');
  question[question.length - 3] = 15;
  const header = [0, 1, 0x81, 0x80, 0, 1, names.length >> 8, names.length & 0xff, 0, 0, 0, 0];
  const records = names.flatMap((name) => {
    const wire = nameToWire(name);
    const length = wire.length + 2;
    return [0xc0, headerBytes, 0, 15, 0, 1, 0, 0, 0, 30, length >> 8, length & 0xff, 0, 10, ...wire];
  });
  return Uint8Array.from([...header, ...question, ...records]);
}
