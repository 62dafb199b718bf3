/**
 * What was promised (docs: CPU per answer, latency, memory) against what was measured: one line per promise, met or
 * not. A promise whose figures are not in the report has no line. The promises are data; nothing is rounded in favour.
 */

import { ratios } from './load/statistics.js';
import { type Rate, rateText } from './load/workloads.js';
import { movesOf, type Report, type ServerFigures } from './report.js';

export interface Verdict {
  readonly promise: string;
  readonly measured: string;
  readonly isMet: boolean;
}

interface CpuTarget {
  readonly workload: string;
  readonly rate: Rate;
  readonly ratioMax: number;
  /** The cheapest of those that were measured counts. */
  readonly peers: readonly string[];
}

const caches = ['dnsdist', 'unbound', 'dnsmasq'];
const cpuTargets: readonly CpuTarget[] = [
  { workload: 'cached', rate: 'saturated', ratioMax: 0.85, peers: caches },
  { workload: 'cached', rate: 'saturated', ratioMax: 1, peers: ['knot (authoritative)'] },
  { workload: 'cached', rate: 'saturated', ratioMax: 0.28, peers: ['node-cache'] },
  { workload: 'cached', rate: 1000, ratioMax: 1, peers: ['dnsdist'] },
  { workload: 'cached', rate: 20_000, ratioMax: 1, peers: ['dnsdist'] },
  { workload: 'uncached', rate: 'saturated', ratioMax: 0.6, peers: ['unbound'] },
  { workload: 'uncached', rate: 'saturated', ratioMax: 0.3, peers: ['node-cache'] },
  { workload: 'uncached', rate: 1000, ratioMax: 1, peers: ['unbound'] },
  { workload: 'mixed', rate: 20_000, ratioMax: 1, peers: ['unbound'] },
];
/** A cold miss against a warm one at the same rate, of zerohop alone. */
const coldRatioMax = 1.2;

interface LatencyTarget {
  readonly workload: string;
  readonly rate: Rate;
  readonly of: readonly Latency[];
  /** Not above any of these that was measured. */
  readonly peers: readonly string[];
}

type Latency = 'p50' | 'p99' | 'p99.9' | 'longest';

const percentiles = ['p50', 'p99', 'p99.9'] as const;
const latencyTargets: readonly LatencyTarget[] = [
  { workload: 'cached', rate: 1000, of: percentiles, peers: ['dnsdist', 'unbound'] },
  { workload: 'cached', rate: 20_000, of: percentiles, peers: ['dnsdist', 'unbound'] },
  { workload: 'busy', rate: 20_000, of: percentiles, peers: ['dnsdist', 'unbound'] },
  { workload: 'mixed', rate: 20_000, of: [...percentiles, 'longest'], peers: ['dnsdist'] },
];
const mixedHitMaxMs = 5;

interface MemoryTarget {
  readonly entries: number;
  readonly megabytesMax: number;
}

/** V8 of Node.js 24 keeps more for itself. */
const memoryTargets = {
  20: [
    { entries: 0, megabytesMax: 30 },
    { entries: 10_000, megabytesMax: 40 },
    { entries: 100_000, megabytesMax: 60 },
  ],
  24: [
    { entries: 0, megabytesMax: 36 },
    { entries: 10_000, megabytesMax: 46 },
    { entries: 100_000, megabytesMax: 70 },
  ],
} as const satisfies Readonly<Record<number, readonly MemoryTarget[]>>;

/** All promises that this report can judge. */
export function verdicts(report: Report): Verdict[] {
  return [
    ...cpuTargets.flatMap((target) => cpuVerdict(report, target)),
    ...coldVerdict(report),
    ...latencyTargets.flatMap((target) => latencyVerdicts(report, target)),
    ...longestVerdict(report),
    ...memoryVerdicts(report),
    ...movesVerdicts(report),
    ...hitRatioVerdict(report),
  ];
}

function serversAt(report: Report, workload: string, rate: Rate): readonly ServerFigures[] {
  return report.workloads.find((each) => each.name === workload && each.rate === rate)?.servers ?? [];
}

function titleOf(report: Report, workload: string, rate: Rate): string {
  const { title = '' } = report.workloads.find((each) => each.name === workload) ?? {};
  return `${title}, ${rateText(rate)}`;
}

function cpuVerdict(report: Report, { workload, rate, ratioMax, peers }: CpuTarget): Verdict[] {
  const measured = serversAt(report, workload, rate).filter(
    ({ name, ratio }) => peers.includes(name) && ratio !== null,
  );
  if (measured.length === 0) return [];
  const hardest = measured.reduce((a, b) => (a.ratio!.median > b.ratio!.median ? a : b));
  const of = peers.length === 1 ? hardest.name : `the best of ${peers.join(', ')}`;
  return [
    {
      promise: `CPU, ${titleOf(report, workload, rate)}: at most ${ratioMax} × ${of}`,
      measured: `${hardest.ratio!.median.toFixed(2)} × ${hardest.name}`,
      isMet: hardest.ratio!.median <= ratioMax,
    },
  ];
}

function coldVerdict(report: Report): Verdict[] {
  const [cold] = report.workloads.filter(({ name }) => name === 'cold');
  const warm = cold === undefined ? [] : serversAt(report, 'uncached', cold.rate);
  if (cold === undefined || warm.length === 0) return [];
  const costs = ({ samples }: ServerFigures) => samples.map((sample) => sample.microsecondsPerAnswer);
  // Of each process its own warm figure.
  const { median } = ratios(costs(cold.servers[0]), costs(warm[0]));
  return [
    {
      promise: `CPU, ${titleOf(report, 'cold', cold.rate)}: at most ${coldRatioMax} × a warm process's`,
      measured: `${median.toFixed(2)} × warm`,
      isMet: median <= coldRatioMax,
    },
  ];
}

/** Below this, a difference between two latencies is that of two runs of the load. */
const latencyToleranceMs = 0.01;

function latencyVerdicts(report: Report, { workload, rate, of, peers }: LatencyTarget): Verdict[] {
  const [ours, ...others] = serversAt(report, workload, rate);
  return of.flatMap((which) => {
    const mine = ours === undefined ? null : latencyOf(ours, which);
    const theirs = others.flatMap((server) => {
      const ms = peers.includes(server.name) ? latencyOf(server, which) : null;
      return ms === null ? [] : [{ name: server.name, ms }];
    });
    if (mine === null || theirs.length === 0) return [];
    const text = theirs.map(({ name, ms }) => `${name} ${ms.toFixed(3)}`).join(', ');
    return [
      {
        promise: `${which}, ${titleOf(report, workload, rate)}: not above ${peers.join("'s and ")}'s`,
        measured: `${mine.toFixed(3)} ms; ${text}`,
        isMet: theirs.every(({ ms }) => mine <= ms + latencyToleranceMs),
      },
    ];
  });
}

function latencyOf({ percentilesMs, longestMs = null }: ServerFigures, which: Latency): number | null {
  if (which === 'longest') return longestMs;
  return percentilesMs?.[which === 'p99.9' ? 'p999' : which] ?? null;
}

function longestVerdict(report: Report): Verdict[] {
  const [ours] = serversAt(report, 'mixed', 20_000);
  if (ours === undefined || (ours.longestMs ?? null) === null) return [];
  const seconds = ours.samples.reduce((sum, { answers, answersPerSecond }) => sum + answers / answersPerSecond, 0);
  return [
    {
      promise: `longest, ${titleOf(report, 'mixed', 20_000)}: none above ${mixedHitMaxMs} ms in 5 minutes`,
      measured: `${ours.longestMs!.toFixed(1)} ms in ${Math.round(seconds)} s`,
      isMet: ours.longestMs! <= mixedHitMaxMs,
    },
  ];
}

function memoryVerdicts({ memory, machine }: Report): Verdict[] {
  const [ours] = memory;
  const targets = memoryTargets[Number.parseInt(machine.node.slice(1), 10) >= 24 ? 24 : 20];
  return targets.flatMap(({ entries, megabytesMax }) => {
    const bytes = ours?.steps.find((step) => step.entries === entries)?.anonymousBytes ?? null;
    if (bytes === null) return [];
    const when = entries === 0 ? 'after start' : `with ${entries.toLocaleString('en-US')} answers`;
    return [
      {
        promise: `anonymous memory ${when}: at most ${megabytesMax} MB`,
        measured: `${(bytes / 1e6).toFixed(1)} MB`,
        isMet: bytes <= megabytesMax * 1e6,
      },
    ];
  });
}

const moveMaxMs = 1000;
/** The p99 of one second differs by as much from that of another. */
const unmovedMs = 0.1;

function movesVerdicts({ moves = [] }: Report): Verdict[] {
  return movesOf(moves).flatMap(({ name, tookMs, moving, quiet }) => {
    const [p99, before] = [moving.percentilesMs!.p99, quiet.percentilesMs!.p99];
    const title = `${name} of ${moves[0].entries.toLocaleString('en-US')} names`;
    return [
      {
        promise: `${title}: less than ${moveMaxMs} ms`,
        measured: `${tookMs.max.toFixed(0)} ms at most`,
        isMet: tookMs.max < moveMaxMs,
      },
      {
        promise: `${title}: p99 of hits as in the second before`,
        measured: `${p99.toFixed(3)} ms; before ${before.toFixed(3)}`,
        isMet: p99 <= before + unmovedMs,
      },
    ];
  });
}

/** Two threads that miss the same name at once are one miss more, not another hit ratio. */
const hitRatioTolerance = 0.005;

function hitRatioVerdict({ workers }: Report): Verdict[] {
  const ratios = workers.map(({ hitRatio }) => hitRatio.median);
  if (ratios.length < 2) return [];
  return [
    {
      promise: 'the hit ratio does not depend on -workers',
      measured: workers.map((each) => `${each.workers}: ${each.hitRatio.median.toFixed(4)}`).join(', '),
      isMet: Math.max(...ratios) - Math.min(...ratios) <= hitRatioTolerance,
    },
  ];
}
