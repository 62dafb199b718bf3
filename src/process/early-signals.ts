/**
 * Remembers signals that come while the program is still being loaded, which takes tenths of a second on a busy node.
 * Node.js's own reaction would open a debugger on SIGUSR1 (docs/decisions/no-debugger-by-signal.md), and end the
 * process as failed on the others. Imports nothing, so that nothing is loaded before it.
 */

export const programSignals = ['SIGHUP', 'SIGUSR1', 'SIGTERM', 'SIGINT'] as const;
export type ProgramSignal = (typeof programSignals)[number];

interface EarlyProcess {
  readonly pid: number;
  on(signal: ProgramSignal, arrived: () => void): unknown;
  off(signal: ProgramSignal, arrived: () => void): unknown;
  kill(pid: number, signal: ProgramSignal): unknown;
}

export interface EarlySignals {
  /**
   * The signals so far, in order. Call it with another listener in place: without any, Node.js would react by itself.
   */
  passOn(): readonly ProgramSignal[];
  /** For a command that does not serve: signals act as usual, earlier ones too; SIGUSR1 still opens no debugger. */
  letGo(): void;
}

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
