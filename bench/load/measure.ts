/**
 * One measurement: a fresh server process, asked until it is warm, then asked for some seconds at each rate while the
 * kernel counts its CPU. What is reported is CPU per answer that dnsperf has accepted, with everything that qualifies
 * it.
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/real/packets.js';
import { type BesideResult, goOnBeside, usualBeside } from './beside.js';
import { coreBusyMicroseconds, cpuBetween, cpuOf } from './cpu.js';
import { type LoadResult, runDnsperf } from './dnsperf.js';
import type { Percentiles } from './latency.js';
import { firstQuestion } from './names.js';
import type { QuestionFiles } from './questions.js';
import type { Server, ServerWish } from './servers.js';
import { whileServing } from './serving.js';
import { loadOf, type Rate, secondsAt, type Workload } from './workloads.js';

/** Where and how long, the same for every measurement of a run. */
export interface Setting {
  readonly dnsperf: string;
  readonly cores: { readonly server: number; readonly load: number };
  readonly upstream: ServerWish['upstream'];
  readonly questions: QuestionFiles;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** Each process gets a folder of its own in it. */
  readonly folder: string;
}

export interface Sample {
  readonly userMicrosecondsPerAnswer: number;
  readonly systemMicrosecondsPerAnswer: number;
  readonly microsecondsPerAnswer: number;
  readonly answersPerSecond: number;
  readonly sent: number;
  readonly answers: number;
  readonly lost: number;
  /** Answers with another rcode than the workload's. */
  readonly wrong: number;
  readonly latencyMs: LoadResult['latencyMs'];
  /** At a given rate; saturated, latency is but the length of the queue. */
  readonly percentilesMs: Percentiles | null;
  /** How much of its core the server used; well below 1 the load was the limit. */
  readonly serverShare: number;
  /** How much of the server's core was used by somebody else; above a few hundredths the machine was not ours. */
  readonly othersShare: number;
}

/** A server that serves, as everything that asks it wants to know it. */
export interface Subject {
  readonly pid: number;
  readonly at: ServerWish['at'];
  readonly metricsPort: number | null;
  readonly folder: string;
}

/** Runs `use` while this server serves on its core, in a folder of its own. */
export async function whileServed<T>(
  server: Server,
  aaaa: Workload['aaaa'],
  setting: Pick<Setting, 'cores' | 'upstream' | 'folder'>,
  use: (subject: Subject) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(setting.folder, 'server-'));
  const at = { address: '127.0.0.1', port: await freePort() };
  const sidePorts = [await freePort(), await freePort()] as const;
  const command = server.command({ folder, at, upstream: setting.upstream, sidePorts, aaaa });
  const place = { core: setting.cores.server, at, question: firstQuestion };
  const metricsPort = server.hasMetrics ? sidePorts[0] : null;
  return whileServing(command, place, (pid) => use({ pid, at, metricsPort, folder }));
}

/** Measures this server at this work: a sample for each rate. Throws when it does not serve or gives no answer. */
export async function measure(server: Server, workload: Workload, setting: Setting): Promise<Sample[]> {
  try {
    return await whileServed(server, workload.aaaa, setting, async (subject) => {
      await warmUp(subject, workload, setting);
      const samples: Sample[] = [];
      for (const rate of workload.rates) samples.push(await measureAt(rate, subject, workload, setting));
      return samples;
    });
  } catch (error) {
    throw new Error(`${server.name}, ${workload.name}: ${(error as Error).message}`, { cause: error });
  }
}

/** Filling a cache with a few thousand answers takes a fraction of it. */
const fillSecondsMax = 20;

async function warmUp(subject: Subject, workload: Workload, setting: Setting): Promise<void> {
  const { dnsperf, cores, warmUpSeconds } = setting;
  const { fill, warmUp: questions, atEnd } = setting.questions[workload.questions];
  const load = loadOf(workload, 'saturated');
  const everyRun = { dnsperf, core: cores.load, to: subject.at, load, latencies: null };
  if (fill !== null) await runDnsperf({ ...everyRun, questions: fill, seconds: fillSecondsMax, atEnd: 'done' });
  await runDnsperf({ ...everyRun, questions, seconds: warmUpSeconds, atEnd });
}

/** One measured run. */
export async function measureAt(rate: Rate, subject: Subject, workload: Workload, setting: Setting): Promise<Sample> {
  const { cores } = setting;
  const startedMs = performance.now();
  const coreBefore = coreBusyMicroseconds(cores.server);
  const before = cpuOf(subject.pid);
  const [result, beside] = await Promise.all([
    ask(rate, subject, workload, setting),
    workload.beside === 'nothing' ? null : askBeside(rate, subject, setting),
  ]);
  const used = cpuBetween(before, cpuOf(subject.pid));
  const busyMicroseconds = coreBusyMicroseconds(cores.server) - coreBefore;
  const elapsedMicroseconds = (performance.now() - startedMs) * 1000;

  if (result.completed === 0) throw new Error(`not one answer to ${result.sent} queries`);
  const all = [result, ...(beside === null ? [] : [beside.misses, beside.tcp])];
  const sum = (pick: (each: LoadResult) => number): number => all.reduce((total, each) => total + pick(each), 0);
  const answers = sum(({ completed }) => completed);
  return {
    userMicrosecondsPerAnswer: used.userMicroseconds / answers,
    systemMicrosecondsPerAnswer: used.systemMicroseconds / answers,
    microsecondsPerAnswer: used.totalMicroseconds / answers,
    answersPerSecond: answers / result.seconds,
    sent: sum(({ sent }) => sent),
    answers,
    lost: sum(({ lost }) => lost),
    wrong: answers - sum(({ rcodes }) => workload.rcodes.reduce((right, rcode) => right + (rcodes[rcode] ?? 0), 0)),
    latencyMs: result.latencyMs,
    percentilesMs: result.percentilesMs,
    serverShare: used.totalMicroseconds / (result.seconds * 1e6),
    othersShare: Math.max(0, busyMicroseconds - used.totalMicroseconds) / elapsedMicroseconds,
  };
}

function ask(rate: Rate, subject: Subject, workload: Workload, setting: Setting): Promise<LoadResult> {
  const { measured, atEnd } = setting.questions[workload.questions];
  return runDnsperf({
    dnsperf: setting.dnsperf,
    core: setting.cores.load,
    to: subject.at,
    load: loadOf(workload, rate),
    questions: measured,
    seconds: secondsAt(rate, setting.seconds),
    atEnd,
    latencies: rate === 'saturated' ? null : join(subject.folder, 'latencies'),
  });
}

function askBeside(rate: Rate, subject: Subject, setting: Setting): Promise<BesideResult> {
  const { questions, dnsperf, cores } = setting;
  return goOnBeside({
    ...usualBeside,
    run: { dnsperf, core: cores.load, to: subject.at, seconds: secondsAt(rate, setting.seconds) },
    distinct: questions.distinct.measured,
    positive: questions.positive.measured,
    metricsPort: subject.metricsPort,
  });
}
