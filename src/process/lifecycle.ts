/** Signals, uncaught exceptions and the pid file of the process. Part of the composition root. */
import { lstatSync, rmSync } from 'node:fs';
import { exceptionsMax } from '../limits.js';
import type { Clock } from '../os/clock.js';
import { readTrusted, replaceText } from '../os/files.js';
import type { Log } from '../os/log.js';
import type { Random } from '../os/random.js';
import type { App } from './app.js';
import { type EarlySignals, type ProgramSignal, programSignals } from './early-signals.js';

interface Signalled {
  on(signal: ProgramSignal, arrived: () => void): unknown;
  exit(code: number): void;
}

type Reloadable = Pick<App, 'reload' | 'stop' | 'hurry'>;

/**
 * SIGHUP and SIGUSR1 reload the configuration. SIGTERM and SIGINT end the process in order; a second one no longer waits
 * for clients, a third ends it at once. Listens from now on, and takes over the signals so far. Call the result once the
 * program has started: earlier signals take effect then.
 */
export function onSignals(
  process: Signalled,
  log: Log & { flush(): void },
  before?: Pick<EarlySignals, 'passOn'>,
): (app: Reloadable) => void {
  let app: Reloadable | null = null;
  let early: string | null = null;
  let stops = 0;

  function reload(signal: string): void {
    if (app === null) early = signal;
    else void app.reload(signal);
  }

  function stop(signal: string): void {
    stops++;
    if (stops === 1) log.info(`${signal}: draining, then exiting`);
    if (stops === 2) log.info(`${signal} again: exiting without waiting for clients`);
    // 1, as something was not closed in order.
    if (stops > 2) return process.exit(1);
    if (stops === 1 && app !== null) stopInOrder(app);
    if (stops === 2) app?.hurry();
  }

  function stopInOrder(running: Reloadable): void {
    running.stop().then(
      () => ended('stopped', 0),
      (error) => ended(`stopping failed: ${(error as Error).stack}`, 1),
    );
  }

  function ended(how: string, exitCode: number): void {
    log[exitCode === 0 ? 'info' : 'error'](how);
    log.flush();
    process.exit(exitCode);
  }

  function arrived(signal: ProgramSignal): void {
    if (signal === 'SIGHUP' || signal === 'SIGUSR1') reload(signal);
    else stop(signal);
  }

  for (const signal of programSignals) process.on(signal, () => arrived(signal));
  for (const signal of before?.passOn() ?? []) arrived(signal);
  return (started) => {
    app = started;
    if (stops > 1) started.hurry();
    if (stops > 0) stopInOrder(started);
    else if (early !== null) reload(early);
  };
}

interface Throwing {
  on(event: 'uncaughtException' | 'unhandledRejection', caught: (error: unknown) => void): unknown;
  exit(code: number): void;
}

type Recoverable = Pick<App, 'recover' | 'stop'>;

const exceptionWindowMs = 10_000;

/**
 * Uncaught exceptions of the main thread are bugs of ours. They must not end answers from the cache, but a main thread
 * that keeps throwing is not to be trusted either. So each is logged and counted, the upstream side is replaced, and
 * after `exceptionsMax` within ten seconds the process ends in order: another instance takes over, or it is restarted.
 * Catches from now on. Call the result once the program has started; until then any exception ends the process.
 */
export function onExceptions(
  process: Throwing,
  { clock, log }: { readonly clock: Clock; readonly log: Log & { flush(): void } },
): (app: Recoverable) => void {
  let app: Recoverable | null = null;
  let recent: number[] = [];
  let isEnding = false;

  function caught(error: unknown): void {
    const stack = String((error as Error)?.stack ?? error);
    log.error('exception in the main thread; it continues', { error: stack });
    const nowMs = clock.nowMs();
    recent = [...recent.filter((atMs) => atMs > nowMs - exceptionWindowMs), nowMs];
    if (app === null) return end();
    if (recent.length > exceptionsMax) void giveUp(app);
    else if (!isEnding) attempt(app);
  }

  function attempt(running: Recoverable): void {
    try {
      running.recover();
    } catch (error) {
      log.error('restarting the main thread failed', { error: String((error as Error).stack) });
      void giveUp(running);
    }
  }

  async function giveUp(running: Recoverable): Promise<void> {
    if (isEnding) return;
    isEnding = true;
    log.error('too many exceptions in the main thread: exiting');
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

/** It holds one number. */
const pidFileBytesMax = 32;

/**
 * `-pidfile`: the process id in a file while we serve, as in CoreDNS; null: no file. A failed write is a log line. Returns
 * the function that removes the file, if it is still ours: another process's may have the same id, as process 1 of two
 * containers has.
 */
export function writePidFile(path: string | null, { log, random }: { log: Log; random: Random }): () => void {
  if (path === null) return () => {};
  const text = `${process.pid}\n`;
  let inode: number;
  try {
    replaceText(path, text, random);
    inode = lstatSync(path).ino;
  } catch (error) {
    log.error(`-pidfile: ${(error as Error).message}`);
    return () => {};
  }
  return () => {
    try {
      const bytes = readTrusted(path, pidFileBytesMax) ?? '';
      if (Buffer.from(bytes).toString() === text && lstatSync(path).ino === inode) rmSync(path);
    } catch {
      // Not there, or not ours.
    }
  };
}
