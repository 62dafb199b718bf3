/**
 * More workers: the mix asked of a cold cache, which tells the hit ratio, and then saturated, which tells
 * what an answer costs. All threads share the server's one core, so the figure to trust is the CPU per answer; what
 * so many cores would answer is reckoned from it.
 */
import { scrape, sumOf } from './beside.js';
import { runDnsperf } from './dnsperf.js';
import { measureRun, type Sample, type Setting, type Subject, whileServed } from './measure.js';
import { type Server, zerohop } from './servers.js';
import { type Workload, workloads } from './workloads.js';

export const workerCounts = [1, 2, 4] as const;

export interface WorkersSample extends Sample {
  /** Of a cold cache, by the server's own count. */
  readonly hitRatio: number;
}

const mix = workloads.find(({ name }) => name === 'mix') as Workload;
/** So many that the kernel spreads them over the sockets of all threads. */
const clients = 64;
const coldSecondsMax = 20;

/** zerohop with so many workers. */
export function withWorkers(entry: string, workers: number): Server {
  return zerohop(`-workers ${workers}`, entry, { flags: ['-workers', String(workers)] });
}

export function measureWorkers(server: Server, setting: Setting): Promise<WorkersSample> {
  return whileServed(server, mix.aaaa, setting, async (subject) => {
    await askOnce(subject, setting);
    const hitRatio = hitRatioIn(await scrape(subject.metricsPort!));
    const sample = await measureRun(mix.runs[0], subject, { ...mix, clients }, setting);
    return { ...sample, hitRatio };
  });
}

function askOnce(subject: Subject, setting: Setting): Promise<unknown> {
  return runDnsperf({
    dnsperf: setting.dnsperf,
    core: setting.cores.load,
    to: subject.at,
    load: { transport: 'udp', clients, outstanding: 128, queriesPerSecond: null },
    questions: setting.questions.repeated.mix,
    seconds: coldSecondsMax,
    atEnd: 'done',
    latencies: null,
  });
}

/** Hits by all requests of the cache, as node-cache's dashboards have it. */
export function hitRatioIn(metrics: string): number {
  return sumOf(metrics, 'coredns_cache_hits_total') / sumOf(metrics, 'coredns_cache_requests_total');
}
