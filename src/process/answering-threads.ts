/**
 * Answering threads for app.ts, where the machine has the system calls for them and nobody asked to do without. Part
 * of the composition root: it joins the threads, which know nothing of questions, to the cache and the zones.
 */

import type { Blocks } from '../cache/blocks.js';
import type { Epochs } from '../cache/epochs.js';
import type { Counters } from '../counters.js';
import { Workers } from '../listen/workers.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Random } from '../os/random.js';
import type { Groups } from '../os/reuseport-groups.js';
import type { SystemCalls } from '../os/system-calls.js';
import type { ZoneTable } from '../resolve/zones.js';
import type { Shared } from './answering-thread.js';

/** What the threads share with the control lane. */
interface AnsweringDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly counters: Counters;
  readonly blocks: Blocks;
  readonly epochs: Epochs;
  readonly ownMark: number;
}

/** The machine's calls, and the groups of sockets that are made with them. */
interface CallsAndGroups {
  readonly calls: SystemCalls;
  readonly groups: Groups;
}

/** Prepares the threads; null when UDP is to be served by the event loop. */
export type OpenAnswering = (deps: AnsweringDeps) => Workers<ZoneTable, Shared> | null;

/** So many threads, if there are the calls for them. */
export function answeringThreads(options: {
  readonly threads: number;
  readonly system: CallsAndGroups | { readonly calls: null; readonly why: string };
}): OpenAnswering {
  return ({ clock, log, random, counters, blocks, epochs, ownMark }) => {
    const { system, threads } = options;
    if (system.calls === null) {
      log.info(`serving UDP in the event loop, not in answering threads: ${system.why}`);
      return null;
    }
    const diceSeed = random.below(2 ** 32);
    const { memory, hashKey } = blocks;
    const shared: Shared = { blocks: memory, hashKey, epochs: epochs.memory, ownMark, diceSeed };
    return new Workers<ZoneTable, Shared>({
      ...{ clock, log, counters, shared, hashKey, calls: system.calls, groups: system.groups, threads },
      program: new URL('./answering-thread.js', import.meta.url),
      threadDied: (index) => epochs.leave(index),
    });
  };
}
