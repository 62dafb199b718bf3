/**
 * What `npm run bench -- …` was asked for: arguments in, wishes or a sentence out. Nothing is run here; the names of
 * the workloads are given by the caller, so that this file knows none.
 */
import { parseArgs } from 'node:util';

export interface Wishes {
  /** The micro benches instead of the servers. */
  readonly micro: boolean;
  /** Fewer and shorter rounds: a first look, not figures to publish. */
  readonly quick: boolean;
  readonly rounds: number;
  /** Of each measured run of dnsperf. */
  readonly seconds: number;
  /** The workload to run; null runs all. */
  readonly only: string | null;
  /** A commit to compare the working tree with, in place of the other servers. */
  readonly against: string | null;
  /** Where the JSON goes; null lets the report choose. */
  readonly results: string | null;
}

export type Reading = { readonly wishes: Wishes } | { readonly help: string } | { readonly usage: string };

const full = { rounds: 5, seconds: 5 };
const short = { rounds: 3, seconds: 1.5 };
const roundsMax = 99;
const secondsMax = 600;

/** Reads the words behind `npm run bench --`. */
export function readArguments(words: readonly string[], workloads: readonly string[]): Reading {
  const parsed = parse(words);
  if (typeof parsed === 'string') return { usage: parsed };
  const { help, rounds, seconds, only, micro, quick, against, results } = parsed;
  if (help) return { help: helpText(workloads) };
  const usual = quick ? short : full;
  const wishes: Wishes = {
    micro: micro ?? false,
    quick: quick ?? false,
    rounds: rounds === undefined ? usual.rounds : Number(rounds),
    seconds: seconds === undefined ? usual.seconds : Number(seconds),
    only: only ?? null,
    against: against ?? null,
    results: results ?? null,
  };
  const wrong = whatIsWrong(wishes, workloads);
  return wrong === null ? { wishes } : { usage: wrong };
}

function parse(words: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...words],
      options: {
        help: { type: 'boolean', short: 'h' },
        micro: { type: 'boolean' },
        quick: { type: 'boolean' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        only: { type: 'string' },
        against: { type: 'string' },
        results: { type: 'string' },
      },
    });
    return values;
  } catch (error) {
    return (error as Error).message;
  }
}

function whatIsWrong({ rounds, seconds, only }: Wishes, workloads: readonly string[]): string | null {
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > roundsMax) {
    return `--rounds takes a whole number from 1 to ${roundsMax}`;
  }
  if (!(seconds >= 0.1 && seconds <= secondsMax)) return `--seconds takes a number from 0.1 to ${secondsMax}`;
  if (only !== null && !workloads.includes(only)) return `--only takes one of ${workloads.join(', ')}, not ${only}`;
  return null;
}

function helpText(workloads: readonly string[]): string {
  return `npm run bench -- [options]

Measures the CPU time per answer of zerohop and of Unbound, from Debian's packages dnsperf, unbound and knot, in
interleaved rounds of fresh processes: the server on one core, the load and the upstream on another.

  --quick            ${short.rounds} rounds of ${short.seconds} s instead of ${full.rounds} of ${full.seconds} s: under two minutes, and no figures to publish
  --rounds N         rounds per workload
  --seconds N        seconds of each measured run
  --only NAME        one workload: ${workloads.join(', ')}
  --against COMMIT   compares the working tree with this commit instead of with Unbound
  --results FOLDER   where the JSON goes; by default bench/results/, for partial runs bench/results/tmp/
  --micro            nanoseconds per call of the hot functions instead
`;
}
