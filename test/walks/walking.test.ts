/**
 * What a walk to a new name costs with the whole program in memory, where time is counted and not measured: questions to
 * the cluster DNS, and round trips.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../simulation/random.js';
import { sampleNamespaces } from './cluster.js';
import type { Cuts, OutsideOver } from './corefile.js';
import type { StubLibrary, Walk } from './resolvers.js';
import {
  newNames,
  plainQuestionsPerName,
  provenLibraries,
  questionsPerNameMax,
  roundTripsMax,
  walkAll,
} from './walks.js';
import { askOnce, newWalkWorld, stubIn, type WalkWorld } from './world.js';

const roundTripMs = 4;
const walksOfEach = 1000;

interface Cost {
  readonly questionsPerName: number;
  readonly roundTrips: number;
  readonly failed: number;
}

interface Kind {
  readonly library: StubLibrary;
  readonly family: Walk['family'];
}

async function costOf(cuts: Cuts, how: Kind, outsideOver: OutsideOver = 'tcp'): Promise<Cost> {
  const walk = await newWalkWorld(cuts, roundTripMs, 'quiet', outsideOver);
  const { world } = walk;
  // Without the questions for the root, by which zerohop sees that a server is there.
  const asked = (): number =>
    [world.upstream, world.outside].reduce((sum, server) => sum + server.asked() - server.asked('.'), 0);
  const random = seededRandom(1);
  await askOnce(walk);
  const before = asked();
  const parts = { ask: () => stubIn(world), clock: world.clock, random, atOnce: 1 };
  const cost = await walking(walk, walkAll(newNames(walksOfEach, how, random), parts));
  const questionsPerName = (asked() - before) / cost.walks;
  await world.stop();
  const middle = [...cost.tookMs].sort((one, other) => one - other)[cost.walks >> 1];
  return { questionsPerName, roundTrips: middle / roundTripMs, failed: cost.failed };
}

describe('a walk to a service of another namespace', () => {
  it('asks nothing outside', async () => {
    // Where a worker would ask outside by itself, nobody runs ahead of it.
    const walk = await newWalkWorld('usual', roundTripMs, 'all', 'as asked');
    const { world } = walk;
    const hosts = sampleNamespaces.flatMap((there) => [`web.${there}`, `missing.${there}`, `db-0.db.${there}.svc`]);
    const walks = sampleNamespaces.flatMap((namespace) =>
      hosts.map((host) => ({ host, namespace, library: 'musl', family: 'inet' }) as const),
    );
    await askOnce(walk);
    const before = world.outside.asked();
    const parts = { ask: () => stubIn(world), clock: world.clock, random: seededRandom(1), atOnce: 20 };
    const { failed } = await walking(walk, walkAll(walks, parts));
    assert.equal(failed, walks.filter(({ host }) => host.startsWith('missing')).length);
    // A client asks for these itself in the end: they are not in the cluster. The root is asked to see who is there.
    const itself = /^(?:missing\.|web\.kube-system\.|\.)/u;
    const outside = world.outside.questions.slice(before).map(({ name }) => name);
    assert.deepEqual(
      outside.filter((name) => !itself.test(name)),
      [],
    );
    await world.stop();
  });
});

/** Lets time pass until the walks are over. */
async function walking<Value>({ world }: WalkWorld, walks: Promise<Value>): Promise<Value> {
  return world.clock.until(walks, 3_600_000);
}

describe('walks from one namespace to names under one top-level domain', () => {
  it('ask the cluster DNS about the first of these names, and then no more while they go on', async () => {
    const walk = await newWalkWorld('usual', roundTripMs, 'quiet');
    const { world } = walk;
    const random = seededRandom(1);
    for (let number = 0; number < 400; number++) {
      const one = { host: `www.site${number}.com`, namespace: 'default', library: 'glibc', family: 'inet' } as const;
      await walking(walk, walkAll([one], { ask: () => stubIn(world), clock: world.clock, random, atOnce: 1 }));
      await world.pass(100);
    }
    const sites = world.upstream.questions.filter(({ name }) => name.startsWith('www.site'));
    assert.deepEqual(
      sites.map(({ name }) => name),
      ['default.svc.', 'svc.', ''].map((search) => `www.site0.com.${search}cluster.local.`),
    );
    await world.stop();
  });
});

describe('a walk to a new name', () => {
  for (const library of provenLibraries) {
    for (const family of ['inet', 'unspec'] as const) {
      for (const outsideOver of ['tcp', 'as asked'] as const) {
        it(`asks once for each type, and takes about a round trip: ${library}, ${family}, outside ${outsideOver}`, async () => {
          const cost = await costOf('usual', { library, family }, outsideOver);
          assert.equal(cost.failed, 0);
          assert.ok(cost.questionsPerName <= questionsPerNameMax[family], `${cost.questionsPerName} questions`);
          assert.ok(cost.roundTrips <= roundTripsMax, `${cost.roundTrips} round trips`);
        });
      }

      it(`asks for each name of the search list without cuts: ${library}, ${family}`, async () => {
        const cost = await costOf('off', { library, family });
        assert.equal(cost.failed, 0);
        assert.equal(cost.questionsPerName, plainQuestionsPerName[family]);
        assert.ok(cost.roundTrips >= 4, `${cost.roundTrips} round trips`);
      });
    }
  }
});
