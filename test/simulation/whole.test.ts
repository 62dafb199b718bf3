/**
 * The whole program against chance, many times: whole/story.ts is what happens, and each seed is another run of it.
 * `SEEDS=500 node --test FILE` runs more of them, `FROM=501` begins there, and `SEED=17` runs one again and prints all
 * that happens.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { SeedRunner } from './whole/runner.js';

const { SEED: seedGiven, SEEDS: seedsGiven, FROM: fromGiven } = process.env;
const first = Number(seedGiven ?? fromGiven ?? 1);
const count = seedGiven === undefined ? Number(seedsGiven ?? 5) : 1;

/** A run takes a second or two; this is for a machine that has other things to do. */
const runMsMax = 60_000;

const runner = new SeedRunner(new URL('./whole/runner-thread.js', import.meta.url), {
  isAloud: seedGiven !== undefined,
});
after(() => runner.end());

for (let seed = first; seed < first + count; seed++) {
  test(`everything at once, and every query gets its answer: seed ${seed}`, async () => {
    const failure = await runner.run(seed, runMsMax);
    assert(failure === null, failure ?? '');
  });
}
