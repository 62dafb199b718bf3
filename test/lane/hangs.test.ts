/**
 * A process that hangs for ten seconds in the middle of a reload or of a takeover. Pods lose no answer to a name in use:
 * at any moment the kernel has what was published before, or what comes after.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { laneReleasedMs } from '../../src/limits.js';
import { needs } from '../real/commands.js';
import { LaneNode, type LanePod, type LaneZerohop, nodeNeeds, server } from './lane-node.js';
import { laneIsMissing } from './possible.js';
import { numberedQueries } from './zones.js';

const perSecond = 1_500;
const hangMs = 10_000;
const known = numberedQueries(150);
const wish = { lines: 'cache 300', handsOver: true } as const;

async function hang({ program }: LaneZerohop): Promise<void> {
  program.signal('SIGSTOP');
  await pause(hangMs);
  program.signal('SIGCONT');
}

/** A node, a pod on it, and an instance that serves it; the kernel has all that the pod asks for. */
class Hangs {
  readonly #node: LaneNode;
  readonly #pod: LanePod;
  readonly serving: LaneZerohop;

  private constructor(node: LaneNode, pod: LanePod, serving: LaneZerohop) {
    this.#node = node;
    this.#pod = pod;
    this.serving = serving;
  }

  static async during(trial: (hangs: Hangs) => Promise<void>): Promise<void> {
    const node = await LaneNode.make();
    try {
      const hangs = new Hangs(node, await node.addPod('pod0'), await node.start(wish));
      await hangs.fromKernel();
      await trial(hangs);
    } finally {
      await node.remove();
    }
  }

  start(isLeftAlone: boolean): Promise<LaneZerohop> {
    return this.#node.start({ ...wish, isLeftAlone });
  }

  async fromKernel(): Promise<void> {
    await this.#node.fromKernel(this.#pod.client, server, known);
  }

  /** Nothing is lost meanwhile. */
  async meanwhile(change: () => Promise<void>): Promise<void> {
    const { client } = this.#pod;
    await client.begin(server, known, perSecond);
    await change();
    const { sent, lost, firstLost, firstLate, wrong, rcodes, late } = await client.finish(5_000);
    assert.deepEqual(
      { lost, late, firstLost, firstLate, wrong, rcodes },
      { lost: 0, late: 0, firstLost: [], firstLate: [], wrong: [], rcodes: { 0: sent } },
    );
  }

  /** Also when the time is over for which one that is followed has the kernel go on. */
  async answersStill(): Promise<void> {
    await pause(laneReleasedMs + 1_000);
    await this.fromKernel();
  }

  /** One more is started, and it or its predecessor hangs after that part of the time that a start takes. */
  async ofStart(who: 'next' | 'serving', part: number): Promise<void> {
    const startedMs = performance.now();
    const trial = await this.start(false);
    const tookMs = performance.now() - startedMs;
    await trial.stop();
    await this.fromKernel();
    await this.meanwhile(async () => {
      const next = await this.start(true);
      await pause(tookMs * part);
      await hang(who === 'next' ? next : this.serving);
      await this.answersStill();
    });
  }
}

// Two at a time, because most of it is waiting.
describe('a process that hangs in the middle', { skip: laneIsMissing || needs(...nodeNeeds), concurrency: 2 }, () => {
  for (const [times, sinceMs] of [0, 5, 50].entries()) {
    test(`of a reload, ${sinceMs} ms after the signal`, () =>
      Hangs.during(async (hangs) => {
        await hangs.meanwhile(async () => {
          const reloaded = hangs.serving.reload(`cache ${301 + times}`);
          await pause(sinceMs);
          await hang(hangs.serving);
          await reloaded;
        });
      }));
  }

  test('of its own start, as soon as it gets the packets', () =>
    Hangs.during(async (hangs) => {
      const next = await hangs.start(true);
      await hangs.meanwhile(async () => {
        await next.hears('this instance receives packets now');
        await hang(next);
        await hangs.answersStill();
      });
    }));

  for (const part of [0.8, 0.9, 1]) {
    test(`of its own start, after ${part} of it`, () => Hangs.during((hangs) => hangs.ofStart('next', part)));
  }

  for (const part of [0.5, 0.8, 1]) {
    test(`of its successor's start, after ${part} of it`, () =>
      Hangs.during((hangs) => hangs.ofStart('serving', part)));
  }
});
