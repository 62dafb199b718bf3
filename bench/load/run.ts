/**
 * The servers measured against each other: every workload, in rounds, with one upstream for all, then memory and
 * numbers of threads, and a word on progress for each measurement.
 */
import { spawnSync } from 'node:child_process';
import { freePort } from '../../test/real/packets.js';
import { inTemporaryFolder } from '../cleanup.js';
import { type MovesFigures, measureMoves } from '../moves/run.js';
import { figures, type WorkersFigures, type WorkloadFigures, workersFigures } from '../report.js';
import type { Percentiles } from './latency.js';
import { measure, type Sample, type Setting } from './measure.js';
import { type MemoryFigures, measureMemory, measureMemoryTimes } from './memory.js';
import { writeQuestions } from './questions.js';
import { runRounds } from './rounds.js';
import { isAble, type Server } from './servers.js';
import { whileUpstreamServes } from './upstream.js';
import { measureWorkers } from './workers.js';
import { rateText, type Workload } from './workloads.js';

export interface Match {
  /** Ours first. */
  readonly servers: readonly Server[];
  readonly workloads: readonly Workload[];
  readonly rounds: number;
  readonly seconds: number;
  readonly cores: Setting['cores'];
  readonly programs: { readonly dnsperf: string; readonly knotd: string };
  /** Those whose memory is measured; not in rounds, as it does not depend on what else goes on. */
  readonly memoryOf: readonly Server[];
  /** Ours with different numbers of threads. */
  readonly workers: readonly { readonly workers: number; readonly server: Server }[];
  /** The built entry whose reload, snapshot and takeover are measured, and how many times all of them. */
  readonly moves: { readonly entry: string; readonly times: number } | null;
  readonly progress: (line: string) => void;
}

export interface Figures {
  readonly workloads: readonly WorkloadFigures[];
  readonly memory: readonly MemoryFigures[];
  readonly workers: readonly WorkersFigures[];
  readonly moves: readonly MovesFigures[];
  /** Why measurements have failed that were then made once more, a sentence each. */
  readonly repeated: readonly string[];
}

/** Measures all and leaves nothing running, nor files behind, whatever happens. */
export function runMatch(match: Match): Promise<Figures> {
  const repeated: string[] = [];
  return whileSet(match, async (setting) => ({
    workloads: await runWorkloads(match, setting, repeated),
    memory: await runMemory(match, setting, repeated),
    workers: await runWorkers(match, setting, repeated),
    moves: await runMoves(match, setting, repeated),
    repeated,
  }));
}

/** What is there for every server: the upstream, the questions, and the load's core for everything but the server. */
export function whileSet<T>(
  { programs, cores, seconds }: Pick<Match, 'programs' | 'cores' | 'seconds'>,
  use: (setting: Setting) => Promise<T>,
): Promise<T> {
  spawnSync('taskset', ['-a', '-c', '-p', String(cores.load), String(process.pid)]);
  return inTemporaryFolder('zerohop-bench-', async (folder) => {
    const upstream = { address: '127.0.0.1', port: await freePort() };
    const questions = writeQuestions(folder);
    const setting: Setting = { dnsperf: programs.dnsperf, cores, upstream, questions, seconds, folder };
    const knot = { knotd: programs.knotd, core: cores.load, folder, at: upstream };
    return whileUpstreamServes(knot, () => use(setting));
  });
}

async function runWorkloads(match: Match, setting: Setting, repeated: string[]): Promise<WorkloadFigures[]> {
  const { servers, workloads, rounds, progress } = match;
  const all: WorkloadFigures[] = [];
  for (const workload of workloads) {
    progress(`${workload.name}:`);
    const subjects = servers
      .filter((server) => isAble(server, workload))
      .map((server) => ({
        name: server.name,
        measure: () => onceMore(repeated, () => measure(server, workload, setting)),
      }));
    const samples = await runRounds(subjects, rounds, (round, name, measured) => {
      for (const [index, sample] of measured.entries()) {
        const row = `${workload.runs[index].name}, ${rateText(workload.runs[index].rate)}`;
        progress(`  ${round + 1}/${rounds} ${name.padEnd(20)} ${row.padEnd(20)} ${sampleText(sample)}`);
      }
    });
    for (const [index, run] of workload.runs.entries()) {
      const ofRun = [...samples].map(([name, its]) => [name, its.map((measured) => measured[index])] as const);
      all.push(figures(run, new Map(ofRun)));
    }
  }
  return all;
}

/** A collector gives back memory sooner or later, by some megabytes; servers without one hardly vary. */
const ourMemoryTimes = 3;

async function runMemory(
  { servers, memoryOf, progress }: Match,
  setting: Setting,
  repeated: string[],
): Promise<MemoryFigures[]> {
  const all: MemoryFigures[] = [];
  if (memoryOf.length > 0) progress('memory:');
  for (const server of memoryOf) {
    const times = server === servers[0] ? ourMemoryTimes : 1;
    const figure = await onceMore(repeated, () => measureMemoryTimes(times, () => measureMemory(server, setting)));
    const texts = figure.steps.map(({ entries, anonymousBytes }) =>
      anonymousBytes === null ? '' : `${(anonymousBytes / 1e6).toFixed(1)} MB with ${entries.toLocaleString('en-US')}`,
    );
    progress(`  ${server.name.padEnd(20)} ${texts.filter(Boolean).join(', ')}`);
    all.push(figure);
  }
  return all;
}

async function runWorkers(
  { workers, rounds, progress }: Match,
  setting: Setting,
  repeated: string[],
): Promise<WorkersFigures[]> {
  if (workers.length === 0) return [];
  progress('workers:');
  const subjects = workers.map(({ server }) => ({
    name: server.name,
    measure: () => onceMore(repeated, () => measureWorkers(server, setting)),
  }));
  const samples = await runRounds(subjects, rounds, (round, name, sample) =>
    progress(
      `  ${round + 1}/${rounds} ${name.padEnd(20)} ${sampleText(sample)}, hit ratio ${sample.hitRatio.toFixed(4)}`,
    ),
  );
  return workers.map((each) => workersFigures(each.workers, samples.get(each.server.name)!));
}

async function runMoves({ moves, progress }: Match, setting: Setting, repeated: string[]): Promise<MovesFigures[]> {
  const all: MovesFigures[] = [];
  if (moves !== null) progress('moves:');
  for (let left = moves?.times ?? 0; left > 0; left--) {
    const figures = await onceMore(repeated, () => measureMoves(moves!.entry, setting));
    for (const { name, tookMs, cpuMs, movingMs, quietMs } of figures.samples) {
      const hits = `hits in that second ${percentilesText(movingMs)}; before ${percentilesText(quietMs)}`;
      progress(`  ${name.padEnd(20)} ${tookMs.toFixed(0).padStart(5)} ms, ${cpuMs.toFixed(0)} of CPU; ${hits}`);
    }
    all.push(figures);
  }
  return all;
}

/** A measurement that fails, as when somebody else has taken its port meanwhile, is made again once, and that is told. */
async function onceMore<T>(repeated: string[], measurement: () => Promise<T>): Promise<T> {
  try {
    return await measurement();
  } catch (error) {
    repeated.push((error as Error).message.trim());
    return measurement();
  }
}

function sampleText(sample: Sample): string {
  const cost = `${sample.microsecondsPerAnswer.toFixed(2).padStart(6)} µs CPU per answer`;
  const pace = `${Math.round(sample.answersPerSecond).toLocaleString('en-US').padStart(8)} answers/s`;
  const busy = `${Math.round(sample.serverShare * 100)} % of its core`;
  const more = [
    ...(sample.percentilesMs === null ? [] : [percentilesText(sample.percentilesMs)]),
    ...(sample.lost > 0 ? [`${sample.lost} lost`] : []),
    ...(sample.wrong > 0 ? [`${sample.wrong} wrong`] : []),
  ];
  return [cost, pace, busy, ...more].join(', ');
}

function percentilesText({ p50, p99, max }: Percentiles): string {
  return `p50 ${p50.toFixed(3)}, p99 ${p99.toFixed(3)}, longest ${max.toFixed(1)} ms`;
}
