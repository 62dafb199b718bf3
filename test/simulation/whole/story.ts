/**
 * The story of one run: pods, upstreams, network, configuration and time do whatever a seed says, then all is mended,
 * then everybody goes home, and at last the program is stopped in the middle of it. What must hold is looked at after
 * every step, by world.ts and judge.ts.
 */
import assert from 'node:assert/strict';
import type { Random } from '../../../src/os/random.js';
import { chance } from '../random.js';
import { brokenCorefile, listenPlaces, oneOf, randomCorefile, randomResolvConf, upstreamPlaces } from './corefile.js';
import { asksOverUdp, randomQuery, TcpPod } from './pods.js';
import { goodMood } from './upstreams.js';
import { World } from './world.js';

const tcpPodsMax = 12;

/** Plays the whole story; throws an Error that says what did not hold. `note` is told of everything that happens. */
export async function simulate(random: Random, note: (line: string) => void): Promise<void> {
  const world = new World(random, note);
  const pods: TcpPod[] = [];
  await world.start(randomCorefile(random));
  await disorder(world, pods, 60);
  await calm(world, pods);
  await rest(world, pods);
  await disorder(world, pods, 15);
  await world.stop();
  assert(world.answers > 50, `only ${world.answers} answers`);
}

/** Traffic while everything goes wrong that can. */
async function disorder(world: World, pods: TcpPod[], steps: number): Promise<void> {
  const { random } = world;
  world.judge.calmSinceMs = null;
  misfortunes(world);
  for (let step = 0; step < steps; step++) {
    traffic(world, pods);
    await incident(world);
    await world.pass(stepMs(random));
  }
}

/** Mostly as much as a busy moment takes, now and then long enough for something to expire. */
function stepMs(random: Random): number {
  if (chance(random, 0.7)) return random.below(60);
  return chance(random, 0.85) ? random.below(2_500) : random.below(40_000);
}

function traffic(world: World, pods: TcpPod[]): void {
  const { random } = world;
  for (let left = random.below(5); left > 0; left--) asksOverUdp(world, 1 + random.below(8));
  if (pods.length < tcpPodsMax && chance(random, 0.3)) pods.push(new TcpPod(world));
  for (const pod of pods) pod.act();
  for (const pod of pods.splice(0)) if (!pod.isGone) pods.push(pod);
}

/** Sets what goes wrong on the network. */
function misfortunes({ network, random }: World): void {
  const share = (values: readonly number[]) => oneOf(random, values);
  Object.assign(network.faults, {
    latencyMs: random.below(4),
    jitterMs: random.below(10),
    dropShare: share([0, 0, 0.05, 0.3]),
    duplicateShare: share([0, 0, 0.1]),
    reorderShare: share([0, 0.1]),
    reorderMs: 40,
    chunks: oneOf(random, ['asWritten', 'random', 1, 13] as const),
    resetShare: share([0, 0, 0.01, 0.1]),
    windowBytes: oneOf(random, [300, 20_000, 65_536]),
  });
}

async function incident(world: World): Promise<void> {
  const { random, network, upstreams } = world;
  const number = random.below(upstreamPlaces.length);
  const upstream = upstreams[number];
  switch (random.below(30)) {
    case 0:
    case 1:
    case 2:
      return upstream.changeMood();
    case 3:
      return upstream.die();
    case 4:
    case 5:
      return upstream.start();
    case 6:
      return network.stall(upstreamPlaces[number]);
    case 7:
    case 8:
      return network.resume(upstreamPlaces[number]);
    case 9:
      return network.setUnreachable(upstreamPlaces[number]);
    case 10:
      return network.setReachable(upstreamPlaces[number]);
    case 11:
      return void network.resetConnections(upstreamPlaces[number]);
    case 12:
      return void network.resetConnections(listenPlaces[0]);
    case 13:
      return misfortunes(world);
    case 14:
      return asksOverUdp(world, 100 + random.below(100), randomQuery(random));
    case 15:
      return chance(random, 0.2) ? asksOverUdp(world, 1_100, randomQuery(random)) : undefined;
    case 16:
    case 17: {
      const next = randomCorefile(random);
      return world.reload(next, next === world.corefile ? 'unchanged' : 'reloaded');
    }
    case 18:
      return world.reload(world.corefile, 'unchanged');
    case 20:
      return world.namesServers(randomResolvConf(random));
    case 19:
      return world.reload(brokenCorefile(random), 'refused');
  }
}

/** Everything is mended; from a few seconds on nothing may go wrong any more. */
async function calm(world: World, pods: TcpPod[]): Promise<void> {
  const { network, upstreams, random } = world;
  Object.assign(network.faults, { dropShare: 0, duplicateShare: 0, reorderShare: 0, resetShare: 0, chunks: 'random' });
  for (const [number, upstream] of upstreams.entries()) {
    network.resume(upstreamPlaces[number]);
    network.setReachable(upstreamPlaces[number]);
    upstream.mood = goodMood;
    await upstream.start();
  }
  world.namesServers('nameserver 10.96.0.10\n');
  world.judge.calmSinceMs = world.clock.nowMs();
  for (let step = 0; step < 40; step++) {
    traffic(world, pods);
    // Once so long that whatever is kept is past its time, and once past being stale as well.
    await world.pass(step === 20 ? 600_000 : step === 30 ? 4_000_000 : random.below(800));
  }
}

/** Everybody goes home; after a while nothing is left. */
async function rest(world: World, pods: TcpPod[]): Promise<void> {
  for (const pod of pods.splice(0)) pod.ends();
  await world.pass(60_000);
  await world.checkRest();
}
