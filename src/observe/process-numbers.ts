/**
 * Numbers of the process for the metrics: usage by the kernel's and Node.js's accounts, the event loop's delay, and errors
 * while the node was set up. Without /proc the numbers that come from it are missing, not wrong. prom-client's
 * own collectors are not used: they keep a 10 ms timer and a garbage-collection observer running.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { type SetupError, setupErrors } from '../host/tools.js';
import { loopDelayPeriodMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import { openFilesMax } from '../os/open-files.js';
import { emptyHistogram, observe } from './exposition.js';

/** Each number is read when it is asked for, so that a scrape reads them in several slices. */
export interface ProcessNumbers {
  /** User and system time of all threads. */
  cpuSeconds(): number;
  /** Of this thread's event loop, since its start. */
  loopBusySeconds(): number;
  residentBytes(): number;
  heapUsedBytes(): number;
  /** Memory of JavaScript objects outside the heap, without shared memory. */
  externalBytes(): number;
  virtualBytes(): number | null;
  openFiles(): number | null;
  /** Infinity when unlimited. */
  openFilesMax(): number | null;
}

export function newProcessNumbers(): ProcessNumbers {
  // The limit of a process that runs changes by prlimit(1) alone.
  let filesMax: number | null | undefined;
  return {
    cpuSeconds() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
    loopBusySeconds: () => performance.eventLoopUtilization().active / 1000,
    residentBytes: () => process.memoryUsage.rss(),
    heapUsedBytes: () => getHeapStatistics().used_heap_size,
    externalBytes: () => getHeapStatistics().external_memory,
    virtualBytes: () => virtualBytes(readProc('stat')),
    openFiles: countOpenFiles,
    openFilesMax() {
      filesMax ??= openFilesMax();
      return filesMax;
    },
  };
}

function readProc(file: string): string {
  try {
    return readFileSync(`/proc/self/${file}`, 'latin1');
  } catch {
    return '';
  }
}

/** Field 23 of /proc/self/stat (proc(5)); the second is the program's name and may contain anything. */
function virtualBytes(stat: string): number | null {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.length > 20 ? Number(fields[20]) : null;
}

/** Linux 6.2 has the number as the folder's size; before, the folder is listed. */
function countOpenFiles(): number | null {
  try {
    const { size } = statSync('/proc/self/fd');
    // Without the descriptor of the listing itself.
    return size > 0 ? size : readdirSync('/proc/self/fd').length - 1;
  } catch {
    return null;
  }
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
