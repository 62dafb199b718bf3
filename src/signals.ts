/**
 * What signals mean: SIGHUP and SIGUSR1 read the configuration again, SIGTERM and SIGINT end the process in order, a
 * second one at once. They are listened to from the beginning: left alone, SIGHUP ends the process and SIGUSR1 opens
 * Node.js's debugger. What arrives before there is anything to reload or stop is remembered.
 */
import type { Log } from './outside/log.js';

/** The process, as far as signals are concerned. */
export interface Signalled {
  on(signal: 'SIGHUP' | 'SIGUSR1' | 'SIGTERM' | 'SIGINT', arrived: () => void): unknown;
  exit(code: number): void;
}

/** The program, as far as signals are concerned. */
export interface Served {
  reload(why: string): Promise<unknown>;
  stop(): Promise<void>;
}

/** Listens from now on; gives what is called once the program has started. */
export function onSignals(process: Signalled, log: Log & { flush(): void }): (served: Served) => void {
  let app: Served | null = null;
  let early: string | null = null;
  let isStopping = false;

  function reload(signal: string): void {
    if (app === null) early = signal;
    else void app.reload(signal);
  }

  function stop(signal: string): void {
    // Who asks twice means it.
    if (isStopping) return process.exit(0);
    isStopping = true;
    log.info(`${signal}: answering what is in flight, then stopping`);
    if (app !== null) void end(app);
  }

  async function end(running: Served): Promise<void> {
    await running.stop();
    log.info('stopped');
    log.flush();
    process.exit(0);
  }

  for (const signal of ['SIGHUP', 'SIGUSR1'] as const) process.on(signal, () => reload(signal));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal));
  return (started) => {
    app = started;
    if (isStopping) void end(started);
    else if (early !== null) reload(early);
  };
}
