/** A storm of walks while services come and go, with the whole program in memory, where time is exact. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../simulation/random.js';
import { stubAnswerOf } from './serving.js';
import { newFalsehoods, storm } from './storm.js';
import { newWalkWorld } from './world.js';

/** A whole minute with WALK_SECONDS=60. */
const seconds = Number(process.env['WALK_SECONDS'] ?? 8);
const upstreamDelayMs = 4;

describe('100 walks a second while services come and go', () => {
  for (const cuts of ['usual', 'off'] as const) {
    it(`no answer has been false for longer than the TTL, cuts ${cuts}`, async () => {
      const { world, cluster } = await newWalkWorld(cuts, upstreamDelayMs, 'all', 'as asked');
      const falsehoods = newFalsehoods(cluster);
      const askedByClients = new Set<string>();
      const { walks, found, changes } = await storm({
        ...{ cluster, clock: world.clock, random: seededRandom(7), seconds, walksPerSecond: 100 },
        stubOf:
          ({ namespace }) =>
          async (name, type, { edns }) => {
            const askedAtMs = world.clock.nowMs();
            askedByClients.add(`${name}.`);
            const pod = world.client(`10.244.1.${namespace.length}`);
            const { message } = await pod.asks(`${name}.`, type, edns ? { edns: {} } : {});
            falsehoods.see({ name, type }, message, askedAtMs);
            return stubAnswerOf(message, type);
          },
        pass: (ms) => world.clock.pass(ms),
      });
      const { answers, falseOnes, longestMs, longest } = falsehoods.said;
      await world.stop();
      // The root is asked to see whether the server is there.
      const outside = world.outside.questions.map((each) => each.name).filter((name) => name !== '.');
      const strangers = outside.filter((name) => !askedByClients.has(name));
      assert.deepEqual(strangers, [], 'names of the cluster are not asked outside');
      assert.ok(answers > walks && found > walks / 2 && changes > 4 * seconds);
      assert.ok(falseOnes > 0, 'a service is created that was denied just before');
      const ttlMs = 1000 * cluster.now.ttlSeconds;
      assert.ok(longestMs <= ttlMs + upstreamDelayMs, `${longest} had been false for ${longestMs} ms`);
    });
  }
});
