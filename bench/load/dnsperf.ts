/**
 * Debian's dnsperf as the load: how it is called, and what it says at the end as numbers. It is the only judge of
 * what counts as an answer; it checks that each one belongs to a question it has sent.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type Finished, run, start } from '../../test/real/commands.js';
import type { Place } from '../../test/real/packets.js';
import { type Percentiles, percentilesOf } from './latency.js';

/** How hard it asks. */
export interface Load {
  readonly transport: 'udp' | 'tcp';
  /** Sockets. */
  readonly clients: number;
  /** Questions in flight at most. */
  readonly outstanding: number;
  /** Null: as fast as answers come back. */
  readonly queriesPerSecond: number | null;
}

export interface LoadRun {
  readonly dnsperf: string;
  readonly core: number;
  readonly to: Place;
  readonly load: Load;
  /** dnsperf's input: a name and a type per line. */
  readonly questions: string;
  /** Stops after so long; it may stop before at the end of the questions … */
  readonly seconds: number;
  /** … after which it begins again, or is done. */
  readonly atEnd: 'again' | 'done';
  /** A file for the latency of each answer, which dnsperf then prints; null where that would slow it down. */
  readonly latencies: string | null;
}

export interface LoadResult {
  readonly sent: number;
  readonly completed: number;
  readonly lost: number;
  /** Answers by rcode: `NOERROR`, `NXDOMAIN`, … */
  readonly rcodes: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly latencyMs: {
    readonly average: number;
    readonly min: number;
    readonly max: number;
    readonly deviation: number;
  };
  /** In milliseconds; null without `latencies`, or without an answer. */
  readonly percentilesMs: Percentiles | null;
}

/** A question without an answer for this long is lost. zerohop promises SERVFAIL within two seconds. */
const lostAfterSeconds = 3;

/** Runs dnsperf to its end. Throws with what it said when it fails. */
export async function runDnsperf(wish: LoadRun): Promise<LoadResult> {
  const patienceMs = (wish.seconds + lostAfterSeconds + 30) * 1000;
  return resultOf(await run(commandLine(wish), patienceMs), wish);
}

/** Starts dnsperf, to be stopped before its time. */
export function startDnsperf(wish: LoadRun): { stop(): Promise<LoadResult> } {
  const running = start(commandLine(wish));
  return {
    async stop() {
      // It says its statistics then.
      running.signal('SIGINT');
      return resultOf(await running.finished, wish);
    },
  };
}

function resultOf({ status, stdout, stderr }: Finished, { latencies }: LoadRun): LoadResult {
  if (status !== 0) throw new Error(`dnsperf ended with ${status}: ${stderr}${stdout}`);
  if (latencies === null) return { ...parseDnsperf(stdout), percentilesMs: null };
  return { ...parseDnsperf(readEnd(latencies)), percentilesMs: percentilesOf(latencies) };
}

/** More than its statistics, which are the last lines of the file. */
const statisticsBytesMax = 16 * 1024;

function readEnd(path: string): string {
  const file = openSync(path, 'r');
  try {
    const end = Buffer.alloc(statisticsBytesMax);
    const read = readSync(file, end, 0, end.length, Math.max(0, fstatSync(file).size - end.length));
    const text = end.toString('latin1', 0, read);
    return text.slice(Math.max(0, text.lastIndexOf('\nStatistics:')));
  } finally {
    closeSync(file);
  }
}

/** The command as one could type it. What it prints of each answer goes to the file without passing through us. */
export function commandLine({ dnsperf, core, to, load, questions, seconds, atEnd, latencies }: LoadRun): string[] {
  const intoFile = latencies === null ? [] : ['sh', '-c', 'exec "$@" >"$0"', latencies];
  const pinned = [...intoFile, 'taskset', '-c', String(core), dnsperf];
  const target = ['-s', to.address, '-p', String(to.port), '-m', load.transport, '-d', questions];
  const amount = ['-l', String(seconds), '-t', String(lostAfterSeconds), '-T', '1'];
  const pace = ['-c', String(load.clients), '-q', String(load.outstanding)];
  const rate = load.queriesPerSecond === null ? [] : ['-Q', String(load.queriesPerSecond)];
  const rest = [...(atEnd === 'done' ? ['-n', '1'] : []), ...(latencies === null ? [] : ['-v'])];
  return [...pinned, ...target, ...amount, ...pace, ...rate, ...rest];
}

/** Reads the statistics at the end of dnsperf's output; throws when they are not there. */
export function parseDnsperf(text: string): Omit<LoadResult, 'percentilesMs'> {
  const number = (name: string): number => {
    const found = new RegExp(`^ +${name}: +([\\d.]+)`, 'm').exec(text);
    if (found === null) throw new Error(`dnsperf says nothing about "${name}":\n${text}`);
    return Number(found[1]);
  };
  const completed = number('Queries completed');
  // Without an answer there is nothing to tell about rcodes and latency, and dnsperf leaves some of it out.
  const latency = /Average Latency \(s\): +([\d.]+) \(min ([\d.]+), max ([\d.]+)\)/.exec(text);
  const deviation = /Latency StdDev \(s\): +([\d.]+)/.exec(text);
  return {
    sent: number('Queries sent'),
    completed,
    lost: number('Queries lost'),
    rcodes: rcodesOf(/Response codes: +(.*)/.exec(text)?.[1] ?? ''),
    seconds: number('Run time \\(s\\)'),
    latencyMs: {
      average: Number(latency?.[1] ?? 0) * 1000,
      min: Number(latency?.[2] ?? 0) * 1000,
      max: Number(latency?.[3] ?? 0) * 1000,
      deviation: Number(deviation?.[1] ?? 0) * 1000,
    },
  };
}

function rcodesOf(line: string): Record<string, number> {
  return Object.fromEntries(
    [...line.matchAll(/(\S+) (\d+) \([\d.]+%\)/g)].map(([, name, count]) => [name, Number(count)]),
  );
}
