/**
 * Numbers of the process for the metrics: usage by the kernel's and Node.js's accounts, the event loop's delay, and errors
 * while the node was set up. Without /proc the numbers that come from it are missing, not wrong. prom-client's
 * own collectors are not used: they keep a 10 ms timer and a garbage-collection observer running.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { type SetupError, setupErrors } from '../host/tools.js';
import { loopDelayPeriodMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import { openFilesMax } from '../os/open-files.js';
import { emptyHistogram, observe } from './exposition.js';

export interface ProcessNumbers {
  /** User and system time of all threads. */
  readonly cpuSeconds: number;
  /** Of this thread's event loop, since its start. */
  readonly loopBusySeconds: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  /** Memory of JavaScript objects outside the heap, without shared memory. */
  readonly externalBytes: number;
  readonly virtualBytes: number | null;
  readonly openFiles: number | null;
  /** Infinity when unlimited. */
  readonly openFilesMax: number | null;
}

export function readProcessNumbers(): ProcessNumbers {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    cpuSeconds: (user + system) / 1e6,
    loopBusySeconds: performance.eventLoopUtilization().active / 1000,
    residentBytes: rss,
    heapUsedBytes: heapUsed,
    externalBytes: external,
    virtualBytes: kilobytes(/^VmSize:\s+(\d+) kB$/m.exec(readProc('status'))?.[1]),
    openFiles: countOpenFiles(),
    openFilesMax: openFilesMax(),
  };
}

function readProc(file: string): string {
  try {
    return readFileSync(`/proc/self/${file}`, 'utf8');
  } catch {
    return '';
  }
}

function countOpenFiles(): number | null {
  try {
    // Without the descriptor of the listing itself.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return null;
  }
}

function kilobytes(digits: string | undefined): number | null {
  return digits === undefined ? null : Number(digits) * 1024;
}

/** Upper bounds in seconds; timers are a millisecond late even on an idle loop. */
export const loopDelayBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1] as const;

interface LoopDelay {
  readonly durations: Float64Array;
  stop(): void;
}

export function watchLoopDelay(clock: Clock): LoopDelay {
  const durations = emptyHistogram(loopDelayBucketsSeconds);
  let dueMs = clock.nowMs() + loopDelayPeriodMs;
  const timer = clock.every(loopDelayPeriodMs, () => {
    const nowMs = clock.nowMs();
    observe({ numbers: durations, bounds: loopDelayBucketsSeconds }, Math.max(0, nowMs - dueMs) / 1000);
    dueMs = nowMs + loopDelayPeriodMs;
  });
  return { durations, stop: () => timer.stop() };
}

export interface SetupErrors {
  count(kind: SetupError): void;
  /** The numbers so far. */
  totals(): Readonly<Record<SetupError, number>>;
}

/**
 * The numbers of coredns_nodecache_setup_errors_total. They are apart from `Counters`, since the set-up counts them before
 * anything serves, and knows nothing of packets.
 */
export function newSetupErrors(): SetupErrors {
  const totals = Object.fromEntries(setupErrors.map((kind) => [kind, 0])) as Record<SetupError, number>;
  return {
    count(kind) {
      totals[kind]++;
    },
    totals: () => ({ ...totals }),
  };
}
