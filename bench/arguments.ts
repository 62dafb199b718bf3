/**
 * What `npm run bench -- …` was asked for: arguments in, wishes or a sentence out. Nothing is run here; the names of
 * workloads and servers are given by the caller, so that this file knows none.
 */
import { parseArgs } from 'node:util';
import type { Rate } from './load/workloads.js';

export interface Peer {
  readonly name: string;
  readonly path: string;
}

export interface Wishes {
  /** The micro benches instead of the servers. */
  readonly micro: boolean;
  /** One short round: a first look, not figures to publish. */
  readonly quick: boolean;
  readonly rounds: number;
  /** Of each measured run of dnsperf. */
  readonly seconds: number;
  /** The workload to run; null runs all. */
  readonly only: string | null;
  /** The rate for all workloads; null leaves each its own. */
  readonly rate: Rate | null;
  /** The servers to compare with; null compares with all. */
  readonly servers: readonly string[] | null;
  /** Programs with node-cache's command line that are measured, too. */
  readonly peers: readonly Peer[];
  /** A commit to compare the working tree with, in place of the other servers. */
  readonly against: string | null;
  /** The kernel lane beside others, a pod asking, instead of the comparison. */
  readonly lane: boolean;
  /** Walks through search lists instead of the comparison. */
  readonly walks: boolean;
  /** What those who watch queries cost instead of the comparison. */
  readonly watched: boolean;
  /** Seconds of everything at once instead of the comparison. */
  readonly soak: number | null;
  /** A report's JSON to show in the pages instead of measuring. */
  readonly report: string | null;
  /** Where the JSON goes; null lets the report choose. */
  readonly results: string | null;
}

/** What there is to choose from. */
export interface Choices {
  readonly workloads: readonly string[];
  readonly servers: readonly string[];
}

export type Reading = { readonly wishes: Wishes } | { readonly help: string } | { readonly usage: string };

const full = { rounds: 5, seconds: 1.5 };
const short = { rounds: 1, seconds: 0.6 };
const roundsMax = 99;
const secondsMax = 600;
const soakSecondsMin = 10;
const soakSecondsMax = 86_400;
const rateMax = 1_000_000;

/** Reads the words behind `npm run bench --`. */
export function readArguments(words: readonly string[], choices: Choices): Reading {
  const parsed = parse(words);
  if (typeof parsed === 'string') return { usage: parsed };
  const {
    help,
    rounds,
    seconds,
    only,
    rate,
    servers,
    peer,
    micro,
    quick,
    against,
    lane,
    walks,
    watched,
    soak,
    report,
    results,
  } = parsed;
  if (help) return { help: helpText(choices) };
  const usual = quick ? short : full;
  const wishes: Wishes = {
    micro: micro ?? false,
    quick: quick ?? false,
    rounds: rounds === undefined ? usual.rounds : Number(rounds),
    seconds: seconds === undefined ? usual.seconds : Number(seconds),
    only: only ?? null,
    rate: rate === undefined ? null : rate === 'max' ? 'saturated' : Number(rate),
    servers: servers === undefined ? null : servers.split(','),
    peers: (peer ?? []).map(peerOf),
    against: against ?? null,
    lane: lane ?? false,
    walks: walks ?? false,
    watched: watched ?? false,
    soak: soak === undefined ? null : Number(soak),
    report: report ?? null,
    results: results ?? null,
  };
  const wrong = whatIsWrong(wishes, choices);
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
        rate: { type: 'string' },
        servers: { type: 'string' },
        peer: { type: 'string', multiple: true },
        against: { type: 'string' },
        lane: { type: 'boolean' },
        walks: { type: 'boolean' },
        watched: { type: 'boolean' },
        soak: { type: 'string' },
        report: { type: 'string' },
        results: { type: 'string' },
      },
    });
    return values;
  } catch (error) {
    return (error as Error).message;
  }
}

/** NAME=PATH; without the sign both are empty, which is found wrong. */
function peerOf(text: string): Peer {
  const at = text.indexOf('=');
  return at < 0 ? { name: '', path: '' } : { name: text.slice(0, at), path: text.slice(at + 1) };
}

function whatIsWrong(wishes: Wishes, choices: Choices): string | null {
  const { rounds, seconds, only, rate, servers, peers, soak } = wishes;
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > roundsMax) {
    return `--rounds takes a whole number from 1 to ${roundsMax}`;
  }
  if (!(seconds >= 0.1 && seconds <= secondsMax)) return `--seconds takes a number from 0.1 to ${secondsMax}`;
  if (only !== null && !choices.workloads.includes(only)) {
    return `--only takes one of ${choices.workloads.join(', ')}, not ${only}`;
  }
  if (typeof rate === 'number' && !(Number.isInteger(rate) && rate >= 1 && rate <= rateMax)) {
    return `--rate takes a whole number of questions a second from 1 to ${rateMax}, or max`;
  }
  const stranger = servers?.find((name) => !choices.servers.includes(name));
  if (stranger !== undefined) return `--servers takes ${choices.servers.join(',')}, not ${stranger}`;
  const names = peers.map(({ name }) => name);
  if (peers.some(({ name, path }) => name === '' || path === '')) return '--peer takes NAME=PATH';
  if (new Set([...names, ...choices.servers]).size < names.length + choices.servers.length) {
    return '--peer takes a name that no other server has';
  }
  if (soak !== null && !(soak >= soakSecondsMin && soak <= soakSecondsMax)) {
    return `--soak takes a number of seconds from ${soakSecondsMin} to ${soakSecondsMax}`;
  }
  return null;
}

function helpText({ workloads, servers }: Choices): string {
  return `npm run bench -- [options]

Measures the CPU time per answer, the latency and the memory of zerohop and of others, from Debian's packages, in
interleaved rounds of fresh processes: the server on one core, the load and the upstream on another.

  --quick            ${short.rounds} round of ${short.seconds} s instead of ${full.rounds} of ${full.seconds} s: under three minutes, and no figures to publish
  --rounds N         rounds per workload
  --seconds N        seconds of each measured run
  --only NAME        one of ${workloads.join(', ')};
                     "mixed" with --seconds 60 makes five minutes of five rounds, "moves" repeats all moves each round
  --rate N           questions a second for all workloads, or max
  --servers A,B      compares with these of ${servers.join(', ')} only
  --peer NAME=PATH   compares with a program that takes node-cache's command line, too; may be repeated;
                     what is promised about node-cache is judged by the one of that name
  --against COMMIT   compares the working tree with this commit instead of with others
  --lane             the kernel lane instead: a pod behind a veth asks, and all CPU is counted; needs root
  --walks            what looking up a new name costs through a pod's search list, with cuts and without, instead
  --watched          what tail, top and the live page cost at 20,000 questions a second, instead
  --soak SECONDS     everything at once for so long instead: what is lost, the slowest answers, the memory
  --report FILE      puts the figures of such a JSON into README.md and docs/FIGURES.md instead of measuring
  --results FOLDER   where the JSON goes; by default bench/results/, for partial runs bench/results/tmp/
  --micro            nanoseconds per call of the hot functions instead
`;
}
