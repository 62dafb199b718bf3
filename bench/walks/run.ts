/**
 * What a walk through a search list costs: pods in twenty namespaces look up names that nobody has asked for before, as
 * glibc, musl and Go do, and the cluster DNS is a stand-in over TCP, two milliseconds away each way. With
 * `nxdomain_cut off` each question of a walk goes to the cluster DNS, as with node-cache.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { seededRandom } from '../../test/simulation/random.js';
import { type StubLibrary, type Walk, walkOn } from '../../test/walks/resolvers.js';
import { openPod, openPods, startWalkSite, type WalkSite } from '../../test/walks/serving.js';
import { newNames, provenLibraries, quietServices, walkAll } from '../../test/walks/walks.js';
import { median } from '../load/statistics.js';

export interface WalksWish {
  readonly rounds: number;
  /** New names in each round, for each library and kind of lookup. */
  readonly names: number;
  /** Of each measurement at a steady rate. */
  readonly seconds: number;
  say(line: string): void;
}

interface WalkKind {
  readonly library: StubLibrary;
  readonly family: Walk['family'];
}

type MeasuredCuts = 'usual' | 'off';

interface WalkSample {
  readonly questionsPerName: number;
  readonly tookMs: readonly number[];
  /** Of one question to the stand-in itself, just then. */
  readonly roundTripMs: number;
}

interface RateSample extends WalkSample {
  readonly walksPerSecond: number;
}

export interface WalksFigures {
  readonly kinds: readonly {
    readonly kind: WalkKind;
    readonly samples: Readonly<Record<MeasuredCuts, readonly WalkSample[]>>;
  }[];
  readonly rates: readonly RateSample[];
}

const delayMs = 2;
const roundTripsMeasured = 200;
const walkRates = [100, 30, 10, 3];
const clock = { nowMs: () => performance.now() };

/** Measures, and leaves nothing running. Throws when a lookup fails. */
export async function measureWalks(wish: WalksWish): Promise<WalksFigures> {
  const families = ['inet', 'unspec'] as const;
  const all = provenLibraries.flatMap((library) => families.map((family) => ({ library, family })));
  const kinds = all.map((kind) => ({ kind, samples: { usual: [] as WalkSample[], off: [] as WalkSample[] } }));
  for (let round = 0; round < wish.rounds; round++) {
    for (const { kind, samples } of kinds) {
      for (const cuts of ['usual', 'off'] as const) {
        const sample = await whileSited(cuts, (site) => measureOne(site, kind, wish.names));
        samples[cuts].push(sample);
        wish.say(`  ${round + 1}/${wish.rounds} ${kindText(kind)}, cuts ${cuts}: ${sampleText(sample)}`);
      }
    }
  }
  const rates: RateSample[] = [];
  for (const walksPerSecond of walkRates) {
    const sample = await whileSited('usual', (site) => atSteadyRate(site, walksPerSecond, wish.seconds));
    rates.push({ walksPerSecond, ...sample });
    wish.say(`  ${walksPerSecond} walks a second: ${sampleText(sample)}`);
  }
  return { kinds, rates };
}

async function whileSited<Value>(cuts: MeasuredCuts, use: (site: WalkSite) => Promise<Value>): Promise<Value> {
  const site = await startWalkSite({ cuts, services: quietServices(), delayMs });
  try {
    return await use(site);
  } finally {
    await site.stop();
  }
}

/** One walk after the other. */
async function measureOne({ at, standIn }: WalkSite, kind: WalkKind, names: number): Promise<WalkSample> {
  const roundTripMs = await measureRoundTrip(standIn);
  const pods = await openPods(at);
  const random = seededRandom(1);
  const before = standIn.asked;
  const parts = { ask: pods.stubOf, clock, random, atOnce: 1 };
  const { failed, walks, tookMs } = await walkAll(newNames(names, kind, random), parts);
  pods.close();
  if (failed > 0) throw new Error(`${failed} of ${walks} names were not found`);
  return { questionsPerName: (standIn.asked - before) / walks, tookMs, roundTripMs };
}

async function measureRoundTrip(standIn: WalkSite['standIn']): Promise<number> {
  const pod = await openPod(standIn, 0);
  const tookMs: number[] = [];
  for (let number = 0; number < roundTripsMeasured; number++) {
    const startedMs = clock.nowMs();
    await pod.ask({ name: `direct${number}.example.org`, type: 'A' });
    tookMs.push(clock.nowMs() - startedMs);
  }
  pod.close();
  return median(tookMs);
}

/** Walks for both types as glibc does, begun at this rate whether others have ended or not. */
async function atSteadyRate({ at, standIn }: WalkSite, walksPerSecond: number, seconds: number): Promise<WalkSample> {
  const roundTripMs = await measureRoundTrip(standIn);
  const pods = await openPods(at);
  const random = seededRandom(1);
  const walks = newNames(Math.ceil(seconds * walksPerSecond), { library: 'glibc', family: 'unspec' }, random);
  const before = standIn.asked;
  const firstMs = clock.nowMs();
  const walkOne = async (walk: Walk): Promise<number> => {
    const startedMs = clock.nowMs();
    await walkOn(walk, pods.stubOf(walk), random);
    return clock.nowMs() - startedMs;
  };
  const running: Promise<number>[] = [];
  for (const [index, walk] of walks.entries()) {
    await pause(Math.max(0, firstMs + (1000 * index) / walksPerSecond - clock.nowMs()));
    running.push(walkOne(walk));
  }
  const tookMs = await Promise.all(running);
  pods.close();
  return { questionsPerName: (standIn.asked - before) / walks.length, tookMs, roundTripMs };
}

/** Markdown. */
export function walksText({ kinds, rates }: WalksFigures): string {
  const rows = kinds.map(({ kind, samples }) => {
    const cells = (['off', 'usual'] as const).flatMap((cuts) => {
      const { questions, middle, slow } = summary(samples[cuts]);
      return [questions.toFixed(2), middle.toFixed(2), slow.toFixed(2)];
    });
    return `| ${[kindText(kind), ...cells].join(' | ')} |`;
  });
  const rateRows = rates.map((sample) => {
    const { questions, middle, slow } = summary([sample]);
    return `| ${sample.walksPerSecond} | ${questions.toFixed(2)} | ${middle.toFixed(2)} | ${slow.toFixed(2)} |`;
  });
  const roundTripMs = median(kinds.flatMap(({ samples }) => samples.usual.map((sample) => sample.roundTripMs)));
  const names = Math.max(...kinds.flatMap(({ samples }) => samples.usual.map(({ tookMs }) => tookMs.length)));
  return [
    '| who asks, for what | questions a name, cuts off | median walk, round trips | p99 | questions a name | median walk, round trips | p99 |',
    '|---|--:|--:|--:|--:|--:|--:|',
    ...rows,
    '',
    `${names.toLocaleString('en-US')} new names from twenty namespaces, one after the other; a round trip to the cluster DNS took ${roundTripMs.toFixed(1)} ms.`,
    '',
    '| walks begun a second, glibc, A and AAAA | questions a name | median walk, round trips | p99 |',
    '|--:|--:|--:|--:|',
    ...rateRows,
  ].join('\n');
}

function summary(samples: readonly WalkSample[]) {
  const trips = samples.flatMap(({ tookMs, roundTripMs }) => tookMs.map((ms) => ms / roundTripMs));
  const sorted = trips.sort((one, other) => one - other);
  return {
    questions: median(samples.map(({ questionsPerName }) => questionsPerName)),
    middle: median(sorted),
    slow: sorted[Math.floor(0.99 * sorted.length)],
  };
}

function sampleText(sample: WalkSample): string {
  const { questions, middle, slow } = summary([sample]);
  return `${questions.toFixed(2)} questions a name, ${middle.toFixed(2)} round trips, p99 ${slow.toFixed(2)}, of ${sample.roundTripMs.toFixed(1)} ms`;
}

function kindText({ library, family }: WalkKind): string {
  return `${library === 'go' ? 'Go' : library}, ${family === 'inet' ? 'A' : 'A and AAAA'}`;
}
