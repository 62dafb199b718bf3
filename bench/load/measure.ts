/**
 * One measurement: a fresh server process, asked until it is warm, then asked for some seconds while the kernel
 * counts its CPU. What is reported is CPU per answer that dnsperf has accepted, with everything that qualifies it.
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/real/packets.js';
import { coreBusyMicroseconds, cpuBetween, cpuOf, totalMicroseconds } from './cpu.js';
import { type LoadResult, runDnsperf } from './dnsperf.js';
import { firstQuestion, type QuestionFiles } from './questions.js';
import type { Server, ServerWish } from './servers.js';
import { whileServing } from './serving.js';
import type { Workload } from './workloads.js';

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
  /** How much of its core the server used; well below 1 the load was the limit. */
  readonly serverShare: number;
  /** How much of the server's core was used by somebody else; above a few hundredths the machine was not ours. */
  readonly othersShare: number;
}

/** Measures this server at this work. Throws when it does not serve or gives not one answer. */
export async function measure(server: Server, workload: Workload, setting: Setting): Promise<Sample> {
  const folder = mkdtempSync(join(setting.folder, `${workload.name}-`));
  const at = { address: '127.0.0.1', port: await freePort() };
  const sidePort = await freePort();
  const command = server.command({ folder, at, upstream: setting.upstream, sidePort, aaaa: workload.aaaa });
  const place = { core: setting.cores.server, at, question: firstQuestion };
  try {
    return await whileServing(command, place, (pid) => measureProcess(pid, at, workload, setting));
  } catch (error) {
    throw new Error(`${server.name}, ${workload.name}: ${(error as Error).message}`, { cause: error });
  }
}

async function measureProcess(
  pid: number,
  to: ServerWish['at'],
  workload: Workload,
  setting: Setting,
): Promise<Sample> {
  const { dnsperf, cores } = setting;
  const questions = setting.questions[workload.questions];
  const everyRun = { dnsperf, core: cores.load, to, load: workload.load };
  const atEnd = questions.warmUp === questions.measured ? 'again' : 'done';
  await runDnsperf({ ...everyRun, questions: questions.warmUp, seconds: setting.warmUpSeconds, atEnd });

  const startedMs = performance.now();
  const coreBefore = coreBusyMicroseconds(cores.server);
  const before = cpuOf(pid);
  const result = await runDnsperf({ ...everyRun, questions: questions.measured, seconds: setting.seconds, atEnd });
  const used = cpuBetween(before, cpuOf(pid));
  const busyMicroseconds = coreBusyMicroseconds(cores.server) - coreBefore;
  const elapsedMicroseconds = (performance.now() - startedMs) * 1000;

  if (result.completed === 0) throw new Error(`not one answer to ${result.sent} queries`);
  const others = Math.max(0, busyMicroseconds - totalMicroseconds(used));
  return {
    userMicrosecondsPerAnswer: used.userMicroseconds / result.completed,
    systemMicrosecondsPerAnswer: used.systemMicroseconds / result.completed,
    microsecondsPerAnswer: totalMicroseconds(used) / result.completed,
    answersPerSecond: result.completed / result.seconds,
    sent: result.sent,
    answers: result.completed,
    lost: result.lost,
    wrong: result.completed - (result.rcodes[workload.rcode] ?? 0),
    latencyMs: result.latencyMs,
    serverShare: totalMicroseconds(used) / (result.seconds * 1e6),
    othersShare: others / elapsedMicroseconds,
  };
}
