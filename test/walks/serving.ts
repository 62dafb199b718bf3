/**
 * zerohop as a process on 127.0.0.1, with the Corefile of node-cache's manifest, in front of the stand-in; and pods that ask it,
 * each namespace from an address of its own.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import dnsPacket, { type DecodedPacket } from 'dns-packet';
import { eventually, type Running, start } from '../real/commands.js';
import { freePort, type Place } from '../real/packets.js';
import { entry } from '../real/zerohop.js';
import { type AskOptions, encodeQuery } from '../simulation/client.js';
import { type Cluster, newCluster, type Service, sampleNamespaces } from './cluster.js';
import { type Cuts, type OutsideOver, walkCorefile } from './corefile.js';
import type { NameAndType } from './kubernetes-answers.js';
import type { AskStub, Walk } from './resolvers.js';
import { startWalkStandIn, type WalkStandIn } from './stand-in.js';

export interface WalkSite {
  readonly at: Place;
  readonly metrics: Place;
  readonly standIn: WalkStandIn;
  readonly cluster: Cluster;
  readonly program: Running;
  /** Ends all, and throws when zerohop did not end well. */
  stop(): Promise<void>;
}

export interface WalkSiteWish {
  readonly cuts: Cuts;
  readonly services: readonly Service[];
  /** Between zerohop and the cluster DNS, each way. */
  readonly delayMs: number;
  readonly outsideOver?: OutsideOver;
}

/** Ready to answer when this returns. */
export async function startWalkSite(wish: WalkSiteWish): Promise<WalkSite> {
  const { cuts, services, delayMs, outsideOver = 'tcp' } = wish;
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-walks-'));
  const cluster = newCluster(sampleNamespaces, services, () => performance.now());
  const standIn = await startWalkStandIn({ cluster, delayMs, port: await freePort() });
  const at = { address: '127.0.0.1', port: await freePort() };
  const metrics = { address: '127.0.0.1', port: await freePort() };
  const corefile = join(folder, 'Corefile');
  const places = { bind: at, cluster: standIn, outside: standIn, metrics, outsideOver };
  writeFileSync(corefile, walkCorefile(cuts, places));
  const quiet = ['-localip', at.address, '-setupinterface=false', '-setupiptables=false', '-handover='];
  const own = ['-metrics-listen-address', `${metrics.address}:${await freePort()}`];
  const program = start([...entry, '-conf', corefile, ...quiet, ...own]);
  const stop = async (): Promise<void> => {
    const { status, stderr, stdout } = await program.stop();
    standIn.close();
    rmSync(folder, { recursive: true });
    if (status !== 0) throw new Error(`zerohop ended with ${status}: ${stderr}${stdout}`);
  };
  try {
    await eventually('zerohop serves', async () => {
      const ended = await Promise.race([program.finished, Promise.resolve(undefined)]);
      if (ended !== undefined) throw new Error(`zerohop ended with ${ended.status}: ${ended.stderr}${ended.stdout}`);
      return program.stdout().includes(' serves on ') ? true : undefined;
    });
    // Both connections to the stand-in are open before anything is counted.
    const pod = await openPod(at, 0);
    for (const name of ['web.default.svc.cluster.local', 'first.example']) await pod.ask({ name, type: 'A' });
    pod.close();
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
  return { at, metrics, standIn, cluster, program, stop };
}

export interface WalkPod {
  /** Asks once over UDP; rejects without an answer within five seconds. */
  ask(question: NameAndType, options?: AskOptions): Promise<DecodedPacket>;
  close(): void;
}

const answerWithinMs = 5_000;

/** A pod with one socket, at an address of 127.0.1.0/24. */
export async function openPod(to: Place, number: number): Promise<WalkPod> {
  const socket: Socket = createSocket('udp4');
  socket.bind(0, `127.0.1.${1 + (number % 250)}`);
  await once(socket, 'listening');
  const waiting = new Map<number, (answer: DecodedPacket) => void>();
  let lastId = 0;
  socket.on('message', (bytes) => {
    const id = bytes.readUInt16BE();
    waiting.get(id)?.(dnsPacket.decode(bytes));
    waiting.delete(id);
  });
  return {
    ask: ({ name, type }, options) =>
      new Promise((resolve, reject) => {
        lastId = (lastId + 1) & 0xffff;
        const id = lastId;
        const late = setTimeout(() => {
          waiting.delete(id);
          reject(new Error(`no answer to ${name} ${type} within ${answerWithinMs} ms`));
        }, answerWithinMs);
        waiting.set(id, (answer) => {
          clearTimeout(late);
          resolve(answer);
        });
        socket.send(encodeQuery(`${name}.`, type, id, options), to.port, to.address);
      }),
    close: () => socket.close(),
  };
}

/** What sees each question with its answer, and when it was asked. */
export type WalkWitness = (question: NameAndType, answer: DecodedPacket, askedAtMs: number) => void;

export interface WalkPods {
  /** Asks as a pod of the walk's namespace. */
  stubOf(walk: Walk): AskStub;
  close(): void;
}

/** One pod in each namespace. */
export async function openPods(to: Place, witness: WalkWitness = () => {}): Promise<WalkPods> {
  const pods = new Map<string, WalkPod>();
  for (const [index, namespace] of sampleNamespaces.entries()) pods.set(namespace, await openPod(to, index));
  return {
    stubOf: (walk) => async (name, type, options) => {
      const askedAtMs = performance.now();
      const message = await pods.get(walk.namespace)!.ask({ name, type }, options.edns ? { edns: {} } : {});
      witness({ name, type }, message, askedAtMs);
      return stubAnswerOf(message, type);
    },
    close() {
      for (const pod of pods.values()) pod.close();
    },
  };
}

/** What a resolver library sees in a message. */
export function stubAnswerOf(message: DecodedPacket, type: 'A' | 'AAAA'): { rcode: string; addresses: string[] } {
  const { rcode } = message as DecodedPacket & { rcode: string };
  return { rcode, addresses: (message.answers ?? []).flatMap((each) => (each.type === type ? [each.data] : [])) };
}
