/**
 * Walks at a steady rate while services come and go, some of them named as top-level domains are, so that what was
 * concluded from a denial becomes wrong again and again. Every answer is held against what the cluster was like.
 */
import type { DecodedPacket } from 'dns-packet';
import type { Clock } from '../../src/os/clock.js';
import type { Random } from '../../src/os/random.js';
import { type Cluster, sampleNamespaces } from './cluster.js';
import type { NameAndType } from './kubernetes-answers.js';
import { type AskStub, stubLibraries, type Walk, walkOn } from './resolvers.js';
import { falseForMs } from './truth.js';

export interface StormWish {
  readonly cluster: Cluster;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly random: Random;
  readonly seconds: number;
  readonly walksPerSecond: number;
  stubOf(walk: Walk): AskStub;
  /** Lets so much time pass. */
  pass(ms: number): Promise<void>;
}

export interface StormEnd {
  readonly walks: number;
  /** Those that ended with addresses. */
  readonly found: number;
  readonly changes: number;
}

const changeEveryMs = 200;
const names = ['com', 'net', 'org', 'shop'];
/** Five namespaces, so that a walk often meets a change. */
const places = sampleNamespaces.slice(3, 8);

/** Ends when the last walk has ended. */
export async function storm(wish: StormWish): Promise<StormEnd> {
  const { clock, random, seconds, walksPerSecond } = wish;
  const startedMs = clock.nowMs();
  const total = seconds * walksPerSecond;
  const running: Promise<boolean>[] = [];
  let changes = 0;
  while (running.length < total) {
    const passedMs = clock.nowMs() - startedMs;
    for (; running.length < Math.min(total, (passedMs * walksPerSecond) / 1000); ) {
      const walk = stormWalk(running.length, random);
      running.push(walkOn(walk, wish.stubOf(walk), random).then((addresses) => addresses.length > 0));
    }
    for (; changes < passedMs / changeEveryMs; changes++) changeOne(wish.cluster, random);
    await wish.pass(1000 / walksPerSecond);
  }
  const ends = Promise.all(running);
  await wish.pass(1000);
  return { walks: total, found: (await ends).filter(Boolean).length, changes };
}

function stormWalk(number: number, random: Random): Walk {
  const pick = <Value>(values: readonly Value[]): Value => values[random.below(values.length)];
  // The changing services themselves are seldom asked for, so that nothing but time ends what was concluded about them.
  const host = pick([
    ...[1, 2, 3, 4].map(() => `www.site${number}.${pick(names)}`),
    ...[1, 2, 3].map(() => `api.${pick(names)}`),
    `api.${pick(names)}.${pick(places)}.svc.cluster.local`,
    number % 10 === 0 ? pick(names) : 'web',
    number % 10 === 1 ? `${pick(names)}.${pick(places)}` : 'db-0.db',
  ]);
  return { host, namespace: pick(places), library: pick(stubLibraries), family: pick(['inet', 'unspec']) };
}

/** Creates the service, or removes it where it is. One endpoint has a name of its own, so that `api.com` exists. */
function changeOne(cluster: Cluster, random: Random): void {
  const name = names[random.below(names.length)];
  const namespace = places[random.below(places.length)];
  if (cluster.now.services.has(`${name}.${namespace}`)) return cluster.remove(name, namespace);
  cluster.create({
    kind: 'headless',
    ...{ name, namespace },
    addresses: [],
    ports: [{ name: 'http', protocol: 'tcp', port: 80 }],
    endpoints: [{ address: `10.244.200.${random.below(250)}`, hostname: 'api' }],
  });
}

/** Counts answers, and remembers the one that had been false for longest. */
export function newFalsehoods(cluster: Cluster) {
  let answers = 0;
  let falseOnes = 0;
  let longestMs = 0;
  let longest = '';
  return {
    see({ name, type }: NameAndType, message: DecodedPacket, askedAtMs: number): void {
      answers += 1;
      const ms = falseForMs(cluster, { name, type }, message, askedAtMs);
      if (ms > 0) falseOnes += 1;
      if (ms <= longestMs) return;
      longestMs = ms;
      longest = `${name} ${type}`;
    },
    get said() {
      return { answers, falseOnes, longestMs, longest };
    },
  };
}
