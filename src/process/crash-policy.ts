/**
 * Uncaught exceptions of the main thread, which are bugs of ours. They must not end answers from the cache, but a main
 * thread that keeps throwing is not to be trusted either. So each is logged and counted, the upstream side is replaced,
 * and after `exceptionsMax` within `windowMs` the process ends in order: another instance takes over, or it is
 * restarted. Part of the composition root.
 */
import { exceptionsMax } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';

interface Throwing {
  on(event: 'uncaughtException' | 'unhandledRejection', caught: (error: unknown) => void): unknown;
  exit(code: number): void;
}

interface Surviving {
  /** Counts the exception and replaces what may be half done. */
  recover(): void;
  stop(): Promise<void>;
}

const windowMs = 10_000;

/** Catches from now on. Call the result once the program has started; until then any exception ends the process. */
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
