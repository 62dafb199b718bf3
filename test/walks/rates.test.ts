/** What walks cost where few begin in a second, so that most of what is known of their steps has ended before the next. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../simulation/random.js';
import { walkOn } from './resolvers.js';
import { newNames, provenLibraries } from './walks.js';
import { askOnce, newWalkWorld, stubIn } from './world.js';

const walksOfEach = 500;

describe('walks that go on through a search domain of the node', () => {
  const nodeSearch = ['eu-central-1.compute.internal'];
  for (const [cuts, least, most] of [
    ['everywhere', 0, 0.2],
    ['usual', 1, 1],
  ] as const) {
    it(`ask ${most} questions there for each name at most, cuts ${cuts}, and the name itself once`, async () => {
      const walk = await newWalkWorld(cuts, 4, 'quiet');
      const { world } = walk;
      await askOnce(walk);
      const random = seededRandom(1);
      const before = world.outside.questions.length;
      const walks = newNames(600, { library: 'glibc', family: 'inet', nodeSearch }, random);
      for (const one of walks) {
        const addresses = await world.clock.until(walkOn(one, stubIn(world), random), 60_000);
        assert.equal(addresses.length, 1);
        await world.pass(96);
      }
      const names = world.outside.questions.slice(before).map(({ name }) => name);
      await world.stop();
      const searched = names.filter((name) => name.endsWith('internal.'));
      assert.ok(
        searched.length >= least * walks.length && searched.length <= most * walks.length,
        `${searched.length}`,
      );
      assert.deepEqual(names.filter((name) => /^www\.site\d+\.\w+\.$/u.test(name)).length, walks.length);
    });
  }
});

describe('walks at a steady rate', () => {
  for (const library of provenLibraries) {
    for (const [walksPerSecond, family, questionsMax] of [
      [30, 'unspec', 2.55],
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
        for (const one of newNames(walksOfEach, { library, family }, random)) {
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
