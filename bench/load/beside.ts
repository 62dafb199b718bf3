/**
 * What goes on beside the work that is measured: questions that must be asked upstream, TCP clients, and a Prometheus
 * that scrapes. It runs on the load's core, for as long as it is told.
 */
import { get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { type LoadResult, type LoadRun, runDnsperf } from './dnsperf.js';
import type { Beside } from './workloads.js';

export interface BesideWish extends Beside {
  /** Everything of a run but its questions, load and file. */
  readonly run: Omit<LoadRun, 'questions' | 'load' | 'latencies' | 'atEnd'>;
  /** As many names as there are misses, each asked once. */
  readonly distinct: string;
  readonly positive: string;
  /** Null for a server without metrics. */
  readonly metricsPort: number | null;
}

export interface BesideResult {
  readonly misses: LoadResult;
  readonly tcp: LoadResult;
  readonly scrapes: number;
}

/** Keeps it up to the end of its runs. */
export async function goOnBeside(wish: BesideWish): Promise<BesideResult> {
  const { run, distinct, positive, missesPerSecond, tcpPerSecond, scrapeEverySeconds, metricsPort } = wish;
  const plain = { ...run, latencies: null };
  const load = (transport: 'udp' | 'tcp', queriesPerSecond: number) =>
    ({ transport, clients: 4, outstanding: 256, queriesPerSecond }) as const;
  const over = new AbortController();
  const scrapes = scrapeUntil(over.signal, metricsPort, { everySeconds: scrapeEverySeconds, seconds: run.seconds });
  try {
    const [misses, tcp] = await Promise.all([
      runDnsperf({ ...plain, questions: distinct, load: load('udp', missesPerSecond), atEnd: 'done' }),
      runDnsperf({ ...plain, questions: positive, load: load('tcp', tcpPerSecond), atEnd: 'again' }),
    ]);
    over.abort();
    return { misses, tcp, scrapes: await scrapes };
  } finally {
    over.abort();
  }
}

/** Scrapes in the middle of each interval, and of a run that is shorter than one; gives how often. */
export async function scrapeUntil(
  over: AbortSignal,
  port: number | null,
  { everySeconds, seconds }: { readonly everySeconds: number; readonly seconds: number },
): Promise<number> {
  const wait = (milliseconds: number): Promise<void> =>
    pause(milliseconds, undefined, { signal: over }).catch(() => {});
  let scrapes = 0;
  await wait(500 * Math.min(everySeconds, seconds));
  while (!over.aborted && port !== null) {
    await scrape(port);
    scrapes++;
    await wait(1000 * everySeconds);
  }
  return scrapes;
}

/** The metrics of a server that serves them on this port of 127.0.0.1. */
export function scrape(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path: '/metrics', agent: false }, (response) => {
      let text = '';
      response
        .setEncoding('utf8')
        .on('data', (part: string) => {
          text += part;
        })
        .on('end', () => resolve(text))
        .on('error', reject);
    });
    request.on('error', reject);
  });
}

/** Adds up a metric over its labels; 0 when it is not there. */
export function sumOf(metrics: string, name: string): number {
  const samples = metrics.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'));
  return [...samples].reduce((total, [, value]) => total + Number(value), 0);
}
