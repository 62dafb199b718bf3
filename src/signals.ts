/**
 * What signals mean: SIGHUP and SIGUSR1 read the configuration again. SIGTERM and SIGINT end the process in order; a
 * second one ends it in order but waits for no client, a third ends it at once. They are listened to from the
 * beginning: left alone, SIGHUP ends the process and SIGUSR1 opens Node.js's debugger, which until then has an
 * address that it cannot listen on (docs/decisions/no-debugger-by-signal.md). What arrives before there is anything
 * to reload or stop is remembered.
 */
import type { Log } from './outside/log.js';

/** Something was not closed in order. */
const exitAtOnce = 1;

/** The process, as far as signals are concerned. */
export interface Signalled {
  on(signal: 'SIGHUP' | 'SIGUSR1' | 'SIGTERM' | 'SIGINT', arrived: () => void): unknown;
  exit(code: number): void;
}

/** The program, as far as signals are concerned. */
export interface Served {
  reload(why: string): Promise<unknown>;
  stop(): Promise<void>;
  /** The stop waits for nobody. */
  hurry(): void;
}

/** Listens from now on; gives what is called once the program has started. */
export function onSignals(process: Signalled, log: Log & { flush(): void }): (served: Served) => void {
  let app: Served | null = null;
  let early: string | null = null;
  let stops = 0;

  function reload(signal: string): void {
    if (app === null) early = signal;
    else void app.reload(signal);
  }

  function stop(signal: string): void {
    stops++;
    if (stops === 1) log.info(`${signal}: answering what is in flight, then stopping`);
    if (stops === 2) log.info(`${signal} again: stopping without waiting for clients`);
    if (stops > 2) return process.exit(exitAtOnce);
    if (stops === 1 && app !== null) stopInOrder(app);
    if (stops === 2) app?.hurry();
  }

  function stopInOrder(running: Served): void {
    running.stop().then(
      () => ended('stopped', 0),
      (error) => ended(`the stop failed: ${(error as Error).stack}`, 1),
    );
  }

  function ended(how: string, exitCode: number): void {
    log[exitCode === 0 ? 'info' : 'error'](how);
    log.flush();
    process.exit(exitCode);
  }

  for (const signal of ['SIGHUP', 'SIGUSR1'] as const) process.on(signal, () => reload(signal));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal));
  return (started) => {
    app = started;
    if (stops > 1) started.hurry();
    if (stops > 0) stopInOrder(started);
    else if (early !== null) reload(early);
  };
}
