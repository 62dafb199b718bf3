/** How many files and sockets a configuration takes, and whether this process may have so many. */
import { openFilesPerWorker, openFilesSpare, openFilesToLoad } from '../limits.js';
import { raiseOpenFiles } from '../os/open-files.js';
import type { Config } from './config.js';

type Opened = Pick<Config, 'blocks' | 'health' | 'ready' | 'metrics' | 'pprof'>;

/**
 * What must be free for a configuration to start and to serve: a UDP socket for each listener and answering thread, a
 * TCP socket for each listener, and those of HTTP. `workers` is 0 where the event loop answers over UDP.
 */
export function openFilesFor(config: Opened, workers: number): number {
  const listeners = new Set(
    config.blocks.flatMap(({ zones, addresses }) =>
      zones.flatMap(({ port }) => addresses.map((address) => `${address} ${port}`)),
    ),
  );
  const pages = [
    ...(config.health?.addresses ?? []),
    ...(config.ready?.addresses ?? []),
    ...config.metrics,
    ...config.pprof,
  ];
  const sockets = listeners.size * (Math.max(1, workers) + 1) + pages.length;
  return Math.max(openFilesToLoad, sockets + workers * openFilesPerWorker + openFilesSpare);
}

/** Null when there may be enough; else a sentence. `limit` is null where nobody knows it. */
export function tooFewOpenFiles(config: Opened, workers: number, limit: number | null): string | null {
  const needed = openFilesFor(config, workers);
  if (limit === null || limit >= needed) return null;
  const lower = workers > 1 ? ', or start with fewer -workers' : '';
  return `open file limit ${limit} is too low: this configuration needs ${needed}; ${raiseOpenFiles(needed)}${lower}.`;
}
