/**
 * How much memory a server keeps for itself: anonymous pages, which is what a container's limit counts and cannot be
 * given back, of the process and its descendants; after the start, and with so many answers in its cache.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { runDnsperf } from './dnsperf.js';
import { type Setting, type Subject, whileServed } from './measure.js';
import { distinctNames, writeLines } from './questions.js';
import type { Server } from './servers.js';
import { median } from './statistics.js';

export interface MemoryFigures {
  readonly name: string;
  /** Null where the server cannot keep so many. */
  readonly steps: readonly { readonly entries: number; readonly anonymousBytes: number | null }[];
}

export const memorySteps = [0, 10_000, 100_000] as const;

/** A process gives back or takes what it started with, and answers that are late are stored. */
const settleMs = 1500;
const fillSecondsMax = 60;
/** Slow enough for every question to be answered: what is lost is not kept. */
const fillLoad = { transport: 'udp', clients: 8, outstanding: 64, queriesPerSecond: null } as const;

/** Starts the server and fills its cache step by step. Throws when an answer on the way is missing or wrong. */
export async function measureMemory(
  server: Server,
  setting: Setting,
  steps: readonly number[] = memorySteps,
): Promise<MemoryFigures> {
  return whileServed(server, 'upstream', setting, async (subject) => {
    const measured: { entries: number; anonymousBytes: number | null }[] = [];
    let kept = 0;
    for (const entries of steps) {
      const isWithin = entries <= server.entriesMax;
      if (isWithin && entries > kept) await fillCache(subject, setting, { from: kept, to: entries });
      if (isWithin) await pause(settleMs);
      measured.push({ entries, anonymousBytes: isWithin ? anonymousBytes(subject.pid) : null });
      kept = entries;
    }
    return { name: server.name, steps: measured };
  });
}

/** The median of each step, of so many processes one after another. */
export async function measureMemoryTimes(times: number, measure: () => Promise<MemoryFigures>): Promise<MemoryFigures> {
  const all: MemoryFigures[] = [];
  for (let left = times; left > 0; left--) all.push(await measure());
  const steps = all[0].steps.map(({ entries }, index) => {
    const bytes = all.flatMap((each) => each.steps[index].anonymousBytes ?? []);
    return { entries, anonymousBytes: bytes.length === 0 ? null : median(bytes) };
  });
  return { name: all[0].name, steps };
}

/** Asks for so many names that are kept. Throws when an answer is missing or wrong. */
export async function fillCache(
  subject: Pick<Subject, 'at' | 'folder'>,
  setting: Setting,
  { from, to }: { from: number; to: number },
): Promise<void> {
  const questions = writeLines(subject.folder, `fill-${to}`, distinctNames('kept', to).slice(from));
  const { sent, rcodes } = await runDnsperf({
    dnsperf: setting.dnsperf,
    core: setting.cores.load,
    to: subject.at,
    load: fillLoad,
    questions,
    seconds: fillSecondsMax,
    atEnd: 'done',
    latencies: null,
  });
  const answered = rcodes['NOERROR'] ?? 0;
  // A thousandth is not seen in the memory; more would be a cache that is not full.
  if (answered < 0.999 * (to - from)) throw new Error(`only ${answered} of ${to - from} answers to ${sent} queries`);
}

/** RssAnon of the process and its descendants. */
export function anonymousBytes(pid: number, proc = '/proc'): number {
  const all = readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statusOf(join(proc, name, 'status')));
  const ofTree = (id: number): number =>
    all
      .filter((status) => status.pid === id || status.parent === id)
      .reduce((sum, status) => sum + (status.pid === id ? status.anonymousBytes : ofTree(status.pid)), 0);
  return ofTree(pid);
}

/** Nothing when the process is gone. */
function statusOf(path: string): { pid: number; parent: number; anonymousBytes: number }[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  const number = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return [{ pid: number('Pid'), parent: number('PPid'), anonymousBytes: number('RssAnon') * 1024 }];
}
