/**
 * What zerohop concludes from denials changes no answer: every name about a cluster, in every spelling and in any
 * order, is answered as the cluster DNS answers it, while services come and go.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { World } from '../scenarios/world.js';
import type { ClientAnswer } from '../simulation/client.js';
import { seededRandom } from '../simulation/random.js';
import { type AddressService, plain } from './cluster.js';
import type { Cuts } from './corefile.js';
import type { NameAndType } from './kubernetes-answers.js';
import { askedTypes, namesOf, spelled } from './names.js';
import { type AskedAt, assertTrue } from './truth.js';
import { newWalkWorld, type WalkWorld } from './world.js';

const together = 64;

describe('every name of a cluster of 200 services in 20 namespaces', () => {
  for (const cuts of ['usual', 'off'] as const satisfies readonly Cuts[]) {
    for (const order of [1, 2]) {
      it(`has the cluster DNS's answer in order ${order}, cuts ${cuts}`, async () => {
        const walk = await newWalkWorld(cuts);
        await assertAllTrue(walk, shuffled(allQuestions(walk), order));
        await walk.world.stop();
      });
    }
  }
});

describe('while services come and go', () => {
  for (const cuts of ['usual', 'off'] as const satisfies readonly Cuts[]) {
    it(`no answer is older than its TTL says, cuts ${cuts}`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(steps, { minLength: 4, maxLength: 60 }), async (all) => {
          const walk = await newWalkWorld(cuts, upstreamDelayMs);
          for (const step of all) await take(walk, step);
          await walk.world.stop();
        }),
        { numRuns: Number(process.env['WALK_RUNS'] ?? 150), ...seedOf(process.env['WALK_SEED']) },
      );
    });
  }
});

type Step =
  | { readonly do: 'ask'; readonly questions: readonly NameAndType[] }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'create'; readonly name: string; readonly namespace: string }
  | { readonly do: 'remove'; readonly name: string; readonly namespace: string };

const upstreamDelayMs = 4;
/** From the cluster DNS's answer to ours: its way, and ours. */
const onTheWayMs = 3 * upstreamDelayMs;

/** Few, so that what is asked has to do with what was asked before. */
const changing = { name: fc.constantFrom('com', 'web'), namespace: fc.constantFrom('default', 'dev') };
const labels = {
  near: fc.constantFrom('x', 'api', 'tcp', 'http', '_tcp', '_http'),
  any: fc.constantFrom(
    ...['x', 'www', 'example', '_tcp', '_http', 'tcp', 'http', '10-244-0-11', 'db-0', '*'],
    ...['ns', 'dns', 'com', 'io', 'web', 'db', 'default', 'dev', 'svc', 'pod', 'cluster', 'local'],
  ),
};
const names = fc.oneof(
  {
    weight: 6,
    arbitrary: below(
      labels.near,
      2,
      fc.tuple(changing.name, changing.namespace).map((at) => `${at.join('.')}.svc`),
    ),
  },
  { weight: 1, arbitrary: below(fc.constantFrom('ns', 'x'), 2, fc.constantFrom('dns', 'com')) },
  {
    weight: 1,
    arbitrary: below(labels.any, 4, fc.constantFrom('', 'svc', 'default.svc', 'missing.svc', 'default.pod')),
  },
);
const questions = fc.record({
  name: fc.tuple(names, fc.nat()).map(([name, bits]) => spelled(name, bits)),
  type: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('A' as const, 'AAAA' as const) },
    fc.constantFrom(...askedTypes),
  ),
});
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      questions: fc.array(questions, { minLength: 1, maxLength: 8 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.oneof(fc.nat(900), fc.nat(7000)) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), ...changing }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('create' as const), ...changing }) },
);

function below(label: fc.Arbitrary<string>, most: number, place: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(fc.array(label, { maxLength: most }), place)
    .map(([before, at]) => [...before, at, 'cluster.local'].filter(Boolean).join('.'));
}

/** With the endpoint `api`, and ports below it. */
function arrived(identity: { readonly name: string; readonly namespace: string }): AddressService {
  const service = plain(identity, 99, 1);
  return { ...service, endpoints: [{ address: '10.244.99.1', hostname: 'api' }] };
}

async function take({ world, cluster, ask }: WalkWorld, step: Step): Promise<void> {
  if (step.do === 'pass') return world.pass(step.ms);
  if (step.do === 'create') return cluster.create(arrived(step));
  if (step.do === 'remove') return cluster.remove(step.name, step.namespace);
  const at = { askedAtMs: world.clock.nowMs(), onTheWayMs };
  for (const [index, given] of (await ask(step.questions)).entries()) {
    assertTrue(cluster, step.questions[index], given.message, at);
    if (given.rcode === 'NXDOMAIN') assertSaid(world, step.questions[index], given, at);
  }
}

/** The cluster DNS has denied the name, or one above it, not longer ago than the TTL says. */
function assertSaid({ upstream }: World, { name }: NameAndType, given: ClientAnswer, at: AskedAt): void {
  const passedSeconds = 5 - Math.min(...given.ttls);
  const sinceMs = at.askedAtMs - 1000 * (passedSeconds + 1) - at.onTheWayMs;
  const asked = `.${name.toLowerCase()}.`;
  const sources = upstream.questions.filter((each) => each.atMs >= sinceMs && asked.endsWith(`.${each.name}`));
  assert.ok(
    sources.length > 0,
    `${name} is denied as ${passedSeconds} s ago, when nobody asked the cluster DNS about it`,
  );
}

function seedOf(text: string | undefined): { seed?: number } {
  return text === undefined ? {} : { seed: Number(text) };
}

/** Each name for its addresses and for one other type. */
function allQuestions({ cluster }: WalkWorld): NameAndType[] {
  const others = askedTypes.slice(2);
  return namesOf(cluster.now).flatMap((name, index) =>
    (['A', 'AAAA', others[index % others.length]] as const).map((type) => ({ name, type })),
  );
}

async function assertAllTrue(walk: WalkWorld, questions: readonly NameAndType[]): Promise<void> {
  for (let at = 0; at < questions.length; at += together) {
    const some = questions.slice(at, at + together).map(({ name, type }, index) => ({
      name: spelled(name, 0x2545f491 * (at + index)),
      type,
    }));
    const answers = await walk.ask(some);
    for (const [index, given] of answers.entries()) {
      assertTrue(walk.cluster, some[index], given.message, { askedAtMs: walk.world.clock.nowMs(), onTheWayMs: 0 });
    }
  }
}

function shuffled<Value>(values: readonly Value[], seed: number): Value[] {
  const random = seededRandom(seed);
  const all = [...values];
  for (let at = all.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [all[at], all[other]] = [all[other], all[at]];
  }
  return all;
}
