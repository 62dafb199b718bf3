/** What needs system calls: ports shared by the node's instances, the path where they meet, and workers. */
import { readlinkSync } from 'node:fs';
import type { Blocks } from '../cache/blocks.js';
import type { Epochs } from '../cache/epochs.js';
import type { FirstHits } from '../cache/first-hits.js';
import type { Counters } from '../counters.js';
import { Workers } from '../listen/workers.js';
import { boundPort } from '../os/bound-socket.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Endpoint } from '../os/network.js';
import { adoptStream, type ListenStreams } from '../os/node-network.js';
import type { Random } from '../os/random.js';
import { Groups } from '../os/reuseport-groups.js';
import { type ConnectStream, streamSockets } from '../os/stream-sockets.js';
import type { SystemCalls, SystemCallsOrWhyNot } from '../os/system-calls.js';
import { UnixSockets } from '../os/unix-sockets.js';
import type { ZoneTable } from '../resolve/zones.js';
import { entriesFormat } from '../takeover/entries.js';
import { Succession, type SuccessionDeps } from '../takeover/succession.js';
import type { WorkerMemory } from './worker.js';

export type OpenSuccession = (parts: Pick<SuccessionDeps, 'clock' | 'log' | 'warmth' | 'owns'>) => Succession;

interface SharedNode {
  readonly calls: SystemCalls;
  readonly groups: Groups;
  readonly listenStreams: ListenStreams;
  readonly connectStream: ConnectStream;
  readonly bindHttp: (at: Endpoint) => number;
  /** Absent without a path. */
  readonly succession?: OpenSuccession;
}

/** Without system calls ports are not shared. */
interface UnsharedNode
  extends Partial<Record<'listenStreams' | 'connectStream' | 'bindHttp' | 'succession', undefined>> {
  readonly calls: null;
  readonly why: string;
}

interface SharedNodeOptions {
  readonly random: Random;
  readonly log: Log;
  /** `-handover`; null: off. */
  readonly path: string | null;
  readonly version: string;
}

export function sharedNode(system: SystemCallsOrWhyNot, options: SharedNodeOptions): SharedNode | UnsharedNode {
  if (system.calls === null) return system;
  const { calls } = system;
  const { random, log, path, version } = options;
  const groups = new Groups({
    calls,
    cannotSteer: (error) => {
      log.warn(
        `kernel does not support steering packets between instances (${error}): it spreads them over all instances`,
      );
    },
  });
  const { connectStream, acceptStreams } = streamSockets(calls);
  const listenStreams: ListenStreams = (wish, accepted, acceptFailed) => {
    const fd = groups.openStreams(wish);
    const local = { address: wish.at.address, port: boundPort(calls, fd) };
    const accepting = acceptStreams(fd, accepted, acceptFailed);
    return { local, close: () => accepting.stop() };
  };
  const bindHttp = (at: Endpoint): number => groups.openStreams({ at, ipv6Only: 'no', sharedWith: 'nobody' });
  const own = { calls, groups, listenStreams, bindHttp, connectStream };
  if (path === null) return own;
  const self = { version, pid: process.pid, network: networkNamespace(), entriesFormat };
  const sockets = new UnixSockets({ calls, random, adopt: adoptStream });
  const succession: OpenSuccession = (parts) => new Succession({ ...parts, sockets, path, self, seats: groups });
  return { ...own, succession };
}

/** Its name, `net:[4026531840]`; empty where the system does not tell, for every instance. */
export function networkNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/net');
  } catch {
    return '';
  }
}

interface SharedSocketsDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly counters: Counters;
  readonly blocks: Blocks;
  readonly epochs: Epochs;
  readonly firstHits: FirstHits | null;
  readonly ownMark: number;
}

/** Prepares the workers; null: the event loop serves UDP. */
export type OpenWorkers = (deps: SharedSocketsDeps) => Workers<ZoneTable, WorkerMemory> | null;

export function openWorkers({
  threads,
  system,
}: {
  readonly threads: number;
  readonly system: Pick<SharedNode, 'calls' | 'groups'> | UnsharedNode;
}): OpenWorkers {
  return (deps) => {
    const { blocks, epochs, ownMark } = deps;
    if (system.calls === null) {
      deps.log.info(`serving UDP in the event loop, not in workers: ${system.why}`);
      return null;
    }
    const prngSeed = deps.random.below(2 ** 32);
    const { memory, hashKey } = blocks;
    const asksUpstream = threads === 1;
    const shared: WorkerMemory = {
      blocks: memory,
      hashKey,
      epochs: epochs.memory,
      firstHits: deps.firstHits?.memory ?? null,
      ownMark,
      asksUpstream,
      prngSeed,
    };
    return new Workers<ZoneTable, WorkerMemory>({
      ...deps,
      ...system,
      shared,
      hashKey,
      threads,
      program: new URL('./worker.js', import.meta.url),
      threadDied: (index) => epochs.leave(index),
    });
  };
}
