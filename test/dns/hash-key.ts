/** Keys for the tests of what finds names by their hash: the same number gives the same key. */
import { type HashKey, newHashKey } from '../../src/dns/hash.js';
import { seededRandom } from '../simulation/random.js';

export function hashKey(number = 1): HashKey {
  return newHashKey(seededRandom(number));
}
