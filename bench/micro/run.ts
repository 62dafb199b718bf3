/** `npm run bench -- --micro`: all micro benches one after the other, a line each. */
import type { Wishes } from '../arguments.js';
import { benches } from './benches.js';
import { type MicroResult, measureMicro } from './measure.js';

/** Runs and prints them; a round takes so many seconds for all of them together. */
export function microBenches(
  { rounds, seconds }: Pick<Wishes, 'rounds' | 'seconds'>,
  print: (text: string) => void,
): void {
  print(`${'ns per call'.padEnd(32)} median (lowest–highest) of ${rounds}\n`);
  const milliseconds = (seconds * 1000) / benches.length;
  for (const bench of benches) print(`${lineOf(measureMicro(bench, { rounds, milliseconds }))}\n`);
}

function lineOf({ name, nanosecondsPerCall: { median, min, max }, sum }: MicroResult): string {
  if (Number.isNaN(sum)) throw new Error(`${name}: a call went another way than the one to be measured`);
  return `${name.padEnd(32)} ${median.toFixed(0).padStart(6)} (${min.toFixed(0)}–${max.toFixed(0)})`;
}
