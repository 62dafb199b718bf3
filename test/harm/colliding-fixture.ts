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

/** So many names below `zone` whose questions have one `hash`. */
export function collidingNames(count: number, zone: string, hash: (question: Uint8Array) => number): string[] {
  const pairs: [string, string][] = [];
  while (2 ** pairs.length < count) pairs.push(pairBehind(pairs, zone, hash));
  return Array.from({ length: count }, (_, number) => {
    const labels = pairs.map((pair, place) => pair[(number >> place) & 1]);
    return `${labels.join('.')}.${zone}`;
  });
}

function pairBehind(
  before: [string, string][],
  zone: string,
  hash: (question: Uint8Array) => number,
): [string, string] {
  const random = seededRandom(before.length);
  const known = new Map<number, string>();
  const tried = questionFor([...before.map(([one]) => one), 'x'.repeat(labelBytes), zone].join('.'));
  const at = before.length * (labelBytes + 1) + 1;
  while (true) {
    for (let byte = 0; byte < labelBytes; byte++) tried[at + byte] = letters[random.below(letters.length)];
    const label = Buffer.from(tried.subarray(at, at + labelBytes)).toString('latin1');
    const value = hash(tried);
    const other = known.get(value);
    if (other !== undefined && other !== label) return [other, label];
    known.set(value, label);
  }
}
