/**
 * The servers measured against each other: every workload, in rounds, with one upstream for all, and a word on
 * progress for each measurement.
 */
import { freePort } from '../../test/real/packets.js';
import { inTemporaryFolder } from '../cleanup.js';
import { figures, type WorkloadFigures } from '../report.js';
import { measure, type Sample, type Setting } from './measure.js';
import { writeQuestions } from './questions.js';
import { runRounds } from './rounds.js';
import type { Server } from './servers.js';
import { whileUpstreamServes } from './upstream.js';
import type { Workload } from './workloads.js';

export interface Match {
  /** Ours first. */
  readonly servers: readonly Server[];
  readonly workloads: readonly Workload[];
  readonly rounds: number;
  readonly seconds: number;
  readonly cores: Setting['cores'];
  readonly programs: { readonly dnsperf: string; readonly knotd: string };
  readonly progress: (line: string) => void;
}

/** Long enough for every name to be cached and for the compiler to have done its work. */
const warmUpSecondsMax = 2;

/** Measures all and leaves nothing running, nor files behind, whatever happens. */
export function runMatch(match: Match): Promise<WorkloadFigures[]> {
  return inTemporaryFolder('zerohop-bench-', async (folder) => {
    const { programs, cores, seconds } = match;
    const upstream = { address: '127.0.0.1', port: await freePort() };
    const warmUpSeconds = Math.min(warmUpSecondsMax, seconds);
    const questions = writeQuestions(folder, { warmUp: warmUpSeconds, measured: seconds });
    const setting: Setting = { dnsperf: programs.dnsperf, cores, upstream, questions, warmUpSeconds, seconds, folder };
    const knot = { knotd: programs.knotd, core: cores.load, folder, at: upstream };
    return whileUpstreamServes(knot, () => runWorkloads(match, setting));
  });
}

async function runWorkloads(match: Match, setting: Setting): Promise<WorkloadFigures[]> {
  const { servers, workloads, rounds, progress } = match;
  const all: WorkloadFigures[] = [];
  for (const workload of workloads) {
    progress(`${workload.title}:`);
    const subjects = servers.map((server) => ({
      name: server.name,
      measure: () => measure(server, workload, setting),
    }));
    const samples = await runRounds(subjects, rounds, (round, name, sample) =>
      progress(`  ${round + 1}/${rounds} ${name.padEnd(10)} ${sampleText(sample)}`),
    );
    all.push(figures(workload, samples));
  }
  return all;
}

function sampleText(sample: Sample): string {
  const cost = `${sample.microsecondsPerAnswer.toFixed(2).padStart(6)} µs CPU per answer`;
  const pace = `${Math.round(sample.answersPerSecond).toLocaleString('en-US').padStart(8)} answers/s`;
  const busy = `${Math.round(sample.serverShare * 100)} % of its core`;
  const trouble = [
    ...(sample.lost > 0 ? [`${sample.lost} lost`] : []),
    ...(sample.wrong > 0 ? [`${sample.wrong} wrong`] : []),
  ];
  return [cost, pace, busy, ...trouble].join(', ');
}
