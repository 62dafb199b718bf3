/** The kernel lane with the real kernel. Its code is loaded only where it is wanted. Part of the composition root. */
import type { Cache } from '../cache/cache.js';
import type { FirstHits } from '../cache/first-hits.js';
import type { Counters } from '../counters.js';
import { KernelLane, type LaneOptions, offTotals } from '../lane/lane.js';
import { Pins } from '../lane/pins.js';
import { Bpf } from '../os/bpf.js';
import type { Clock } from '../os/clock.js';
import { linkOf } from '../os/links.js';
import type { Log } from '../os/log.js';
import { defaultRouteInterfaces } from '../os/proc.js';
import type { Random } from '../os/random.js';
import type { SystemCalls } from '../os/system-calls.js';
import type { ServedZone } from '../resolve/zones.js';

interface KernelLaneParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly cache: Cache;
  readonly firstHits: FirstHits;
  readonly counters: Counters;
  /** As `given` of rounds.ts. */
  given(question: Uint8Array, answers: number): void;
  /** As `ask` of refreshes.ts. */
  ask(zone: ServedZone, question: Uint8Array, key: number): boolean;
  eachSocket(met: (fd: number) => void): void;
}

export type LaneAtWork = Pick<
  KernelLane,
  'prepare' | 'begin' | 'release' | 'follow' | 'kept' | 'left' | 'has' | 'forget' | 'end' | 'totals'
>;

export type OpenKernelLane = (parts: KernelLaneParts) => LaneAtWork;

interface KernelLaneNode extends LaneOptions {
  readonly calls: SystemCalls;
  readonly random: Random;
  readonly readFile: (path: string) => string | undefined;
  /** On a bpf file system. */
  readonly folder: string;
  /** Of our network namespace. */
  readonly namespace: string;
}

export function kernelLane({ readFile, folder, namespace, ...node }: KernelLaneNode): OpenKernelLane {
  const { calls, random } = node;
  return (parts) => {
    const bpf = new Bpf(calls);
    const high = BigInt(random.below(2 ** 32)) << 32n;
    return new KernelLane({
      ...node,
      ...parts,
      bpf,
      pins: new Pins(bpf, folder, namespace),
      linkOf: linkOf(calls),
      uplinks: () => defaultRouteInterfaces(readFile),
      seed: high | BigInt(random.below(2 ** 32)),
    });
  };
}

/** Where there can be none: says why once, and does nothing else. */
export function noKernelLane(why: string): OpenKernelLane {
  const nothing = (): void => {};
  return ({ log }) => ({
    prepare: async () => {},
    begin: async () => log.warn(`kernel lane: off: ${why}`),
    release: nothing,
    follow: nothing,
    kept: nothing,
    left: nothing,
    has: () => false,
    forget: () => inNoTime(0),
    end: nothing,
    totals: offTotals(why),
  });
}

/** Work that is done already. */
function inNoTime<Result>(result: Result): Generator<void, Result> {
  return { next: () => ({ done: true, value: result }) } as Generator<void, Result>;
}
