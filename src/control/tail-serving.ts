/** The running zerohop's side of `zerohop tail`: a filter in, queries and what was left out of them out. */
import { readNetwork } from '../config/addresses.js';
import { readNameGlob } from '../dns/name-glob.js';
import { rcodeNumber } from '../dns/names.js';
import { tailQueriesPerItem } from '../limits.js';
import type { QueryWatch, Untold, WatchedQuery, WatchFilter } from '../observe/query-watch.js';
import type { Clock } from '../os/clock.js';
import { ControlError, type ControlRequest } from './protocol.js';
import { type ControlHandler, controlHandler } from './server.js';

/** One value of the answer. */
export interface TailItem {
  readonly queries: readonly WatchedQuery[];
  /** Once a second: what was left out since the last time; null in other values. */
  readonly untold: TailUntold | null;
}

interface TailUntold extends Untold {
  /** Because the command reads too slowly. */
  readonly unread: number;
  /** One hit in so many is told now. */
  readonly hitsOneIn: number;
}

interface TailServingDeps {
  readonly clock: Clock;
  readonly answerWatch: Pick<QueryWatch, 'watch'>;
  /** Whether queries come to this instance. */
  isServing(): boolean;
}

const untoldPeriodMs = 1_000;

export function tailHandler({ clock, answerWatch, isServing }: TailServingDeps): ControlHandler {
  return controlHandler(readTailFilter, (filter, answering) => {
    let unread = 0;
    const tell = (queries: readonly WatchedQuery[]): void => {
      for (let from = 0; from < queries.length; from += tailQueriesPerItem) {
        const some = queries.slice(from, from + tailQueriesPerItem);
        if (!answering.item({ queries: some, untold: null } satisfies TailItem)) unread += some.length;
      }
    };
    const watching = answerWatch.watch(filter, tell);
    if (watching === null) throw new ControlError('busy', tooManySentence);
    let before = watching.untold();
    let unreadBefore = 0;
    const timer = clock.every(untoldPeriodMs, () => {
      const now = watching.untold();
      const untold: TailUntold = {
        sampledOut: now.sampledOut - before.sampledOut,
        lost: now.lost - before.lost,
        byKernel: now.byKernel - before.byKernel,
        unread: unread - unreadBefore,
        hitsOneIn: watching.hitsOneIn,
      };
      // What could not be said is said the next time.
      if (answering.item({ queries: [], untold } satisfies TailItem)) {
        before = now;
        unreadBefore = unread;
      }
      if (!isServing()) end(() => answering.fail('failed', movedSentence));
    });
    function end(last: () => void): void {
      timer.stop();
      watching?.end();
      last();
    }
    answering.whenGone(() => end(() => {}));
    answering.item({ queries: [], untold: null } satisfies TailItem);
  });
}

const tooManySentence = 'as many commands as may are watching queries already; end one of them.';

/** For every command that goes on until it is ended. */
export const movedSentence = 'another instance on this node answers the queries now; run the command again.';

/** Throws a ControlError: another version may have sent what this one does not know. */
function readTailFilter(given: ControlRequest['arguments']): WatchFilter {
  const { name, client, rcode, slowMs } = given;
  return {
    name: readText(name, 'name', readNameGlob),
    client: readText(client, 'client', readNetwork),
    rcode: readText(rcode, 'rcode', rcodeNumber),
    leastMs: typeof slowMs === 'number' && slowMs > 0 ? slowMs : 0,
  };
}

function readText<Value>(given: unknown, what: string, read: (text: string) => Value | undefined): Value | null {
  if (given === null || given === undefined) return null;
  const value = typeof given === 'string' ? read(given) : undefined;
  if (value === undefined) throw new ControlError('usage', `the running zerohop does not understand this ${what}.`);
  return value;
}
