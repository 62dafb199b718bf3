/**
 * zerohop in a world in memory (test/scenarios/world.ts), with the Corefile that is deployed with node-cache, in front of a cluster
 * DNS that answers as CoreDNS does.
 */

import { clusterDns, newWorld, opening, outsideDns, server, type World } from '../scenarios/world.js';
import type { ClientAnswer } from '../simulation/client.js';
import { type Cluster, newCluster, sampleNamespaces, sampleServices } from './cluster.js';
import { type Cuts, type OutsideOver, walkCorefile } from './corefile.js';
import { answer, type NameAndType } from './kubernetes-answers.js';
import type { AskStub } from './resolvers.js';
import { stubAnswerOf } from './serving.js';
import { quietServices } from './walks.js';

export interface WalkWorld {
  readonly world: World;
  readonly cluster: Cluster;
  /** Asks all at once, each as a pod of its own, and gives the answers in this order. */
  ask(questions: readonly NameAndType[]): Promise<ClientAnswer[]>;
}

/** The sample cluster of 200 services in 20 namespaces; `quiet`: without those that are named as top-level domains. */
export async function newWalkWorld(
  cuts: Cuts,
  upstreamDelayMs = 0,
  services: 'all' | 'quiet' = 'all',
  outsideOver: OutsideOver = 'tcp',
): Promise<WalkWorld> {
  const places = { bind: server, cluster: clusterDns, outside: outsideDns, outsideOver };
  const world = await newWorld({ corefile: walkCorefile(cuts, places) });
  const all = services === 'all' ? sampleServices() : quietServices();
  const cluster = newCluster(sampleNamespaces, all, () => world.clock.nowMs());
  for (const server of [world.upstream, world.outside]) {
    server.on(({ question }) => answer(question, cluster.now));
    server.after(upstreamDelayMs);
  }
  return {
    world,
    cluster,
    ask(questions) {
      const clients = questions.map((_, index) => world.client(`10.244.${index >>> 8}.${index & 255}`));
      return opening(
        world.clock,
        Promise.all(questions.map(({ name, type }, index) => clients[index].asks(`${name}.`, type))),
      );
    },
  };
}

/** Connections are open before walks are counted. */
export async function askOnce({ ask }: WalkWorld): Promise<void> {
  await ask([
    { name: 'kubernetes.default.svc.cluster.local', type: 'A' },
    { name: 'www.example.org', type: 'A' },
  ]);
}

/** Asks as a pod of its own each time. */
export function stubIn(world: World): AskStub {
  return async (name, type, { edns }) => {
    const given = await world.client().asks(`${name}.`, type, edns ? { edns: {} } : {});
    return stubAnswerOf(given.message, type);
  };
}
