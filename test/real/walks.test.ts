/**
 * The search paths of pods through a real process to a cluster DNS that answers as CoreDNS does, two milliseconds away
 * each way: the same answers as from the cluster DNS, few questions to it, and nothing false for longer than a denial lasts.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { seededRandom } from '../simulation/random.js';
import { sampleServices } from '../walks/cluster.js';
import { namesOf, spelled } from '../walks/names.js';
import type { Walk } from '../walks/resolvers.js';
import { openPod, openPods, startWalkSite, type WalkSite, type WalkSiteWish } from '../walks/serving.js';
import { newFalsehoods, storm } from '../walks/storm.js';
import {
  newNames,
  plainQuestionsPerName,
  provenLibraries,
  questionsPerNameMax,
  quietServices,
  walkAll,
} from '../walks/walks.js';

const delayMs = 2;
const clock = { nowMs: () => performance.now() };
/** A whole minute with WALK_SECONDS=60. */
const seconds = Number(process.env['WALK_SECONDS'] ?? 8);
/** What a busy machine may add to an answer's way to us. */
const lateMs = 500;
const together = 50;
const askedAgainMax = 0.4;

type SiteWish = Omit<WalkSiteWish, 'delayMs'>;

async function whileServed(wish: SiteWish, use: (site: WalkSite) => Promise<void>): Promise<void> {
  const site = await startWalkSite({ ...wish, delayMs });
  try {
    await use(site);
  } finally {
    await site.stop();
  }
}

/** Questions for each of so many new names, which are all found. */
async function questionsPerName(wish: SiteWish, count: number, how: Pick<Walk, 'library' | 'family'>): Promise<number> {
  let questions = 0;
  await whileServed(wish, async ({ at, standIn }) => {
    const pods = await openPods(at);
    const random = seededRandom(1);
    const before = standIn.asked;
    // A few at once, so that all walks end while what the first ones found is fresh.
    const parts = { ask: pods.stubOf, clock, random, atOnce: 4 };
    const cost = await walkAll(newNames(count, how, random), parts);
    pods.close();
    assert.equal(cost.failed, 0);
    questions = (standIn.asked - before) / cost.walks;
  });
  return questions;
}

describe('names of a cluster through a real process', () => {
  for (const cuts of ['usual', 'off'] as const) {
    it(`have the cluster DNS's answers, cuts ${cuts}`, () =>
      whileServed({ cuts, services: sampleServices() }, async ({ at, cluster }) => {
        const pod = await openPod(at, 0);
        const falsehoods = newFalsehoods(cluster);
        const random = seededRandom(3);
        const names = namesOf(cluster.now).filter(() => random.below(3) === 0);
        for (let from = 0; from < names.length; from += together) {
          await Promise.all(
            names.slice(from, from + together).map(async (plainName, index) => {
              const name = spelled(plainName, 0x2545f491 * (from + index));
              for (const type of ['A', (['AAAA', 'SRV', 'TXT', 'MX'] as const)[(from + index) % 4]] as const) {
                falsehoods.see({ name, type }, await pod.ask({ name, type }), clock.nowMs());
              }
            }),
          );
        }
        pod.close();
        const { falseOnes, longest, answers } = falsehoods.said;
        assert.equal(answers, 2 * names.length);
        assert.equal(falseOnes, 0, longest);
      }));
  }
});

describe('a walk to a new name through a real process', () => {
  const services = quietServices();
  for (const library of provenLibraries) {
    for (const family of ['inet', 'unspec'] as const) {
      for (const outsideOver of ['tcp', 'as asked'] as const) {
        it(`asks one question for each type: ${library}, ${family}, outside ${outsideOver}`, async () => {
          const questions = await questionsPerName({ cuts: 'usual', services, outsideOver }, 1000, { library, family });
          assert.ok(questions <= questionsPerNameMax[family], `${questions} questions`);
        });
      }

      it(`asks for each name of the search list without cuts: ${library}, ${family}`, async () => {
        const questions = await questionsPerName({ cuts: 'off', services }, 100, { library, family });
        // On a busy machine a question that seems to be lost is asked again.
        const again = questions - plainQuestionsPerName[family];
        assert.ok(again >= 0 && again <= askedAgainMax, `${questions} questions`);
      });
    }
  }
});

describe('100 walks a second through a real process while services come and go', () => {
  it('no answer has been false for longer than the TTL', () =>
    whileServed({ cuts: 'usual', services: sampleServices() }, async ({ at, cluster }) => {
      const falsehoods = newFalsehoods(cluster);
      const pods = await openPods(at, falsehoods.see);
      const wish = { cluster, clock, random: seededRandom(7), seconds, walksPerSecond: 100, stubOf: pods.stubOf };
      const { walks, found } = await storm({ ...wish, pass: (ms) => pause(ms) });
      pods.close();
      const { answers, longestMs, longest } = falsehoods.said;
      assert.ok(answers > walks && found > walks / 2);
      const ttlMs = 1000 * cluster.now.ttlSeconds;
      assert.ok(longestMs <= ttlMs + lateMs, `${longest} had been false for ${longestMs} ms`);
    }));
});
