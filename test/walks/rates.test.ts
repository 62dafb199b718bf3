/** What walks cost where few begin in a second, so that most of what is known of their steps has ended before the next. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../simulation/random.js';
import { walkOn } from './resolvers.js';
import { newNames, provenLibraries } from './walks.js';
import { askOnce, newWalkWorld, stubIn } from './world.js';

const seconds = 60;

describe('walks at a steady rate', () => {
  for (const library of provenLibraries) {
    for (const [walksPerSecond, family, questionsMax] of [
      [100, 'unspec', 2.2],
      [30, 'unspec', 2.45],
      [10, 'unspec', 3],
      [3, 'unspec', 4],
      [10, 'inet', 1.95],
      [3, 'inet', 2.9],
    ] as const) {
      it(`ask at most ${questionsMax} questions a name: ${walksPerSecond} a second, ${library}, ${family}`, async () => {
        const walk = await newWalkWorld('usual', 4, 'quiet');
        const { world } = walk;
        await askOnce(walk);
        const random = seededRandom(1);
        const before = world.upstream.asked() + world.outside.asked();
        const running: Promise<readonly string[]>[] = [];
        for (const one of newNames(seconds * walksPerSecond, { library, family }, random)) {
          running.push(walkOn(one, stubIn(world), random));
          await world.pass(1000 / walksPerSecond);
        }
        const found = await world.clock.until(Promise.all(running), 60_000);
        const questions = (world.upstream.asked() + world.outside.asked() - before) / running.length;
        await world.stop();
        assert.ok(found.every((addresses) => addresses.length > 0));
        assert.ok(questions <= questionsMax, `${questions} questions`);
      });
    }
  }
});
