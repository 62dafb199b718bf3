/**
 * `npm run bench -- --soak SECONDS`: hits as fast as they are answered, misses, TCP clients and scrapes at once, for as
 * long as one likes, and a slow stream of hits on the side whose latency is looked at. In every second stretch the
 * main thread is made to wait 200 ms once a second, by a reload that reads a slow file.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Place } from '../../test/real/packets.js';
import { goOnBeside, scrape } from '../load/beside.js';
import { type LoadResult, runDnsperf } from '../load/dnsperf.js';
import type { Percentiles } from '../load/latency.js';
import { type Setting, whileServed } from '../load/measure.js';
import { anonymousBytes } from '../load/memory.js';
import { firstQuestion } from '../load/names.js';
import { distinctNames, writeLines } from '../load/questions.js';
import { type Match, whileSet } from '../load/run.js';
import type { Server } from '../load/servers.js';
import { type LossCounts, lossCounts, lossesBetween, worstOverTcp } from './probes.js';
import { makeSlowFile, type SlowFile } from './slow-file.js';

export interface SoakWish {
  /** zerohop, whose Corefile imports the file that this is given. */
  readonly server: (slowFile: string) => Server;
  readonly seconds: number;
  readonly cores: Match['cores'];
  readonly programs: Match['programs'];
  readonly say: (line: string) => void;
}

export interface Stretch {
  readonly atSeconds: number;
  readonly control: 'free' | 'blocked';
  /** Of the hits on the side. */
  readonly hitsMs: Percentiles | null;
  /** What a TCP client waited at most: whether the main thread was blocked indeed. */
  readonly controlWorstMs: number;
  readonly anonymousBytes: number;
}

type Traffic = Pick<LoadResult, 'sent' | 'completed' | 'lost'> & { readonly failed: number };

export interface SoakResult {
  readonly seconds: number;
  readonly stretches: readonly Stretch[];
  readonly traffic: Readonly<Record<'hits' | 'hitsOnTheSide' | 'misses' | 'tcp', Traffic>>;
  readonly scrapes: number;
  readonly reloads: number;
  /** Counted by somebody, in all. */
  readonly losses: LossCounts;
}

const stretchSecondsMax = 5;
const blockMs = 200;
const blockEveryMs = 1000;
const readWithinMs = 10_000;
const missesPerSecond = 500;
const tcpPerSecond = 500;
const scrapeEverySeconds = 0.5;
const sidePerSecond = 500;
/** All loads have ended when the last stretch does, give or take so much. */
const spareSeconds = 5;
const warmUpSecondsMax = 1;

/** Soaks the server and leaves nothing behind. */
export function soak(wish: SoakWish): Promise<SoakResult> {
  const { programs, cores, say } = wish;
  return whileSet({ programs, cores, seconds: wish.seconds }, async (setting) => {
    const path = join(setting.folder, 'slow');
    const slowFile = makeSlowFile(path, '# Read slowly.\n');
    try {
      return await whileServed(wish.server(path), 'upstream', setting, (subject) =>
        soakServer(
          { ...subject, metricsPort: subject.metricsPort! },
          { setting, slowFile, seconds: wish.seconds, say },
        ),
      );
    } finally {
      await slowFile.close();
    }
  });
}

interface Soaked {
  readonly pid: number;
  readonly at: Place;
  readonly metricsPort: number;
  readonly folder: string;
}

interface Means {
  readonly setting: Setting;
  readonly slowFile: SlowFile;
  readonly seconds: number;
  readonly say: (line: string) => void;
}

async function soakServer(subject: Soaked, means: Means): Promise<SoakResult> {
  const { setting, seconds } = means;
  const { at: to, metricsPort, folder } = subject;
  const run = { dnsperf: setting.dnsperf, core: setting.cores.load, to, seconds };
  const positive = setting.questions.repeated.positive;
  const distinct = writeLines(folder, 'soak', distinctNames('soak', missesPerSecond * (seconds + spareSeconds)));
  const saturating = { transport: 'udp', clients: 8, outstanding: 128, queriesPerSecond: null } as const;
  const hits = { ...run, questions: positive, load: saturating, atEnd: 'again', latencies: null } as const;
  await runDnsperf({ ...hits, seconds: Math.min(warmUpSecondsMax, seconds / 2) });

  const before = lossCounts(await scrape(metricsPort));
  const [saturated, beside, side] = await Promise.all([
    runDnsperf(hits),
    goOnBeside({ run, distinct, positive, missesPerSecond, tcpPerSecond, scrapeEverySeconds, metricsPort }),
    runStretches(subject, means),
  ]);
  const losses = lossesBetween(before, lossCounts(await scrape(metricsPort)));
  const traffic = {
    hits: trafficOf([saturated]),
    hitsOnTheSide: trafficOf(side.results),
    misses: trafficOf([beside.misses]),
    tcp: trafficOf([beside.tcp]),
  };
  return { seconds, stretches: side.stretches, traffic, scrapes: beside.scrapes, reloads: side.reloads, losses };
}

async function runStretches(subject: Soaked, means: Means) {
  const { seconds, say } = means;
  const stretchSeconds = Math.min(stretchSecondsMax, seconds / 5);
  const startedMs = performance.now();
  const stretches: Stretch[] = [];
  const results: LoadResult[] = [];
  let reloads = 0;
  // By the clock: what a stretch takes beside its load adds up, and the last ones would be without the others' load.
  for (let atSeconds = 0; atSeconds + stretchSeconds <= seconds; atSeconds = (performance.now() - startedMs) / 1000) {
    const control = stretches.length % 2 === 0 ? 'free' : 'blocked';
    const over = new AbortController();
    const worst = worstOverTcp(subject.at, firstQuestion, over.signal);
    const blocking = control === 'free' ? Promise.resolve(0) : blockUntil(over.signal, subject.pid, means.slowFile);
    const result = await askOnTheSide(subject, means.setting, stretchSeconds);
    over.abort();
    reloads += await blocking;
    const stretch: Stretch = {
      atSeconds: Math.round(atSeconds),
      control,
      hitsMs: result.percentilesMs,
      controlWorstMs: await worst,
      anonymousBytes: anonymousBytes(subject.pid),
    };
    stretches.push(stretch);
    results.push(result);
    say(stretchText(stretch));
  }
  return { stretches, results, reloads };
}

function askOnTheSide({ at: to, folder }: Soaked, setting: Setting, seconds: number): Promise<LoadResult> {
  return runDnsperf({
    dnsperf: setting.dnsperf,
    core: setting.cores.load,
    to,
    load: { transport: 'udp', clients: 4, outstanding: 1000, queriesPerSecond: sidePerSecond },
    questions: setting.questions.repeated.positive,
    seconds,
    atEnd: 'again',
    latencies: join(folder, 'latencies'),
  });
}

/** Has the configuration read again and again, slowly; gives how often. */
async function blockUntil(over: AbortSignal, pid: number, slowFile: SlowFile): Promise<number> {
  let blocks = 0;
  while (!over.aborted) {
    const held = slowFile.holdNext(blockMs);
    process.kill(pid, 'SIGHUP');
    const late = pause(readWithinMs, 'late' as const, { ref: false });
    if ((await Promise.race([held, late])) === 'late') throw new Error('the configuration was not read again');
    blocks++;
    await pause(blockEveryMs - blockMs, undefined, { signal: over }).catch(() => {});
  }
  return blocks;
}

function trafficOf(results: readonly LoadResult[]): Traffic {
  const sum = (pick: (result: LoadResult) => number): number => results.reduce((total, each) => total + pick(each), 0);
  const completed = sum((result) => result.completed);
  return {
    sent: sum((result) => result.sent),
    completed,
    lost: sum((result) => result.lost),
    failed: completed - sum(({ rcodes }) => rcodes['NOERROR'] ?? 0),
  };
}

function stretchText({ atSeconds, control, hitsMs, controlWorstMs, anonymousBytes: bytes }: Stretch): string {
  const hits = hitsMs === null ? 'no hits' : `hits p50 ${hitsMs.p50.toFixed(3)}, p99 ${hitsMs.p99.toFixed(3)} ms`;
  return `  ${String(atSeconds).padStart(4)} s, main thread ${control.padEnd(7)} (worst ${controlWorstMs.toFixed(0)} ms): \
${hits}, max ${hitsMs?.max.toFixed(1) ?? '-'} ms, ${(bytes / 1e6).toFixed(1)} MB`;
}
