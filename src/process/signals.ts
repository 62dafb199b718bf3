/**
 * SIGHUP and SIGUSR1 reload the configuration. SIGTERM and SIGINT end the process in order; a second one no longer
 * waits for clients, a third ends it at once. Signals before the program has started, first heard by early-signals.ts,
 * take effect then.
 */

import type { Log } from '../os/log.js';
import { type EarlySignals, type ProgramSignal, programSignals } from './early-signals.js';

/** Something was not closed in order. */
const exitAtOnce = 1;

interface Signalled {
  on(signal: ProgramSignal, arrived: () => void): unknown;
  exit(code: number): void;
}

interface Served {
  reload(why: string): Promise<unknown>;
  stop(): Promise<void>;
  /** The stop waits for nothing. */
  hurry(): void;
}

/** Listens from now on, and takes over the signals so far; call the result once the program has started. */
export function onSignals(
  process: Signalled,
  log: Log & { flush(): void },
  before?: Pick<EarlySignals, 'passOn'>,
): (served: Served) => void {
  let app: Served | null = null;
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
    if (stops > 2) return process.exit(exitAtOnce);
    if (stops === 1 && app !== null) stopInOrder(app);
    if (stops === 2) app?.hurry();
  }

  function stopInOrder(running: Served): void {
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
