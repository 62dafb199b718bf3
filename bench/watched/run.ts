/**
 * What watching costs: a zerohop that answers cached names at a steady rate, with nobody, a command or a page watching.
 * Differences are far below those between two processes, so one process does all, and each watcher is measured in turn
 * with nobody. What the watcher itself takes is on the load's core and does not count.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { programVersion } from '../../src/config/version.js';
import { askControl } from '../../src/control/client.js';
import { systemClock } from '../../src/os/clock.js';
import { commandSockets } from '../../src/process/control-handlers.js';
import { builtEntry } from '../../test/corpus/repository.js';
import { freePort } from '../../test/real/packets.js';
import { inTemporaryFolder } from '../cleanup.js';
import { type CpuTime, cpuBetween, cpuOf } from '../load/cpu.js';
import { runDnsperf } from '../load/dnsperf.js';
import { type Setting, type Subject, whileServed } from '../load/measure.js';
import { runRounds } from '../load/rounds.js';
import { whileSet } from '../load/run.js';
import { zerohop } from '../load/servers.js';
import { median, ratios, type Spread } from '../load/statistics.js';
import { loadOf } from '../load/workloads.js';

export interface WatchedWish {
  readonly rounds: number;
  /** Of each half of a pair. */
  readonly seconds: number;
  readonly cores: Setting['cores'];
  readonly programs: { readonly dnsperf: string; readonly knotd: string };
  say(line: string): void;
}

export interface WatchedSample {
  /** Of the whole process. */
  readonly microsecondsPerAnswer: number;
  /**
   * Of all threads but the busiest, which is the worker that answers. What watching takes is mostly theirs, and hardly
   * anything else is, so it says more than the whole, which the machine moves more than a watcher.
   */
  readonly restMsPerSecond: number;
}

/** One watcher and nobody, one after the other. */
export interface WatchedPair {
  readonly watched: WatchedSample;
  readonly alone: WatchedSample;
}

export type WatchedFigures = ReadonlyMap<string, readonly WatchedPair[]>;

/** Starts to watch; what it gives ends that, and rejects if it had ended before. */
type Watch = () => () => Promise<void>;

const queriesPerSecond = 20_000;
const warmSeconds = 3;
/** So long it takes until hits are sampled as they will be. */
const settleMs = 1_500;
const clients = 16;

/** Measures, and leaves nothing running. Throws when a watcher ends before its time. */
export function measureWatched(wish: WatchedWish): Promise<WatchedFigures> {
  return inTemporaryFolder('zerohop-watched-', (folder) =>
    whileSet(wish, async (setting) => {
      const control = join(folder, 'control.sock');
      const page = `127.0.0.1:${await freePort()}`;
      const server = zerohop('zerohop', builtEntry, { flags: [`-control=${control}`, `-page=${page}`] });
      return whileServed(server, 'upstream', setting, async (subject) => {
        await measureOnce(setting, subject, warmSeconds);
        return measurePairs(wish, setting, subject, watchesOf(control, page));
      });
    }),
  );
}

function measurePairs(
  { rounds, say }: WatchedWish,
  setting: Setting,
  subject: Subject,
  watches: Readonly<Record<string, Watch>>,
): Promise<WatchedFigures> {
  const subjects = Object.entries(watches).map(([name, watch]) => ({
    name,
    measure: async (round: number): Promise<WatchedPair> => {
      const alone = (): Promise<WatchedSample> => measureOnce(setting, subject, setting.seconds);
      const watched = (): Promise<WatchedSample> => whileWatched(watch, alone);
      if (round % 2 === 0) return { alone: await alone(), watched: await watched() };
      return { watched: await watched(), alone: await alone() };
    },
  }));
  return runRounds(subjects, rounds, (round, name, { watched, alone }) => {
    const [from, to] = [alone, watched].map(sampleText);
    say(`  ${round + 1}/${rounds} ${name.padEnd(13)} ${from}; watched ${to}`);
  });
}

async function whileWatched<Value>(watch: Watch, use: () => Promise<Value>): Promise<Value> {
  const end = watch();
  try {
    await pause(settleMs);
    return await use();
  } finally {
    await end();
  }
}

function watchesOf(control: string, page: string): Readonly<Record<string, Watch>> {
  return {
    tail: () => ask(control, 'tail', {}),
    'tail -slow 50': () => ask(control, 'tail', { slowMs: 50 }),
    top: () => ask(control, 'top', {}),
    'page open': () => readPage(`http://${page}/events`),
  };
}

/** As the command of this name does, but for the screen. */
function ask(path: string, command: string, given: Readonly<Record<string, unknown>>): () => Promise<void> {
  const deps = { clock: systemClock(), sockets: commandSockets(process.env), path, version: programVersion() };
  let isEnding = false;
  const answer = askControl(deps, { command, arguments: given, silenceMsMax: null, item() {} });
  const over = answer.outcome.then((outcome) => {
    if (!isEnding) throw new Error(`${command} has ended by itself: ${outcome.ok ? '' : outcome.sentence}`);
  });
  return () => {
    isEnding = true;
    answer.stop();
    return over;
  };
}

function readPage(url: string): () => Promise<void> {
  const gone = new AbortController();
  const reading = readAll(url, gone.signal);
  return async () => {
    gone.abort();
    await reading;
  };
}

async function readAll(url: string, signal: AbortSignal): Promise<void> {
  try {
    const { body } = await fetch(url, { signal });
    for await (const part of body!) void part;
  } catch (error) {
    if (!signal.aborted) throw error;
    return;
  }
  throw new Error(`${url} ended by itself`);
}

async function measureOnce(setting: Setting, { pid, at }: Subject, seconds: number): Promise<WatchedSample> {
  const { dnsperf, cores, questions } = setting;
  const load = loadOf({ transport: 'udp', clients }, queriesPerSecond);
  const [before, startedMs] = [cpuOf(pid), performance.now()];
  const { completed } = await runDnsperf({
    dnsperf,
    core: cores.load,
    to: at,
    load,
    questions: questions.repeated.positive,
    seconds,
    atEnd: 'again',
    latencies: null,
  });
  const [after, tookMs] = [cpuOf(pid), performance.now() - startedMs];
  return {
    microsecondsPerAnswer: cpuBetween(before, after).totalMicroseconds / completed,
    restMsPerSecond: restMicroseconds(before, after) / tookMs,
  };
}

function restMicroseconds(before: CpuTime, after: CpuTime): number {
  const each = [...(after.threads ?? [])].map(([id, used]) => used - (before.threads?.get(id) ?? 0));
  return each.reduce((sum, used) => sum + used, 0) - Math.max(...each);
}

function sampleText({ microsecondsPerAnswer, restMsPerSecond }: WatchedSample): string {
  return `${microsecondsPerAnswer.toFixed(2)} µs, the other threads ${restMsPerSecond.toFixed(2)} ms/s`;
}

/** Markdown. */
export function watchedText(figures: WatchedFigures): string {
  const alone = [...figures.values()].flat().map((pair) => pair.alone);
  const rows = [...figures].map(([name, pairs]) => {
    const ratio = ratios(
      pairs.map(({ watched }) => watched.microsecondsPerAnswer),
      pairs.map((pair) => pair.alone.microsecondsPerAnswer),
    );
    return watchedRow(
      name,
      pairs.map(({ watched }) => watched),
      moreText(ratio),
    );
  });
  return [
    '| who watches | CPU per answer, µs | more than with nobody just before or after | threads but the worker, ms a second |',
    '|---|--:|--:|--:|',
    watchedRow('nobody', alone, ''),
    ...rows,
  ].join('\n');
}

function watchedRow(name: string, samples: readonly WatchedSample[], more: string): string {
  const perAnswer = median(samples.map(({ microsecondsPerAnswer }) => microsecondsPerAnswer));
  const restMs = median(samples.map(({ restMsPerSecond }) => restMsPerSecond));
  return `| ${name} | ${perAnswer.toFixed(2)} | ${more} | ${restMs.toFixed(1)} |`;
}

/** Of the median pair, and of the lowest and the highest. */
function moreText(ratio: Spread): string {
  const [middle, min, max] = [ratio.median, ratio.min, ratio.max].map((each) => ((each - 1) * 100).toFixed(1));
  return `${middle} % (${min} to ${max})`;
}
