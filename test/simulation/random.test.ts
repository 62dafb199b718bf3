import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chance, seededRandom, simulationSeeds, withSeed } from './random.js';

test('a seed repeats its numbers, and another has others', () => {
  const draw = (seed: number): number[] => {
    const random = seededRandom(seed);
    return Array.from({ length: 50 }, () => random.below(1_000));
  };
  assert.deepEqual(draw(5), draw(5));
  assert.notDeepEqual(draw(5), draw(6));
});

test('numbers keep to their range and fill it', () => {
  const random = seededRandom(1);
  const seen = new Set(Array.from({ length: 500 }, () => random.below(10)));
  assert.deepEqual(
    [...seen].toSorted((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  assert.equal(random.below(1), 0);
});

test('a chance comes true about as often as it should, and a share of zero draws nothing', () => {
  const random = seededRandom(1);
  let hits = 0;
  for (let n = 0; n < 10_000; n++) if (chance(random, 0.25)) hits++;
  assert(hits > 2_300 && hits < 2_700, `${hits}`);
  const [one, other] = [seededRandom(2), seededRandom(2)];
  assert.equal(chance(one, 0), false);
  assert.equal(one.below(1_000_000), other.below(1_000_000));
});

test('a failure names the seed that repeats it', async () => {
  await assert.rejects(
    withSeed(17, async () => {
      throw new Error('lost an answer');
    }),
    /seed 17 .*SEED=17.*lost an answer/,
  );
});

test('SEED in the environment runs that seed alone', (context) => {
  const before = process.env['SEED'];
  context.after(() => {
    if (before === undefined) delete process.env['SEED'];
    else process.env['SEED'] = before;
  });
  delete process.env['SEED'];
  assert.deepEqual(simulationSeeds(3), [1, 2, 3]);
  process.env['SEED'] = '1234';
  assert.deepEqual(simulationSeeds(3), [1234]);
});
