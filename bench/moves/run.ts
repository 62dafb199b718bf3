/**
 * What clients notice when a process with a full cache reloads, writes its snapshot, or is succeeded by another one:
 * hits at a steady rate all the time, those in the second of each move beside those in the second before. Successor and
 * predecessor share the server's core, as on a node that has no core to spare.
 */
import { appendFileSync, mkdtempSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Running, start } from '../../test/real/commands.js';
import { freePort, type Place } from '../../test/real/packets.js';
import { scrape, sumOf } from '../load/beside.js';
import { cpuOf } from '../load/cpu.js';
import { runDnsperf, startDnsperf } from '../load/dnsperf.js';
import { latenciesIn, type Percentiles, percentiles } from '../load/latency.js';
import type { Setting } from '../load/measure.js';
import { fillCache } from '../load/memory.js';
import { zerohop } from '../load/servers.js';

/** In this order: a snapshot is written half a minute after the start, and later ones after that of a successor. */
export const moveNames = ['reload', 'snapshot', 'takeover'] as const;
export type MoveName = (typeof moveNames)[number];

export interface MoveSample {
  readonly name: MoveName;
  /**
   * reload: from the signal to the new configuration in force; snapshot: from the new file to its place; takeover: from
   * the start of the process to the moment from which it serves.
   */
  readonly tookMs: number;
  /** Of predecessor and successor together, the hits that they answered meanwhile included. */
  readonly cpuMs: number;
  /** The second before. */
  readonly quietMs: Percentiles;
  /** The second that begins with the move, or all of a move that takes longer. */
  readonly movingMs: Percentiles;
}

export interface MovesFigures {
  readonly entries: number;
  readonly hitsPerSecond: number;
  readonly sent: number;
  readonly lost: number;
  readonly samples: readonly MoveSample[];
}

export interface MovesWish {
  readonly entries: number;
  readonly moves: readonly MoveName[];
  /** Of each move but the snapshot. */
  readonly times: number;
}

export const usualMoves: MovesWish = { entries: 100_000, moves: moveNames, times: 3 };

const hitsPerSecond = 5000;
const warmSeconds = 1;
/** The load ends when the moves are over. */
const loadSecondsMax = 600;
/** The second before a move is clear of the one before it, and of the end of a predecessor. */
const apartMs = 2500;
const moveWithinMs = 40_000;
const lookEveryMs = 2;

/** A move that has begun, and where in the file of latencies that was. */
interface Begun extends Pick<MoveSample, 'name' | 'tookMs' | 'cpuMs'> {
  readonly atBytes: number;
}

/** Measures each of the moves and leaves nothing running. Throws when one does not come to its end. */
export async function measureMoves(entry: string, setting: Setting, wish = usualMoves): Promise<MovesFigures> {
  const folder = mkdtempSync(join(setting.folder, 'moves-'));
  const snapshotPath = join(folder, 'snapshot');
  const flags = ['-handover', join(folder, 'handover'), '-cachefile', snapshotPath];
  const server = zerohop('zerohop', entry, { flags, entries: wish.entries + hotNames });
  const at = { address: '127.0.0.1', port: await freePort() };
  const sidePorts = [await freePort(), await freePort()] as const;
  const command = server.command({ folder, at, upstream: setting.upstream, sidePorts, aaaa: 'upstream' });
  const alive: Running[] = [];
  const begin = (): Running => {
    const instance = start(['taskset', '-c', String(setting.cores.server), ...command]);
    alive.push(instance);
    return instance;
  };
  try {
    const first = begin();
    await saying(first, 'serves on', 1);
    const moved: Moved = { serving: first, alive, begin, folder, at, upstream: setting.upstream, snapshotPath };
    await fillCache({ at, folder }, setting, { from: 0, to: wish.entries });
    const figures = await moveBesideHits(moved, setting, wish);
    const kept = sumOf(await scrape(sidePorts[0]), 'coredns_cache_entries');
    // A cache that is lost on the way takes no time.
    if (kept < 0.99 * wish.entries) throw new Error(`of ${wish.entries} names ${kept} are left`);
    return figures;
  } finally {
    for (const instance of alive.toReversed()) await instance.stop();
  }
}

/** Names that are asked all the time, besides those that fill the cache. */
const hotNames = 1000;

interface Moved {
  serving: Running;
  /** Oldest first. */
  readonly alive: Running[];
  readonly begin: () => Running;
  readonly folder: string;
  readonly at: Place;
  readonly upstream: Place;
  readonly snapshotPath: string;
}

async function moveBesideHits(moved: Moved, setting: Setting, wish: MovesWish): Promise<MovesFigures> {
  const path = join(moved.folder, 'latencies');
  const load = { transport: 'udp', clients: 8, outstanding: 1000, queriesPerSecond: hitsPerSecond } as const;
  const asked = { questions: setting.questions.repeated.positive, load, atEnd: 'again' } as const;
  const hits = { ...asked, dnsperf: setting.dnsperf, core: setting.cores.load, to: moved.at };
  await runDnsperf({ ...hits, seconds: warmSeconds, latencies: null });
  const running = startDnsperf({ ...hits, seconds: loadSecondsMax, latencies: path });
  const begun: Begun[] = [];
  let isOver = false;
  try {
    for (const name of wish.moves) {
      for (let left = name === 'snapshot' ? 1 : wish.times; left > 0; left--) {
        await pause(apartMs);
        begun.push({ name, ...(await moves[name](moved, clockOf(moved, path))) });
      }
    }
    await pause(apartMs);
    isOver = true;
  } finally {
    if (!isOver) await running.stop().catch(() => {});
  }
  const { sent, lost } = await running.stop();
  const samples = begun.map((move) => sampleOf(move, path));
  return { entries: wish.entries, hitsPerSecond, sent, lost, samples };
}

/** What a move has taken when it is over. */
type Taken = Omit<Begun, 'name'>;

/** Starts the clock of a move, which is asked when the move is over. */
function clockOf(moved: Moved, path: string): () => () => Taken {
  const cpuMs = (): number =>
    moved.alive.reduce((sum, { pid }) => {
      const { userMicroseconds, systemMicroseconds } = cpuOf(pid);
      return sum + (userMicroseconds + systemMicroseconds) / 1000;
    }, 0);
  return () => {
    const begun = { atBytes: statSync(path).size, atMs: performance.now(), cpuMs: cpuMs() };
    return () => ({
      atBytes: begun.atBytes,
      tookMs: performance.now() - begun.atMs,
      cpuMs: cpuMs() - begun.cpuMs,
    });
  };
}

/** At a given rate so many answers are a second. */
function sampleOf({ name, atBytes, tookMs, cpuMs }: Begun, path: string): MoveSample {
  const before = latenciesIn(path, 0, atBytes).slice(-hitsPerSecond);
  const after = latenciesIn(path, atBytes, statSync(path).size);
  const moving = after.slice(0, Math.ceil(hitsPerSecond * Math.max(1, tookMs / 1000)));
  const [quietMs, movingMs] = [percentiles(before), percentiles(moving)];
  if (quietMs === null || movingMs === null) throw new Error(`${name}: no hit was answered beside it`);
  return { name, tookMs, cpuMs, quietMs, movingMs };
}

type Move = (moved: Moved, startClock: () => () => Taken) => Promise<Taken>;

const moves: Readonly<Record<MoveName, Move>> = {
  /** Another stub domain, as when a ConfigMap changes. */
  async reload({ serving, folder, at, upstream }, startClock) {
    const done = 'new configuration in force';
    const times = timesSaid(serving, done);
    const { address, port } = upstream;
    // zerohop writes its Corefile from this template.
    const template = join(folder, 'Corefile.base');
    const block = `bind ${at.address}\n    forward . ${address}:${port}`;
    appendFileSync(template, `stub-${times}.test:${at.port} {\n    ${block}\n}\n`);
    const taken = startClock();
    serving.signal('SIGHUP');
    await saying(serving, done, times + 1);
    return taken();
  },

  /** The file is written under another name first. */
  snapshot({ folder, snapshotPath }, startClock) {
    return new Promise((resolve, reject) => {
      let taken: (() => Taken) | null = null;
      const watching = watch(folder, (_, name) => {
        if (name === null || !join(folder, name).startsWith(snapshotPath)) return;
        taken ??= startClock();
        if (join(folder, name) === snapshotPath) end(() => resolve(taken!()));
      });
      const late = setTimeout(() => end(() => reject(new Error('no snapshot was written'))), moveWithinMs);
      function end(settle: () => void): void {
        clearTimeout(late);
        watching.close();
        settle();
      }
    });
  },

  async takeover(moved, startClock) {
    const before = moved.serving;
    const taken = startClock();
    moved.serving = moved.begin();
    await saying(moved.serving, 'serves on', 1);
    const all = taken();
    await pause(Math.max(0, 1000 - all.tookMs));
    await before.stop();
    moved.alive.shift();
    return all;
  },
};

/** Waits until the instance has logged the text so many times. */
async function saying(instance: Running, text: string, times: number): Promise<void> {
  const startedMs = performance.now();
  while (timesSaid(instance, text) < times) {
    if (performance.now() - startedMs > moveWithinMs) {
      throw new Error(`zerohop did not log "${text}": ${instance.stderr()}${instance.stdout()}`);
    }
    await pause(lookEveryMs);
  }
}

function timesSaid(instance: Running, text: string): number {
  return instance.stdout().split(text).length - 1;
}
