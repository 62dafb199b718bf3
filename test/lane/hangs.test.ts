/**
 * A process that hangs for ten seconds in the middle of a reload or of a takeover. Pods lose no answer to a name in use:
 * at any moment the kernel has what was published before, or what comes after.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
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

describe('a process that hangs in the middle', { skip: laneIsMissing || needs(...nodeNeeds) }, () => {
  let node: LaneNode;
  let pod: LanePod;
  let serving: LaneZerohop;
  before(async () => {
    node = await LaneNode.make();
    pod = await node.addPod('pod0');
    serving = await node.start(wish);
    await node.fromKernel(pod.client, server, known);
  });
  afterEach(async () => {
    await node.stopAll();
    serving = await node.start(wish);
    await node.fromKernel(pod.client, server, known);
  });
  after(() => node?.remove());

  /** Nothing is lost meanwhile. */
  async function meanwhile(change: () => Promise<void>): Promise<void> {
    await pod.client.begin(server, known, perSecond);
    await change();
    const { sent, lost, firstLost, firstLate, wrong, rcodes, late } = await pod.client.finish(5_000);
    assert.deepEqual(
      { lost, late, firstLost, firstLate, wrong, rcodes },
      { lost: 0, late: 0, firstLost: [], firstLate: [], wrong: [], rcodes: { 0: sent } },
    );
  }

  for (const [times, sinceMs] of [0, 5, 50].entries()) {
    test(`of a reload, ${sinceMs} ms after the signal`, async () => {
      await meanwhile(async () => {
        const reloaded = serving.reload(`cache ${301 + times}`);
        await pause(sinceMs);
        await hang(serving);
        await reloaded;
      });
    });
  }

  test('of its own start, as soon as it gets the packets', async () => {
    const next = await node.start({ ...wish, isLeftAlone: true });
    await meanwhile(async () => {
      await next.hears('this instance receives packets now');
      await hang(next);
      await answersStill();
    });
  });

  for (const part of [0.8, 0.9, 1]) {
    test(`of its own start, after ${part} of it`, () => hangs('next', part));
  }

  for (const part of [0.5, 0.8, 1]) {
    test(`of its successor's start, after ${part} of it`, () => hangs('serving', part));
  }

  /** One more is started, and it or its predecessor hangs. */
  async function hangs(who: 'next' | 'serving', part: number): Promise<void> {
    const startedMs = performance.now();
    const trial = await node.start(wish);
    const tookMs = performance.now() - startedMs;
    await trial.stop();
    await node.fromKernel(pod.client, server, known);
    await meanwhile(async () => {
      const next = await node.start({ ...wish, isLeftAlone: true });
      await pause(tookMs * part);
      await hang(who === 'next' ? next : serving);
      await answersStill();
    });
  }

  /** Also when the time is over for which one that is followed has the kernel go on. */
  async function answersStill(): Promise<void> {
    await pause(laneReleasedMs + 1_000);
    await node.fromKernel(pod.client, server, known);
  }
});
