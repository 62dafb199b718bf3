/**
 * Names of one hash, as somebody builds them who can compute the hash: a pair of labels that fall together is found by
 * trying, then a pair for the next place, and all ways of choosing one of each pair are names of one hash. It works with
 * every hash that takes a name piece by piece into 32 bits.
 */
import { nameToWire } from '../../src/dns/names.js';
import { seededRandom } from '../simulation/random.js';

/** The question for an A record. */
export function questionFor(name: string): Uint8Array {
  return Uint8Array.from([...nameToWire(name), 0, 1, 0, 1]);
}

const labelBytes = 7;
const letters = Buffer.from('abcdefghijklmnopqrstuvwxyz');

/**
 * So many names below `zone` whose questions have one `hash`, which takes a name's bytes from the first to the last, or
 * from the last to the first.
 */
export function collidingNames(
  count: number,
  zone: string,
  hash: (question: Uint8Array) => number,
  takes: 'from the first' | 'from the last' = 'from the first',
): string[] {
  const inOrder = (labels: readonly string[]) => (takes === 'from the first' ? labels : labels.toReversed());
  const pairs: [string, string][] = [];
  while (2 ** pairs.length < count) {
    const random = seededRandom(pairs.length);
    const before = pairs.map(([one]) => one);
    const placeholder = 'x'.repeat(labelBytes);
    const tried = questionFor([...inOrder([...before, placeholder]), zone].join('.'));
    const at = takes === 'from the first' ? before.length * (labelBytes + 1) + 1 : 1;
    pairs.push(pairAt(at, tried, hash, () => letters[random.below(letters.length)]));
  }
  return Array.from({ length: count }, (_, number) =>
    [...inOrder(pairs.map((pair, place) => pair[(number >> place) & 1])), zone].join('.'),
  );
}

/** Two labels that give the question one hash when they stand at `at`. */
function pairAt(
  at: number,
  question: Uint8Array,
  hash: (question: Uint8Array) => number,
  letter: () => number,
): [string, string] {
  const known = new Map<number, string>();
  while (true) {
    for (let byte = 0; byte < labelBytes; byte++) question[at + byte] = letter();
    const label = Buffer.from(question.subarray(at, at + labelBytes)).toString('latin1');
    const value = hash(question);
    const other = known.get(value);
    if (other !== undefined && other !== label) return [other, label];
    known.set(value, label);
  }
}
