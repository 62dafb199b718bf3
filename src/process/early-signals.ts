/**
 * Signals that come while the program is still being read, which takes tenths of a second on a busy node. Left to Node.js,
 * SIGUSR1 opens its debugger then (docs/decisions/no-debugger-by-signal.md), and the others end the process as if it
 * had failed. They are remembered until it is known who they are for. It imports nothing, so that nothing is read before.
 */

export const programSignals = ['SIGHUP', 'SIGUSR1', 'SIGTERM', 'SIGINT'] as const;
export type ProgramSignal = (typeof programSignals)[number];

/** The process, as far as early signals are concerned. */
interface EarlyProcess {
  readonly pid: number;
  on(signal: ProgramSignal, arrived: () => void): unknown;
  off(signal: ProgramSignal, arrived: () => void): unknown;
  kill(pid: number, signal: ProgramSignal): unknown;
}

export interface EarlySignals {
  /** Gives what has come, in order, to one who listens already: with no listener at all, Node.js would take over again. */
  passOn(): readonly ProgramSignal[];
  /**
   * For a command that serves nobody: signals mean what they mean to any program, also those that have come. SIGUSR1
   * means nothing, so that no debugger opens.
   */
  letGo(): void;
}

/** Listens from now on. */
export function listenEarly(process: EarlyProcess): EarlySignals {
  const arrived: ProgramSignal[] = [];
  const listeners = programSignals.map((signal) => ({ signal, remember: () => void arrived.push(signal) }));
  for (const { signal, remember } of listeners) process.on(signal, remember);
  return {
    passOn() {
      for (const { signal, remember } of listeners) process.off(signal, remember);
      return arrived.splice(0);
    },
    letGo() {
      for (const { signal, remember } of listeners) if (signal !== 'SIGUSR1') process.off(signal, remember);
      for (const signal of arrived.splice(0)) if (signal !== 'SIGUSR1') process.kill(process.pid, signal);
    },
  };
}
