/**
 * Nanoseconds per call of a function that takes so little that a clock around one call would measure the clock: it
 * is called in batches long enough to be timed, several times, and the median counts.
 */
import { type Spread, spread } from '../load/statistics.js';

export interface MicroBench {
  readonly name: string;
  /** Sets up what the call works on. The call's result is added up, so that nothing of it can be left out. */
  make(): () => number;
}

export interface MicroWish {
  readonly rounds: number;
  /** Of each batch. */
  readonly milliseconds: number;
}

export interface MicroResult {
  readonly name: string;
  readonly nanosecondsPerCall: Spread;
  /** The sum of all results, which proves that the calls were made. */
  readonly sum: number;
}

/** Measures after one batch that only warms up. `now` is a clock that counts nanoseconds. */
export function measureMicro(
  bench: MicroBench,
  { rounds, milliseconds }: MicroWish,
  now: () => bigint = process.hrtime.bigint,
): MicroResult {
  const call = bench.make();
  let sum = 0;
  const timeBatch = (calls: number): number => {
    const started = now();
    for (let left = calls; left > 0; left--) sum += call();
    return Number(now() - started);
  };
  const calls = callsFor(timeBatch, milliseconds * 1e6);
  const costs = Array.from({ length: rounds }, () => timeBatch(calls) / calls);
  return { name: bench.name, nanosecondsPerCall: spread(costs), sum };
}

/** How many calls take about so long, found by doubling; the compiler gets its chance meanwhile. */
function callsFor(timeBatch: (calls: number) => number, nanoseconds: number): number {
  for (let calls = 64; ; calls *= 2) {
    const taken = timeBatch(calls);
    if (taken >= nanoseconds) return Math.max(1, Math.round((calls * nanoseconds) / taken));
  }
}
