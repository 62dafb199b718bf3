/**
 * Exceptions of the control lane that nobody caught, which are bugs of ours. They must not silence the lane that
 * answers from the cache, which has nothing to do with them; nor is a lane to be trusted that goes on throwing. So
 * each is logged and counted, what asks upstreams is made anew, and after too many in too short a time the process
 * ends in order: another instance takes over, or it is started again. Part of the composition root.
 */
import { exceptionsMax } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';

/** The process, as far as exceptions are concerned. */
interface Throwing {
  on(event: 'uncaughtException' | 'unhandledRejection', caught: (error: unknown) => void): unknown;
  exit(code: number): void;
}

/** The program, as far as exceptions are concerned. */
interface Surviving {
  /** Something of it threw: counts that and makes anew what may be half done. */
  recover(): void;
  stop(): Promise<void>;
}

const windowMs = 10_000;

/** Catches from now on; gives what is called once the program has started, until when any exception ends it. */
export function onExceptions(
  process: Throwing,
  { clock, log }: { readonly clock: Clock; readonly log: Log & { flush(): void } },
): (running: Surviving) => void {
  let app: Surviving | null = null;
  let recent: number[] = [];
  let isEnding = false;

  function caught(error: unknown): void {
    const stack = String((error as Error)?.stack ?? error);
    log.error('exception in the control lane; it continues', { error: stack });
    const nowMs = clock.nowMs();
    recent = [...recent.filter((atMs) => atMs > nowMs - windowMs), nowMs];
    if (app === null) return end();
    if (recent.length > exceptionsMax) void giveUp(app);
    else if (!isEnding) attempt(app);
  }

  /** Where not even this can be done, there is nothing to go on with. */
  function attempt(running: Surviving): void {
    try {
      running.recover();
    } catch (error) {
      log.error('restarting the control lane failed', { error: String((error as Error).stack) });
      void giveUp(running);
    }
  }

  async function giveUp(running: Surviving): Promise<void> {
    if (isEnding) return;
    isEnding = true;
    log.error('too many exceptions in the control lane: exiting');
    await running.stop().catch(() => {});
    end();
  }

  function end(): void {
    log.flush();
    process.exit(1);
  }

  process.on('uncaughtException', caught);
  process.on('unhandledRejection', caught);
  return (running) => {
    app = running;
  };
}
