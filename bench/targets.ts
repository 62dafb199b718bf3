/**
 * What was promised (docs: CPU per answer, latency, memory) against what was measured: one line per promise, met or
 * not. A promise whose figures are not in the report has no line. The promises are data; nothing is rounded in favour.
 */

import type { Rate } from './load/workloads.js';
import type { Report, ServerFigures } from './report.js';

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
  { workload: 'cached', rate: 1000, ratioMax: 1.1, peers: ['dnsdist'] },
  { workload: 'cached', rate: 20_000, ratioMax: 1, peers: ['dnsdist'] },
  { workload: 'uncached', rate: 'saturated', ratioMax: 0.55, peers: ['unbound'] },
  { workload: 'uncached', rate: 'saturated', ratioMax: 0.3, peers: ['node-cache'] },
];
const latencyTargets = [
  { workload: 'cached', rate: 1000 },
  { workload: 'cached', rate: 20_000 },
  { workload: 'busy', rate: 20_000 },
] as const;
const latencyPeers = ['dnsdist', 'unbound'];
const memoryMaxMegabytes = new Map([
  [0, 30],
  [10_000, 40],
  [100_000, 80],
]);

/** All promises that this report can judge. */
export function verdicts(report: Report): Verdict[] {
  return [
    ...cpuTargets.flatMap((target) => cpuVerdict(report, target)),
    ...latencyTargets.flatMap(({ workload, rate }) => latencyVerdicts(report, workload, rate)),
    ...memoryVerdicts(report),
    ...hitRatioVerdict(report),
  ];
}

function serversAt(report: Report, workload: string, rate: Rate): readonly ServerFigures[] {
  return report.workloads.find((each) => each.name === workload && each.rate === rate)?.servers ?? [];
}

function titleOf(report: Report, workload: string, rate: Rate): string {
  const { title = '' } = report.workloads.find((each) => each.name === workload) ?? {};
  return `${title}, ${rate === 'saturated' ? 'saturated' : `${rate.toLocaleString('en-US')} q/s`}`;
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

/** Below this, a difference between two latencies is that of two runs of the load. */
const latencyToleranceMs = 0.01;

function latencyVerdicts(report: Report, workload: string, rate: Rate): Verdict[] {
  const [ours, ...others] = serversAt(report, workload, rate);
  const peers = others.filter(({ name, percentilesMs }) => latencyPeers.includes(name) && percentilesMs !== null);
  const mine = ours?.percentilesMs ?? null;
  if (mine === null || peers.length === 0) return [];
  return (['p50', 'p99', 'p999'] as const).map((which) => {
    const theirs = peers.map(({ name, percentilesMs }) => ({ name, ms: percentilesMs![which] }));
    const text = theirs.map(({ name, ms }) => `${name} ${ms.toFixed(3)}`).join(', ');
    const label = which === 'p999' ? 'p99.9' : which;
    return {
      promise: `${label}, ${titleOf(report, workload, rate)}: not above ${latencyPeers.join("'s and ")}'s`,
      measured: `${mine[which].toFixed(3)} ms; ${text}`,
      isMet: theirs.every(({ ms }) => mine[which] <= ms + latencyToleranceMs),
    };
  });
}

function memoryVerdicts({ memory }: Report): Verdict[] {
  const [ours] = memory;
  return (ours?.steps ?? []).flatMap(({ entries, anonymousBytes }) => {
    const most = memoryMaxMegabytes.get(entries);
    if (most === undefined || anonymousBytes === null) return [];
    const when = entries === 0 ? 'after start' : `with ${entries.toLocaleString('en-US')} answers`;
    return [
      {
        promise: `anonymous memory ${when}: at most ${most} MB`,
        measured: `${(anonymousBytes / 1e6).toFixed(1)} MB`,
        isMet: anonymousBytes <= most * 1e6,
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
