/**
 * A short run of what `npm run fuzz` does for as long as one likes: so many rounds, always from the same seed unless
 * SEED names another, so that what fails here fails again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../simulation/random.js';
import { fuzzCache } from './cache.js';
import { parserRounds } from './parsers.js';
import { fuzzProgram } from './program.js';

const seed = Number(process.env['SEED'] ?? 1);
const parserBudget = 100_000;
const programRounds = 100;
const cacheRounds = 60;

for (const [name, { round, costs }] of Object.entries(parserRounds)) {
  const rounds = Math.ceil(parserBudget / costs);
  test(`${name}: ${rounds} rounds from seed ${seed}`, () => {
    const random = seededRandom(seed);
    for (let count = 0; count < rounds; count++) round(random);
  });
}

test(`the program against rubbish from both sides: ${programRounds} rounds from seed ${seed}`, async () => {
  assert.equal(await fuzzProgram(seed, (round) => round < programRounds), programRounds);
});

test(`the cache, raced by two threads: ${cacheRounds} rounds from seed ${seed}`, async () => {
  assert.ok((await fuzzCache(seed, (round) => round < cacheRounds)) > 0, 'the reader has found something');
});
