/**
 * One measurement: a fresh server process, asked while it is cold if the workload wants that, then until it is warm,
 * then for some seconds in each run while the kernel counts its CPU. What is reported is CPU per answer that dnsperf
 * has accepted, with everything that qualifies it.
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/real/packets.js';
import { type BesideWish, goOnBeside, scrapeUntil } from './beside.js';
import { coreBusyMicroseconds, cpuBetween, cpuOf } from './cpu.js';
import { type LoadResult, type LoadRun, runDnsperf } from './dnsperf.js';
import type { Percentiles } from './latency.js';
import { firstQuestion } from './names.js';
import type { QuestionFiles } from './questions.js';
import type { Server, ServerWish } from './servers.js';
import { whileServing } from './serving.js';
import {
  type Beside,
  coldQuestions,
  loadOf,
  type Run,
  secondsOf,
  type Workload,
  warmUpSecondsOf,
} from './workloads.js';

/** Where and how long, the same for every measurement of a run. */
export interface Setting {
  readonly dnsperf: string;
  readonly cores: { readonly server: number; readonly load: number };
  readonly upstream: ServerWish['upstream'];
  readonly questions: QuestionFiles;
  /** Of a run; workloads.ts says which are longer. */
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

/** Measures this server at this work: a sample for each run. Throws when it does not serve or gives no answer. */
export async function measure(server: Server, workload: Workload, setting: Setting): Promise<Sample[]> {
  try {
    return await whileServed(server, workload.aaaa, setting, async (subject) => {
      const samples: Sample[] = [];
      let isWarm = false;
      for (const run of workload.runs) {
        if (!run.isCold && !isWarm) await warmUp(subject, workload, setting);
        isWarm = !run.isCold;
        samples.push(await measureRun(run, subject, workload, setting));
      }
      return samples;
    });
  } catch (error) {
    throw new Error(`${server.name}, ${workload.name}: ${(error as Error).message}`, { cause: error });
  }
}

/** Filling a cache with a few thousand answers, and a thousand cold misses, take a fraction of it. */
const onceSecondsMax = 20;

/** More than any server answers in a second over one upstream; dnsperf stops where they end. */
const distinctPerSecond = 60_000;

/** A server that is scraped while it is measured is scraped while it warms up. */
const warmScrapeEverySeconds = 0.5;

async function warmUp(subject: Subject, workload: Workload, setting: Setting): Promise<void> {
  const { dnsperf, cores, questions, seconds } = setting;
  const everyRun = { dnsperf, core: cores.load, to: subject.at, latencies: null };
  const saturated = (transport: Workload['transport']) => loadOf({ transport, clients: workload.clients }, 'saturated');
  if (workload.questions === 'mix') {
    const fill = { questions: questions.mixOnce, load: saturated('udp'), seconds: onceSecondsMax };
    await runDnsperf({ ...everyRun, ...fill, atEnd: 'done' });
  }
  const over = new AbortController();
  const isScraped = workload.runs.some(({ beside }) => beside !== null);
  const every = { everySeconds: warmScrapeEverySeconds, seconds };
  const scrapes = scrapeUntil(over.signal, isScraped ? subject.metricsPort : null, every);
  try {
    for (const step of workload.warmUp) {
      const its = warmUpSecondsOf(step, seconds);
      const asked =
        step.questions === 'once'
          ? ({ questions: questions.once('warm', Math.ceil(its * distinctPerSecond)), atEnd: 'done' } as const)
          : ({ questions: questions.repeated[step.questions], atEnd: 'again' } as const);
      await runDnsperf({ ...everyRun, ...asked, load: saturated(step.transport), seconds: its });
    }
  } finally {
    over.abort();
    await scrapes;
  }
}

/** One measured run. */
export async function measureRun(run: Run, subject: Subject, workload: Workload, setting: Setting): Promise<Sample> {
  const { cores } = setting;
  // What they read is written before the clock starts.
  const asked = askedIn(run, subject, workload, setting);
  const askedBeside = run.beside === null ? null : besideIn(run, run.beside, subject, setting);
  const startedMs = performance.now();
  const coreBefore = coreBusyMicroseconds(cores.server);
  const before = cpuOf(subject.pid);
  const [result, beside] = await Promise.all([
    runDnsperf(asked),
    askedBeside === null ? null : goOnBeside(askedBeside),
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

function askedIn(run: Run, subject: Subject, workload: Workload, setting: Setting): LoadRun {
  const seconds = run.isCold ? onceSecondsMax : secondsOf(run, setting.seconds);
  const { repeated, once } = setting.questions;
  const count = run.isCold
    ? coldQuestions
    : Math.ceil(seconds * (run.rate === 'saturated' ? distinctPerSecond : run.rate));
  return {
    dnsperf: setting.dnsperf,
    core: setting.cores.load,
    to: subject.at,
    load: loadOf(workload, run.rate),
    questions: workload.questions === 'once' ? once(`${run.name}-${run.rate}`, count) : repeated[workload.questions],
    seconds,
    atEnd: workload.questions === 'once' ? 'done' : 'again',
    latencies: run.rate === 'saturated' ? null : join(subject.folder, 'latencies'),
  };
}

function besideIn(run: Run, beside: Beside, subject: Subject, setting: Setting): BesideWish {
  const { questions, dnsperf, cores } = setting;
  const seconds = secondsOf(run, setting.seconds);
  return {
    ...beside,
    run: { dnsperf, core: cores.load, to: subject.at, seconds },
    distinct: questions.once(`beside-${run.name}`, Math.ceil(seconds * beside.missesPerSecond)),
    positive: questions.repeated.positive,
    metricsPort: subject.metricsPort,
  };
}
