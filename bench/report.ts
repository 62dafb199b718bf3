/**
 * Samples become figures: medians per server, ratios per pair of rounds. What spoils a figure (lost or wrong answers,
 * a neighbour on the core) stays with it. How figures are shown is the business of tables.ts and chart.ts.
 */
import type { Percentiles } from './load/latency.js';
import type { Sample } from './load/measure.js';
import type { MemoryFigures } from './load/memory.js';
import { median, ratios, type Spread, spread } from './load/statistics.js';
import type { WorkersSample } from './load/workers.js';
import type { Rate } from './load/workloads.js';
import type { Commit, Machine } from './machine.js';
import { type MoveName, type MovesFigures, moveNames } from './moves/run.js';

/** How the figures came about. */
export interface Provenance {
  readonly command: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly commit: Commit;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly cores: { readonly server: number; readonly load: number };
  readonly rounds: number;
  readonly seconds: number;
}

export interface ServerFigures {
  readonly name: string;
  readonly microsecondsPerAnswer: Spread;
  readonly userMicrosecondsPerAnswer: number;
  readonly systemMicrosecondsPerAnswer: number;
  readonly answersPerSecond: number;
  /** The median of the rounds' percentiles; null where saturation makes them the length of a queue. */
  readonly percentilesMs: Percentiles | null;
  /** The longest of all rounds; absent in reports of earlier versions. */
  readonly longestMs?: number | null;
  readonly answers: number;
  readonly lost: number;
  readonly wrong: number;
  /** Ours divided by this server's, round by round; null for ours. */
  readonly ratio: Spread | null;
  readonly othersShareMax: number;
  readonly samples: readonly Sample[];
}

export interface WorkloadFigures {
  readonly name: string;
  readonly title: string;
  readonly rate: Rate;
  /** Ours first. */
  readonly servers: readonly ServerFigures[];
}

/** Workers on one core. */
export interface WorkersFigures {
  readonly workers: number;
  readonly microsecondsPerAnswer: Spread;
  readonly answersPerSecond: number;
  readonly lost: number;
  readonly wrong: number;
  readonly hitRatio: Spread;
  /** What as many cores would answer, by the CPU per answer. */
  readonly projectedAnswersPerSecond: number;
  readonly samples: readonly WorkersSample[];
}

export interface Report extends Provenance {
  readonly workloads: readonly WorkloadFigures[];
  readonly memory: readonly MemoryFigures[];
  /** Why measurements have failed that were then made once more. */
  readonly repeated: readonly string[];
  readonly workers: readonly WorkersFigures[];
  /** Absent in reports of earlier versions. */
  readonly moves?: readonly MovesFigures[];
}

/** The figures of one workload from each server's samples; the first server is ours. */
export function figures(
  workload: Pick<WorkloadFigures, 'name' | 'title' | 'rate'>,
  samples: ReadonlyMap<string, readonly Sample[]>,
): WorkloadFigures {
  const [ours] = samples.values();
  const servers = [...samples].map(([name, its]) => serverFigures(name, its, its === ours ? null : ours));
  return { name: workload.name, title: workload.title, rate: workload.rate, servers };
}

function serverFigures(name: string, samples: readonly Sample[], ours: readonly Sample[] | null): ServerFigures {
  const all = (pick: (sample: Sample) => number): number[] => samples.map(pick);
  const sum = (pick: (sample: Sample) => number): number => all(pick).reduce((total, value) => total + value, 0);
  const costs = all((sample) => sample.microsecondsPerAnswer);
  // The kernel samples which of the two it was, so the rounds together know it better than each.
  const userShare =
    sum((sample) => sample.userMicrosecondsPerAnswer * sample.answers) /
    sum((sample) => sample.microsecondsPerAnswer * sample.answers);
  return {
    name,
    microsecondsPerAnswer: spread(costs),
    userMicrosecondsPerAnswer: median(costs) * userShare,
    systemMicrosecondsPerAnswer: median(costs) * (1 - userShare),
    answersPerSecond: median(all((sample) => sample.answersPerSecond)),
    ...latenciesOf(samples.map(({ percentilesMs }) => percentilesMs)),
    answers: sum((sample) => sample.answers),
    lost: sum((sample) => sample.lost),
    wrong: sum((sample) => sample.wrong),
    ratio:
      ours === null
        ? null
        : ratios(
            ours.map((sample) => sample.microsecondsPerAnswer),
            costs,
          ),
    othersShareMax: Math.max(...all((sample) => sample.othersShare)),
    samples,
  };
}

type Latencies = Pick<ServerFigures, 'percentilesMs'> & { readonly longestMs: number | null };

/** The medians of the rounds' percentiles, and the longest of all. */
function latenciesOf(rounds: readonly (Percentiles | null)[]): Latencies {
  const all = rounds.filter((each) => each !== null);
  if (all.length === 0) return { percentilesMs: null, longestMs: null };
  const of = (pick: (each: Percentiles) => number): number => median(all.map(pick));
  const percentilesMs = {
    p50: of(({ p50 }) => p50),
    p99: of(({ p99 }) => p99),
    p999: of(({ p999 }) => p999),
    max: of(({ max }) => max),
  };
  return { percentilesMs, longestMs: Math.max(...all.map(({ max }) => max)) };
}

/** One kind of move, of all that were made. */
interface MoveFigures {
  readonly name: MoveName;
  readonly tookMs: Spread;
  readonly cpuMs: number;
  readonly moving: Latencies;
  readonly quiet: Latencies;
}

/** The figures of each kind of move. */
export function movesOf(moves: readonly MovesFigures[]): readonly MoveFigures[] {
  const all = moves.flatMap(({ samples }) => samples);
  return moveNames.flatMap((name) => {
    const its = all.filter((sample) => sample.name === name);
    if (its.length === 0) return [];
    return [
      {
        name,
        tookMs: spread(its.map(({ tookMs }) => tookMs)),
        cpuMs: median(its.map(({ cpuMs }) => cpuMs)),
        moving: latenciesOf(its.map(({ movingMs }) => movingMs)),
        quiet: latenciesOf(its.map(({ quietMs }) => quietMs)),
      },
    ];
  });
}

/** The figures of so many threads from their rounds. */
export function workersFigures(workers: number, samples: readonly WorkersSample[]): WorkersFigures {
  const cost = spread(samples.map((sample) => sample.microsecondsPerAnswer));
  return {
    workers,
    microsecondsPerAnswer: cost,
    answersPerSecond: median(samples.map((sample) => sample.answersPerSecond)),
    lost: samples.reduce((sum, { lost }) => sum + lost, 0),
    wrong: samples.reduce((sum, { wrong }) => sum + wrong, 0),
    hitRatio: spread(samples.map(({ hitRatio }) => hitRatio)),
    projectedAnswersPerSecond: (workers * 1e6) / cost.median,
    samples,
  };
}
