import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idQuarantineMs, quarantinedIdsMax } from '../../src/limits.js';
import type { Random } from '../../src/os/random.js';
import { Ids } from '../../src/upstream/ids.js';
import { seededRandom } from '../simulation/random.js';

/** Gives these numbers in turn. */
function scripted(...numbers: number[]): Random {
  return { below: () => numbers.shift() ?? assert.fail('no number left') };
}

test('an id in flight is not taken', () => {
  const ids = new Ids(scripted(7, 7, 9));
  assert.equal(
    ids.take((id) => id === 7, 0),
    9,
  );
});

test('an id that was given up rests for as long as a late answer may come', () => {
  const ids = new Ids(scripted(7, 8, 7, 9, 7));
  const free = (): boolean => false;
  ids.rest(7, 1000);
  assert.equal(ids.take(free, 1000), 8);
  assert.equal(ids.take(free, 1000 + idQuarantineMs - 1), 9);
  assert.equal(ids.take(free, 1000 + idQuarantineMs), 7);
});

test('ids use all 16 bits and do not follow each other', () => {
  const ids = new Ids(seededRandom(3));
  const taken = Array.from({ length: 2000 }, () => ids.take(() => false, 0));
  assert(Math.max(...taken) > 65_000 && Math.min(...taken) < 500);
  const steps = new Set(taken.slice(1).map((id, index) => id - taken[index]));
  assert(steps.size > 1900);
  assert(taken.every((id) => Number.isInteger(id) && id >= 0 && id < 65_536));
});

test('so many resting ids are a reason to stop, until they have rested', () => {
  const ids = new Ids(seededRandom(1));
  for (let id = 0; id < quarantinedIdsMax - 1; id++) ids.rest(id, 0);
  assert.equal(ids.isExhausted(0), false);
  ids.rest(60_000, 10);
  assert.equal(ids.isExhausted(idQuarantineMs - 1), true);
  assert.equal(ids.isExhausted(idQuarantineMs), false);
});
