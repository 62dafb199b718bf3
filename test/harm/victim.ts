/**
 * What one client that does nothing wrong sees of a running zerohop: 100 hits and 20 misses a second, and somebody
 * who probes /health, asked at fixed times whatever becomes of earlier ones. Held against what it saw in peace.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { needs, type Running, start } from '../real/commands.js';
import { question } from '../real/loopback.js';
import type { Place } from '../real/packets.js';
import { probe } from './http-fixture.js';

export interface Seen {
  /** Milliseconds of each answer, rising. */
  readonly hits: readonly number[];
  readonly misses: readonly number[];
  /** Questions that nobody answered. */
  readonly lost: number;
  /** Probes that were not answered with 200 within a second. */
  readonly probesFailed: number;
}

/** Where zerohop answers, and its /health. */
export interface Target {
  readonly place: Place;
  readonly health: Place;
}

/** What is promised whatever one client does. */
const promisedMs = { hits: 5, misses: 100 } as const;
/** Of each kind; a question is lost after it. */
const patienceMs = 5_000;

let isFirst = false;

/** This process comes before others, if it may, and what it starts does not: it measures, and others do harm. */
export function comeFirst(): void {
  isFirst = spawnSync('chrt', ['--rr', '--reset-on-fork', '--pid', '1', String(process.pid)]).status === 0;
}

/**
 * The start of command lines. What an attacker takes of the processor is not what zerohop does to others, so zerohop comes
 * before it; not in real time, where one of its threads would keep the processor from the others.
 */
export const lastInLine: readonly string[] = ['nice', '-n', '19'];
export const beforeOthers: readonly string[] = needs('root') === false ? ['nice', '-n', '-15'] : [];

let misses = 0;

/** Asks for so long. `good` must be in the cache. */
export async function seenFor(seconds: number, { place, health }: Target): Promise<Seen> {
  const socket = createSocket('udp4');
  // Not the attacker's, who has a client's share.
  socket.bind(0, '127.0.0.2');
  await once(socket, 'listening');
  socket.connect(place.port, place.address);
  await once(socket, 'connect');
  const waiting = new Map<number, { readonly kind: 'hits' | 'misses'; readonly sentMs: number }>();
  const times = { hits: [] as number[], misses: [] as number[] };
  socket.on('message', (message) => {
    const id = message.readUInt16BE(0);
    const asked = waiting.get(id);
    if (asked === undefined) return;
    waiting.delete(id);
    times[asked.kind].push(performance.now() - asked.sentMs);
  });
  socket.on('error', () => {});
  const probes: Promise<number>[] = [];
  let id = 0;
  const ask = (kind: 'hits' | 'misses', label: string): void => {
    waiting.set(++id, { kind, sentMs: performance.now() });
    socket.send(question(id, label, 1));
  };
  for (let turn = 0; turn < seconds * 100; turn++) {
    ask('hits', 'good');
    if (turn % 5 === 0) ask('misses', `victim${process.pid}-${++misses}`);
    if (turn % 50 === 0) probes.push(probe(health, '/health'));
    await pause(10);
  }
  const sinceMs = performance.now();
  while (waiting.size > 0 && performance.now() - sinceMs < patienceMs) await pause(20);
  socket.close();
  const rising = (one: number, other: number): number => one - other;
  return {
    hits: times.hits.sort(rising),
    misses: times.misses.sort(rising),
    lost: waiting.size,
    probesFailed: (await Promise.all(probes)).filter((status) => status !== 200).length,
  };
}

/**
 * A time counts as too long when it was in each of so many rounds, each beside a peace of its own, in which a program that
 * has nothing to do with zerohop keeps a processor as busy as an attacker does.
 */
const roundsMost = 5;

/**
 * Fails when the victim was hurt while what `attack` starts ran: at once when anything was lost. A probe fails by its time,
 * one second, so where this process may not come first the rounds judge it as they judge other times.
 */
export async function assertUnharmed(t: TestContext, target: Target, attack: () => Running): Promise<void> {
  const peace: Seen[] = [];
  for (let round = 1; ; round++) {
    const before = await seenDuring(1, target, () => start([...lastInLine, process.execPath, '-e', 'for (;;);']));
    peace.push(before);
    assert.deepEqual([before.lost, isFirst ? before.probesFailed : 0], [0, 0], 'in peace');
    const during = await seenDuring(3, target, attack);
    t.diagnostic(`in peace: ${words(before)}; then: ${words(during)}`);
    const failed = isFirst ? during.probesFailed : 0;
    assert.deepEqual([during.lost, failed], [0, 0], 'questions and probes without an answer');
    const tooLate = late(peace, during);
    if (during.probesFailed > 0) tooLate.push(`probes that took more than a second: ${during.probesFailed}`);
    if (tooLate.length === 0) return;
    assert.ok(round < roundsMost, tooLate.join('; '));
  }
}

/** What it sees while another program runs. */
async function seenDuring(seconds: number, target: Target, begin: () => Running): Promise<Seen> {
  const other = begin();
  try {
    const during = await seenFor(seconds, target);
    assert.equal(await Promise.race([other.finished, null]), null, 'it goes on');
    return during;
  } finally {
    await other.stop();
  }
}

function late(peace: readonly Seen[], war: Seen): string[] {
  return (['hits', 'misses'] as const).flatMap((kind) => {
    const mostMs = Math.max(promisedMs[kind], ...peace.map((seen) => 5 * p99(seen[kind])));
    const tookMs = p99(war[kind]);
    return tookMs <= mostMs ? [] : [`${kind}: p99 ${tookMs.toFixed(1)} ms, ${mostMs.toFixed(1)} at most`];
  });
}

const p99 = (times: readonly number[]): number => times[Math.floor(times.length * 0.99)];

const words = ({ hits, misses }: Seen): string =>
  `p99 of hits ${p99(hits).toFixed(1)} ms, of misses ${p99(misses).toFixed(1)} ms`;
