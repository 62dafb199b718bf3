/** Reports for the tests of what is made of them. */
import type { Sample } from '../../bench/load/measure.js';
import type { MoveName, MoveSample, MovesFigures } from '../../bench/moves/run.js';
import { figures, type Report } from '../../bench/report.js';

export function sample(microsecondsPerAnswer: number, rest: Partial<Sample> = {}): Sample {
  return {
    microsecondsPerAnswer,
    userMicrosecondsPerAnswer: microsecondsPerAnswer / 4,
    systemMicrosecondsPerAnswer: (microsecondsPerAnswer * 3) / 4,
    answersPerSecond: 100_000,
    sent: 1000,
    answers: 1000,
    lost: 0,
    wrong: 0,
    percentilesMs: null,
    latencyMs: { average: 1, min: 0.1, max: 5, deviation: 0.2 },
    serverShare: 0.9,
    othersShare: 0.01,
    ...rest,
  };
}

export const cached = { name: 'cached', title: 'cached answer', rate: 'saturated' } as const;
export const samples: ReadonlyMap<string, readonly Sample[]> = new Map([
  ['zerohop', [sample(4), sample(5), sample(6)]],
  ['unbound', [sample(8, { lost: 6 }), sample(10), sample(8, { wrong: 30 })]],
]);

export function reportOf(its: ReadonlyMap<string, readonly Sample[]>): Report {
  return {
    command: 'npm run bench',
    at: '2026-01-02T03:04:05.678Z',
    commit: { name: 'abc1234', dirty: false },
    machine: { cpu: 'A CPU', cores: 2, kernel: '6.1', node: 'v20.1.0', loadBefore: 0.1 },
    versions: { dnsperf: '2.10.0' },
    cores: { server: 0, load: 1 },
    rounds: 3,
    seconds: 5,
    workloads: [figures(cached, its)],
    memory: [],
    workers: [],
    moves: [],
    repeated: [],
  };
}

/** A reload and two takeovers. */
export const moves: MovesFigures = {
  entries: 100_000,
  hitsPerSecond: 5000,
  sent: 100_000,
  lost: 7,
  samples: [move('reload', 200, 0.3), move('takeover', 900, 0.4), move('takeover', 1100, 2)],
};

function move(name: MoveName, tookMs: number, p99: number): MoveSample {
  const quietMs = { p50: 0.1, p99: 0.3, p999: 1, max: 2 };
  return { name, tookMs, cpuMs: tookMs / 2, quietMs, movingMs: { ...quietMs, p99, max: 10 * p99 } };
}
