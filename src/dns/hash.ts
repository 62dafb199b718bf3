/**
 * A keyed hash of names for tables that clients or upstreams fill. Each byte selects a secret random word, so colliding
 * names can neither be computed outside nor found by trying a few keys. Both cases of a letter have one word. Clients'
 * addresses use the second half of the key.
 *
 *   key: | four tables for a name's bytes by turns | four for type and class | where each hash begins |   2,049 words
 */

/** Random words; the same in all threads that share a table. */
export type HashKey = Int32Array;

const bytesCount = 256;
const nameTables = 4;
/** Tables for the four bytes of type and class, whose letters keep their case. */
const atType = nameTables * bytesCount;
const atBegin = atType + 4 * bytesCount;

/** From unpredictable numbers. */
export function newHashKey(random: { below(below: number): number }): HashKey {
  const key = Int32Array.from({ length: atBegin + 1 }, () => random.below(2 ** 32));
  for (let table = 0; table < nameTables; table++) {
    const from = table * bytesCount;
    for (let letter = 0x41; letter <= 0x5a; letter++) key[from + letter] = key[from + letter + 0x20];
  }
  return key;
}

/** The hash of a question (name in any case, type, class) from `from` to `end`, and of `salt`, below 2^18. */
export function hashQuestion(bytes: Uint8Array, from: number, end: number, key: HashKey, salt: number): number {
  let hash = key[atBegin] ^ salt;
  let at = from;
  const type = end - 4;
  // Four independent look-ups, then one multiplication: byte by byte takes a third longer.
  for (; at + 3 < type; at += 4) {
    const word = key[bytes[at]] ^ key[256 + bytes[at + 1]] ^ key[512 + bytes[at + 2]] ^ key[768 + bytes[at + 3]];
    hash = mix(hash, word);
  }
  for (; at < type; at++) hash = mix(hash, key[bytes[at]]);
  const word = key[atType + bytes[type]] ^ key[atType + 256 + bytes[type + 1]];
  hash = mix(hash, word ^ key[atType + 512 + bytes[type + 2]] ^ key[atType + 768 + bytes[type + 3]]);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

/** The hash of words such as an address, case-sensitive. All its bits are usable. */
export function hashWords(words: Int32Array, from: number, count: number, key: HashKey): number {
  let hash = key[atBegin];
  for (let at = from; at < from + count; at++) {
    const word = words[at];
    const one = key[atType + (word & 0xff)] ^ key[atType + 256 + ((word >>> 8) & 0xff)];
    const other = key[atType + 512 + ((word >>> 16) & 0xff)] ^ key[atType + 768 + (word >>> 24)];
    hash = mix(hash, one ^ other);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

/** The hash of a name's tail with one more byte in front; 0 is the root's. */
export function hashBefore(hash: number, byte: number, key: HashKey): number {
  return mix(hash, key[byte]);
}

/** Rotation brings high bits down, which multiplication never does; every step is invertible, so none loses bits. */
function mix(hash: number, word: number): number {
  return Math.imul(((hash << 5) | (hash >>> 27)) ^ word, 0x9e3779b1);
}
