/**
 * Walks of pods in many namespaces to names that nobody has asked for before, and what they cost: questions to the
 * cluster DNS, and time.
 */
import type { Clock } from '../../src/os/clock.js';
import type { Random } from '../../src/os/random.js';
import { type Service, sampleNamespaces, sampleServices } from './cluster.js';
import { type AskStub, type StubLibrary, type Walk, walkOn } from './resolvers.js';

/** Of ten names seven are under `com`, as about half of all registered names are. */
const topLevels = ['com', 'com', 'com', 'com', 'com', 'com', 'com', 'net', 'net', 'org'];

/** The services of the sample cluster without those that are named as top-level domains. */
export function quietServices(): Service[] {
  return sampleServices().filter(({ name }) => name !== 'com' && name !== 'io');
}

/** So many walks, each to a name of its own, from namespaces in turn. */
export function newNames(count: number, how: Pick<Walk, 'library' | 'family' | 'nodeSearch'>, random: Random): Walk[] {
  return Array.from({ length: count }, (_, index) => {
    const host = `www.site${index}.${topLevels[random.below(topLevels.length)]}`;
    return { host, namespace: sampleNamespaces[index % sampleNamespaces.length], ...how };
  });
}

export interface WalkCost {
  readonly walks: number;
  /** Walks that did not end with addresses. */
  readonly failed: number;
  /** Of each walk, in the order in which they ended. */
  readonly tookMs: readonly number[];
}

export interface WalkParts {
  readonly ask: (walk: Walk) => AskStub;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly random: Random;
  /** How many walk at once; each takes the next walk when it has ended one. */
  readonly atOnce: number;
}

/** Walks all of them. Rejects where a question has no answer. */
export async function walkAll(walks: readonly Walk[], { ask, clock, random, atOnce }: WalkParts): Promise<WalkCost> {
  const tookMs: number[] = [];
  let failed = 0;
  let next = 0;
  const walkOne = async (walk: Walk): Promise<void> => {
    const startedMs = clock.nowMs();
    const addresses = await walkOn(walk, ask(walk), random);
    tookMs.push(clock.nowMs() - startedMs);
    if (addresses.length === 0) failed += 1;
  };
  const walkers = Array.from({ length: atOnce }, async () => {
    while (next < walks.length) await walkOne(walks[next++]);
  });
  await Promise.all(walkers);
  return { walks: walks.length, failed, tookMs };
}

/** What the proof asks of each library, questions to the cluster DNS for each name: of A alone, and of both types. */
export const questionsPerNameMax = { inet: 1.2, unspec: 2.3 } as const;
/** Median of a whole walk. */
export const roundTripsMax = 1.3;
/** Without cuts each name of the search list is asked, and each type. */
export const plainQuestionsPerName = { inet: 4, unspec: 8 } as const;

export const provenLibraries: readonly StubLibrary[] = ['glibc', 'musl', 'go'];
