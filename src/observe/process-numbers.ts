/**
 * The process as the kernel and Node.js account for it: processor time, memory, file descriptors. Where there is no
 * /proc the numbers that come from it are missing, not wrong. prom-client's own collectors are not used: they keep a
 * 10 ms timer and a garbage-collection observer running for numbers that nobody of ours reads.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { openFilesMax } from '../os/open-files.js';

export interface ProcessNumbers {
  /** User and system time of all threads. */
  readonly cpuSeconds: number;
  /** Of the event loop of this thread, since it started. */
  readonly loopBusySeconds: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  /** Memory of JavaScript objects outside the heap; shared memory is not in it. */
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
    // The list itself needs a descriptor, which is closed again.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return null;
  }
}

function kilobytes(digits: string | undefined): number | null {
  return digits === undefined ? null : Number(digits) * 1024;
}
